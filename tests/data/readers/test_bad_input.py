"""Bad input gets one sentence that names file, place and mend; nothing is written, nothing lost."""

import faulthandler
import gzip
import io
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from data.readers.bad_files import (
    FRAME,
    GOOD,
    LABELS,
    MANY,
    ROWS,
    TCGA,
    TCGA_SAMPLES,
    Files,
    archive,
    beside,
    csv,
    cut,
    h5ad,
    named,
    pair,
    parquet,
    stretched,
    swap,
    tcga,
    tenx,
    to_feather,
    wide,
    xlsx,
    zstd,
)
from expressionist.commands import app as command_line
from expressionist.data.cohort import Cohort
from expressionist.data.readers import damage, file_content, formats
from expressionist.data.sources import find_source
from expressionist.errors import CohortError
from expressionist.params.parsing import parse

PARAMS = Path(__file__).parents[3] / "params.yaml"
SHIPPED = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["cohort"]
LONGEST_MESSAGE = 320


@dataclass(frozen=True)
class Case:
    """Files, and what is said to them; `…` stands for what a library or a file's size decides."""

    given: Files
    said: str


LOGS = wide(60, lambda row, i: f"{3 + (row * 7 + i * 3) % 11 + 0.25}")
COUNTS = wide(60, lambda row, i: f"{(row * 7919 + i * 104729) % 35}")
BIG_COUNTS = wide(60, lambda row, i: f"{(row * 7919 + i * 104729) % 3500}")

CASES = {
    # What is no table at all.
    "empty file": Case(
        csv(""),
        "expression.csv must hold a table, but got an empty file. Fetch or export it again.",
    ),
    "blank lines": Case(
        csv("\n\n"),
        "expression.csv must hold a table, but got an empty file. Fetch or export it again.",
    ),
    "header only": Case(
        csv("sample,tumour_type,g1\n"),
        "expression.csv must have rows below its header, but got none. Export it again.",
    ),
    "no genes": Case(
        csv("sample,tumour_type\ns1,A\n"),
        "expression.csv must have columns of genes, but got only sample, tumour_type. Add them.",
    ),
    "no suffix": Case(
        named("expression", GOOD.encode()),
        "The expression must be a file .csv, .tsv, .tab, .txt, .gct, .parquet, .feather, .xlsx (text "
        "also packed: .gz, .zst), .h5ad or .h5, but got expression. Convert it.",
    ),
    "another suffix": Case(
        named("expression.rds", b"1"),
        "The expression must be a file .csv, .tsv, .tab, .txt, .gct, .parquet, .feather, .xlsx (text "
        "also packed: .gz, .zst), .h5ad or .h5, but got expression.rds. Convert it.",
    ),
    "PDF under .csv": Case(
        named("expression.csv", b"%PDF-1.7\n..."),
        "expression.csv must be a text table in UTF-8, as its name says, but got a PDF. Give it "
        "the suffix that fits, or export it as such a table.",
    ),
    "web page under .tsv": Case(
        named("expression.tsv", b"<!DOCTYPE html>\n<html>\tlogin</html>"),
        "expression.tsv must be a text table in UTF-8, as its name says, but got a web page or "
        "XML. Give it the suffix that fits, or export it as such a table.",
    ),
    "workbook under .csv": Case(
        named("expression.csv", xlsx(FRAME)),
        "expression.csv must be a text table in UTF-8, as its name says, but got a zip archive or"
        " an Excel workbook. Give it the suffix that fits, or export it as such a table.",
    ),
    "Parquet under .csv": Case(
        named("expression.csv", parquet(FRAME)),
        "expression.csv must be a text table in UTF-8, as its name says, but got a Parquet file. "
        "Give it the suffix that fits, or export it as such a table.",
    ),
    "csv under .xlsx": Case(
        named("expression.xlsx", GOOD.encode()),
        "expression.xlsx must be an Excel workbook, as its name says, but got something that "
        "begins with b'sample,t'. Give it the suffix that fits, or export it again.",
    ),
    "csv under .parquet": Case(
        named("expression.parquet", GOOD.encode()),
        "expression.parquet must be a Parquet file, as its name says, but got something that "
        "begins with b'sample,t'. Give it the suffix that fits, or export it again.",
    ),
    "csv under .h5ad": Case(
        named("expression.h5ad", GOOD.encode()),
        "expression.h5ad must be an HDF5 file, as its name says, but got something that begins "
        "with b'sample,t'. Give it the suffix that fits, or export it again.",
    ),
    "bytes of anything": Case(
        named("expression.csv", b"\0\1,\n\2\3"),
        "expression.csv must be UTF-8 text, but got other bytes in its first line. Export it as UTF-8 text.",
    ),
    # What was cut off or damaged on its way.
    "truncated gzip": Case(
        named("expression.csv.gz", cut(gzip.compress(MANY.encode()))),
        "expression.csv.gz must be readable from start to end, but got: …. Fetch or copy the file again.",
    ),
    "truncated zstd": Case(
        named("expression.csv.zst", cut(zstd(MANY.encode()))),
        "expression.csv.zst must be readable from start to end, but got: …. Fetch or copy the file again.",
    ),
    "damaged gzip": Case(
        named("expression.csv.gz", gzip.compress(GOOD.encode())[:-8] + b"\0" * 8),
        "expression.csv.gz must be readable from start to end, but got: …. Fetch or copy the file again.",
    ),
    "gzip within gzip": Case(
        named("expression.csv.gz", gzip.compress(gzip.compress(GOOD.encode()))),
        "expression.csv.gz must be a text table in UTF-8, as its name says, but got a gzip "
        "archive. Give it the suffix that fits, or export it as such a table.",
    ),
    "truncated Parquet": Case(
        named("expression.parquet", cut(parquet(FRAME))),
        "expression.parquet must be a Parquet file that can be read to its end, but got: …. Fetch"
        " or export it again.",
    ),
    "truncated Feather": Case(
        named("expression.feather", cut(to_feather(FRAME))),
        "expression.feather must be a Feather file that can be read to its end, but got: …. Fetch"
        " or export it again.",
    ),
    "truncated workbook": Case(
        named("expression.xlsx", cut(xlsx(FRAME))),
        "expression.xlsx must be an Excel workbook that can be read to its end, but got: …. Fetch"
        " or export it again.",
    ),
    "truncated h5ad": Case(
        named("expression.h5ad", cut(h5ad())),
        "expression.h5ad must be an AnnData file that can be read to its end, but got: …. Fetch "
        "or export it again.",
    ),
    "truncated 10x": Case(
        beside("expression.h5", cut(tenx())),
        "expression.h5 must be a 10x feature-barcode matrix that can be read to its end, but got:"
        " …. Fetch or export it again.",
    ),
    "cut off in a row": Case(
        csv(GOOD[:-4]),
        "expression.csv, line 5: every row must have 4 cells, like the header, but got 3 in row "
        "'s4'. Check the delimiter and the end of the file.",
    ),
    "workbook that is a zip": Case(
        named("expression.xlsx", archive(10)),
        "expression.xlsx must be an Excel workbook that can be read to its end, but got: …. Fetch"
        " or export it again.",
    ),
    # What is not delimited or written as it should be.
    "one column": Case(
        csv("samples\ns1\n"),
        "The columns of expression.csv must be separated by commas, as its name says, but got "
        "'samples' as its first line. Give it the suffix that fits, or convert it.",
    ),
    "thousands under semicolons": Case(
        csv("sample;tumour_type;g1\ns1;A;1,234\ns2;B;5,678\n"),
        "expression.csv, line 2: column 'g1' of row 's1' must be a number, but got '1,234'. Write "
        "numbers with a decimal point and without thousands separators.",
    ),
    "short row": Case(
        swap("s2,A,3,4", "s2,A,3"),
        "expression.csv, line 3: every row must have 4 cells, like the header, but got 3 in row "
        "'s2'. Check the delimiter and the end of the file.",
    ),
    "long row": Case(
        swap("s2,A,3,4", "s2,A,3,4,5"),
        "expression.csv, line 3: every row must have 4 cells, like the header, but got 5 in row "
        "'s2'. Check the delimiter and the end of the file.",
    ),
    "quote not closed": Case(
        swap("s2", '"s2'),
        "expression.csv, line 3: every quote must be closed, but got one that is not. Close it, "
        "or export the table again.",
    ),
    "quote not closed in the header": Case(
        swap("g1", '"g1'),
        "expression.csv, line 1: every quote must be closed, but got one that is not. Close it, "
        "or export the table again.",
    ),
    "decimal comma": Case(
        swap("5", '"5,1"'),
        "expression.csv, line 4: column 'g1' of row 's3' must be a number, but got '5,1'. Write "
        "numbers with a decimal point and without thousands separators.",
    ),
    "thousands separator": Case(
        swap("5", '"1,234,567"'),
        "expression.csv, line 4: column 'g1' of row 's3' must be a number, but got '1,234,567'. "
        "Write numbers with a decimal point and without thousands separators.",
    ),
    "underscore": Case(
        swap("5", "5_0"),
        "expression.csv, line 4: column 'g1' of row 's3' must be a number, but got '5_0'. Correct"
        " the cell, or move columns that are no genes to another table.",
    ),
    "UTF-16": Case(
        named("expression.csv", GOOD.encode("utf-16")),
        "expression.csv must be a text table in UTF-8, as its name says, but got UTF-16 text. "
        "Give it the suffix that fits, or export it as such a table.",
    ),
    "UTF-16 without a mark": Case(
        named("expression.csv", GOOD.encode("utf-16-le")),
        "expression.csv must be UTF-8 text, but got other bytes in its first line. Export it as UTF-8 text.",
    ),
    "Latin-1 label": Case(
        named("expression.csv", GOOD.replace("s3,B", "s3,\xe9").encode("latin-1")),
        "expression.csv, line 4: the text must be UTF-8, but got '�'. Export the table as UTF-8.",
    ),
    "Latin-1 header": Case(
        named("expression.csv", GOOD.replace("g1", "\xe9").encode("latin-1")),
        "expression.csv must be UTF-8 text, but got other bytes in its first line. Export it as UTF-8 text.",
    ),
    "NUL in a label": Case(
        swap("s3,B", "s3,B\0"),
        "Every value of 'tumour_type' in expression.csv must be printable text, but got 'B\\x00'. Check"
        " how the file was written.",
    ),
    "NUL in a sample": Case(
        swap("s3,B", "s3\0,B"),
        "Every sample id in expression.csv must be printable text, but got 's3\\x00'. Check how the "
        "file was written.",
    ),
    "NUL in a number": Case(
        swap("5", "5\0"),
        "expression.csv, line 4: column 'g1' of row 's3' must be a number, but got '5\\x00'. "
        "Correct the cell, or move columns that are no genes to another table.",
    ),
    # Values.
    "text in a number": Case(
        swap("5", "high"),
        "expression.csv, line 4: column 'g1' of row 's3' must be a number, but got 'high'. "
        "Correct the cell, or move columns that are no genes to another table.",
    ),
    "text in a row of a gene": Case(
        pair(ROWS.replace("2,4", "x,4"), LABELS),
        "expression.csv, line 3: column 's1' of row 'g2' must be a number, but got 'x'. Correct "
        "the cell, or move columns that are no genes to another table.",
    ),
    "text in a number of Parquet": Case(
        named("expression.parquet", parquet(FRAME.assign(g1=list("1x35")))),
        "expression.parquet: column 'g1' must hold numbers, but got string, such as '1'. Convert "
        "it, or move columns that are no genes to another table.",
    ),
    "text in a number of a workbook": Case(
        named("expression.xlsx", xlsx(FRAME.assign(g1=[1, "x", 3, 5]))),
        "expression.xlsx, row 3: column 'g1' must be a number, but got 'x'. Correct the cell, or "
        "move columns that are no genes to another table.",
    ),
    "empty cell": Case(
        swap("5", ""),
        "expression.csv: expression must be a number, but got nan for gene g1 in sample s3 (genes"
        " with such values: 1). Fill it in, or state missing: drop or zero.",
    ),
    "NaN": Case(
        swap("4", "NaN"),
        "expression.csv: expression must be a number, but got nan for gene g2 in sample s2 (genes"
        " with such values: 1). Fill it in, or state missing: drop or zero.",
    ),
    "missing in a workbook": Case(
        named("expression.xlsx", xlsx(FRAME.assign(g1=[1, None, 3, 5]))),
        "expression.xlsx: expression must be a number, but got nan for gene g1 in sample s2 "
        "(genes with such values: 1). Fill it in, or state missing: drop or zero.",
    ),
    "NaN in two genes": Case(
        swap("1,2", "NA,NA"),
        "expression.csv: expression must be a number, but got nan for gene g1 in sample s1 (genes"
        " with such values: 2). Fill it in, or state missing: drop or zero.",
    ),
    "NaN in a row of a gene": Case(
        pair(ROWS.replace("2,4", "NA,4"), LABELS),
        "expression.csv: expression must be a number, but got nan for gene g2 in sample s1 (genes"
        " with such values: 1). Fill it in, or state missing: drop or zero.",
    ),
    "infinity": Case(
        swap("4", "inf"),
        "expression.csv: expression must be finite, but got inf for gene g2 in sample s2 (genes "
        "with such values: 1). Correct it, even if it is only too large for float32.",
    ),
    "minus infinity": Case(
        swap("4", "-inf"),
        "expression.csv: expression must be finite, but got -inf for gene g2 in sample s2 (genes "
        "with such values: 1). Correct it, even if it is only too large for float32.",
    ),
    "larger than float32": Case(
        swap("4", "1e39"),
        "expression.csv: expression must be finite, but got inf for gene g2 in sample s2 (genes "
        "with such values: 1). Correct it, even if it is only too large for float32.",
    ),
    "negative": Case(
        csv(GOOD.replace("8", "-5"), unit="counts"),
        "expression.csv: expression must be 0 or more, but got -5 for gene g2 in sample s4 "
        "(genes with such values: 1). Clip it at 0 or correct it.",
    ),
    "all-zero sample": Case(
        swap("s2,A,3,4", "s2,A,0,0"),
        "expression.csv: every sample must have some expression, but got 0 for all genes in 1 of "
        "4: s2. Remove these samples, or export them again.",
    ),
    "nothing varies": Case(
        csv("sample,tumour_type,g1\ns1,A,1\ns2,A,1\ns3,B,1\ns4,B,1\n"),
        "expression.csv: some gene must differ between samples, but got the same value in all 4 "
        "samples for each of 1 genes. Check what was exported.",
    ),
    "logarithms as counts": Case(
        csv(LOGS, unit="counts"),
        "expression.csv: counts must be whole numbers, but got 3.25 for gene g0 in sample s1 "
        "(values up to 13.25). They look like logarithms: state unit: log2(x+1), or give counts.",
    ),
    "logarithms as TPM": Case(
        csv(LOGS),
        "expression.csv: expression in TPM must span orders of magnitude, but got values up to "
        "13.25 only, half of them above 8.25, like logarithms. State unit: log2(x+1), or give "
        "TPM.",
    ),
    "counts as logarithms": Case(
        csv(COUNTS, unit="log2(x+1)"),
        "expression.csv: log2(x+1) must have fractions, but got whole numbers only (up to 34). "
        "State unit: counts, or take logarithms.",
    ),
    "large counts as logarithms": Case(
        csv(BIG_COUNTS, unit="log2(x+1)"),
        "expression.csv: log2(x+1) must stay below 40, but got values up to 3478. State the "
        "linear unit that they are in (counts, RSEM, RPM, TPM or FPKM), or take logarithms.",
    ),
    "fractions as counts": Case(
        csv(GOOD.replace("8", "1000.5"), unit="counts"),
        "expression.csv: counts must be whole numbers, but got 1000.5 for gene g2 in sample s4 "
        "(values up to 1000.5). State the unit that they are in (such as RSEM or TPM), or give "
        "counts.",
    ),
    # Samples, labels and patients.
    "duplicate sample with other values": Case(
        swap("s2", "s1"),
        "Every sample in expression.csv must stand once, but got more often: s1. Drop or rename the repeats.",
    ),
    "duplicate sample above": Case(
        pair(ROWS.replace("s2", "s1"), LABELS),
        "Every sample in expression.csv must stand once, but got more often: s1. Drop or rename the repeats.",
    ),
    "sample without id": Case(
        swap("s2", ""),
        "Every sample in expression.csv must have an id, but got none for 1: number 2. Name or remove them.",
    ),
    "sample of spaces": Case(
        swap("s2", "  "),
        "Every sample in expression.csv must have an id, but got none for 1: number 2. Name or remove them.",
    ),
    "no sample column": Case(
        swap("sample", "id"),
        "expression.csv must have the columns sample, tumour_type, but lacks sample (its columns "
        "are id, tumour_type, g1, g2). Name them so, state other names, or give a table of labels"
        " (`labels`).",
    ),
    "no label column": Case(
        swap("tumour_type", "type"),
        "expression.csv must have the columns tumour_type, but lacks tumour_type (its columns are"
        " sample, type, g1, g2). Name them so, state other names, or give a table of labels "
        "(`labels`).",
    ),
    "no label": Case(
        swap("s2,A", "s2,"),
        "Every sample in expression.csv must have a value in 'tumour_type', but got none for 1 of"
        " 4: s2. Fill it in, or remove these samples.",
    ),
    "label of spaces": Case(
        swap("s2,A", "s2,  "),
        "Every sample in expression.csv must have a value in 'tumour_type', but got none for 1 of"
        " 4: s2. Fill it in, or remove these samples.",
    ),
    "one type": Case(
        swap("B", "A"),
        "At least two tumour types must have 1 patients or more, but got 1 (patients by type: A "
        "(4)). Add samples, correct the labels or lower smallest_type.",
    ),
    "one sample": Case(
        csv("sample,tumour_type,g1,g2\ns1,A,1,2\n"),
        "At least two tumour types must have 1 patients or more, but got 1 (patients by type: A "
        "(1)). Add samples, correct the labels or lower smallest_type.",
    ),
    "a type of one": Case(
        csv(GOOD.replace("s3,B", "s3,A"), smallest_type=2),
        "At least two tumour types must have 2 patients or more, but got 1 (patients by type: A "
        "(3), B (1)). Add samples, correct the labels or lower smallest_type.",
    ),
    "patient of two types": Case(
        csv("sample,who,tumour_type,g1\ns1,p,A,1\ns2,p,B,2\n", patient_column="who"),
        "A patient must have one tumour type, but 1 have several: p. Correct the labels or drop "
        "these patients.",
    ),
    "patient missing": Case(
        csv("sample,who,tumour_type,g1\ns1,,A,1\ns2,p,B,2\n", patient_column="who"),
        "Every sample in expression.csv must have a value in 'who', but got none for 1 of 2: s1. "
        "Fill it in, or remove these samples.",
    ),
    "genes in rows without labels": Case(
        csv(ROWS, genes_in="rows"),
        "With genes in rows the labels must stand in a second table, but got only expression.csv."
        " Name the table in cohort.table.labels.",
    ),
    "labels for half": Case(
        pair(ROWS, "sample,tumour_type\ns1,A\ns2,A\n"),
        "Every sample of expression.csv must have a label in labels.csv, but got none for 2 of 4:"
        " s3, s4. Add them, or remove these samples.",
    ),
    "labels for none": Case(
        pair(ROWS, "sample,tumour_type\nx,A\ny,B\n"),
        "Every sample of expression.csv must have a label in labels.csv, but got none for 4 of 4:"
        " s1, s2, s3, s4. Add them, or remove these samples.",
    ),
    "labels for none, orientation open": Case(
        pair(ROWS, "sample,tumour_type\nx,A\ny,B\n", genes_in="auto"),
        "The samples of expression.csv must be told by their labels, but got labels for 0 of 4 "
        "ids in the header (s1, s2) and 0 of 2 beside the rows (g1, g2). Correct the ids, or "
        "state genes_in.",
    ),
    "labels on both sides": Case(
        pair("id,s1,s2,x\ns3,1,2,3\ns4,3,4,5\n", LABELS, genes_in="auto"),
        "The samples of expression.csv must be told by their labels, but got labels for 2 of 3 "
        "ids in the header (s1, s2) and 2 of 2 beside the rows (s3, s4). Correct the ids, or "
        "state genes_in.",
    ),
    "no labels, orientation open": Case(
        csv(ROWS, genes_in="auto"),
        "expression.csv must have the labels, 'tumour_type', beside its samples, but got them on "
        "no side. State genes_in and label_column, or name a table of labels (`labels`).",
    ),
    "sample labelled twice": Case(
        pair(ROWS, LABELS + "s1,B\n"),
        "Every sample in labels.csv must stand once, but got more often: s1. Drop or rename the repeats.",
    ),
    "labels without label column": Case(
        pair(ROWS, LABELS.replace("tumour_type", "type")),
        "labels.csv must have the columns tumour_type, but lacks tumour_type (its columns are "
        "type). Name them so, or state others in params.yaml.",
    ),
    "labels without sample column": Case(
        pair(ROWS, LABELS.replace("sample", "id")),
        "labels.csv must have the columns sample, but lacks sample (its columns are id, "
        "tumour_type). Name it so, or state another sample_column.",
    ),
    "labels with columns of one name": Case(
        pair(ROWS, "sample,tumour_type,tumour_type\ns1,A,A\n"),
        "Columns of labels.csv must have different names, but got twice: tumour_type. Rename them.",
    ),
    "labels empty": Case(
        pair(ROWS, ""),
        "labels.csv must hold a table, but got an empty file. Fetch or export it again.",
    ),
    "transposed: genes stated in columns": Case(
        pair(ROWS, LABELS, genes_in="columns"),
        "expression.csv must have its genes in columns, as stated, but got labelled samples there"
        " (4 of 4: s1, s2, s3, s4). The matrix is transposed: state genes_in: rows.",
    ),
    "transposed: genes stated in rows": Case(
        pair(GOOD.replace("tumour_type,", "").replace(",A", "").replace(",B", ""), LABELS),
        "expression.csv must have its genes in rows, as stated, but got labelled samples there (4"
        " of 4: s1, s2, s3, s4). The matrix is transposed: state genes_in: columns.",
    ),
    # Genes.
    "duplicate gene": Case(
        swap("g2", "g1"),
        "Every gene in expression.csv must stand once, but got more often: g1. Drop or rename the repeats.",
    ),
    "duplicate gene in rows": Case(
        pair(ROWS.replace("g2", "g1"), LABELS),
        "Every gene in expression.csv must stand once, but got more often: g1. Drop or rename the repeats.",
    ),
    "gene without id": Case(
        swap("g2", ""),
        "Every gene in expression.csv must have an id, but got none for 1: number 2. Name or remove them.",
    ),
    "mixed ids": Case(
        csv(GOOD.replace("g1", "Trp53").replace("g2", "ENSMUSG00000059552")),
        "Gene ids in expression.csv must be of one kind, or known to HGNC, but got 1 of kind symbol (such as "
        "Trp53) and 1 of others (such as ENSMUSG00000059552, ensembl). Translate them to one kind, or take "
        "them as they are with ids: other.",
    ),
    "other ids than stated": Case(
        csv(GOOD.replace("g1", "TP53").replace("g2", "EGFR"), ids="entrez"),
        "Gene ids in expression.csv must be of the stated kind, entrez, but got 2 of 2 that are "
        "not: TP53, EGFR. State the kind that they are, or ids: auto.",
    ),
    "two versions of a gene": Case(
        csv(GOOD.replace("g1", "ENSG00000141510.17").replace("g2", "ENSG00000141510.18")),
        "Every Ensembl gene in expression.csv must stand in one version, but got "
        "ENSG00000141510.17 and ENSG00000141510.18. Keep one of them.",
    ),
    "MARCH1 through Excel": Case(
        pair(ROWS.replace("g2", "1-Mar"), LABELS),
        "expression.csv: gene ids must be names, but got '1-Mar' in row 3, which Excel makes of "
        "MARCH1 (now MARCHF1) or MARC1 (MTARC1) (such names: 1-Mar). Export the table again "
        "without Excel, or with that column as text.",
    ),
    "SEPT2 through Excel": Case(
        swap("g1", "Sep-02"),
        "expression.csv: gene ids must be names, but got 'Sep-02' in column 3, which Excel makes "
        "of SEPT2 (now SEPTIN2) (such names: Sep-02). Export the table again without Excel, or "
        "with that column as text.",
    ),
    "DEC1 as a date": Case(
        swap("g2", "2001-12-01"),
        "expression.csv: gene ids must be names, but got '2001-12-01' in column 4, which Excel "
        "makes of DEC1 (DELEC1) (such names: 2001-12-01). Export the table again without Excel, "
        "or with that column as text.",
    ),
    "SEPT2 in a workbook": Case(
        named("expression.xlsx", xlsx(FRAME.rename(columns={"g1": pd.Timestamp(2001, 9, 2)}))),
        "expression.xlsx: gene ids must be names, but got '2001-09-02 00:00:00' in column 3, "
        "which Excel makes of SEPT2 (now SEPTIN2) (such names: 2001-09-02 00:00:00). Export the "
        "table again without Excel, or with that column as text.",
    ),
    "RIKEN clone through Excel": Case(
        swap("g1", "2.31E+19"),
        "expression.csv: gene ids must be names, but got '2.31E+19' in column 3, which Excel "
        "makes of a RIKEN clone such as 2310009E13 (such names: 2.31E+19). Export the table again"
        " without Excel, or with that column as text.",
    ),
    # AnnData and 10x.
    "h5ad without X": Case(
        named("expression.h5ad", h5ad(X=None)),
        "expression.h5ad must be an AnnData file with X, obs and var, but lacks X. Write it with anndata.",
    ),
    "h5ad without obs": Case(
        named("expression.h5ad", h5ad(obs=None)),
        "expression.h5ad must be an AnnData file with X, obs and var, but lacks obs. Write it with anndata.",
    ),
    "h5ad with text in X": Case(
        named("expression.h5ad", h5ad(X=np.array([["a", "b"]] * 4))),
        "X of expression.h5ad must hold numbers, but got object. Convert it.",
    ),
    "h5ad with obs of another length": Case(
        named("expression.h5ad", h5ad(obs=pd.DataFrame({"tumour_type": list("AB")}))),
        "X of expression.h5ad must have a row and a column for each name, (2, 2), but got (4, 2)."
        " Write the file again.",
    ),
    "h5ad with X a number": Case(
        named("expression.h5ad", h5ad(X=3)),
        "X of expression.h5ad must have a row and a column for each name, (4, 2), but got (). "
        "Write the file again.",
    ),
    "h5ad far larger than its file": Case(
        named("expression.h5ad", stretched()),
        "expression.h5ad must unpack to at most 250 times its size, but got 4,000,000,000,000 "
        "bytes out of …. Look at what it holds, and unpack it yourself if it is meant so.",
    ),
    "10x without labels": Case(
        named("expression.h5", tenx()),
        "Beside a 10x matrix the labels must stand in a second table, but got only expression.h5."
        " Name the table in cohort.table.labels.",
    ),
    "10x without barcodes": Case(
        beside("expression.h5", tenx(barcodes=None)),
        "expression.h5 must hold a 10x feature-barcode matrix (a group with data, indices, "
        "indptr, shape, barcodes and features), but got data, features, indices, indptr, shape. "
        "Write it as .h5ad.",
    ),
    "10x with an index out of range": Case(
        beside("expression.h5", tenx(indices=np.array([0, 7] * 4))),
        "expression.h5 must be a 10x feature-barcode matrix that can be read to its end, "
        "but got: …. Fetch or "
        "export it again.",
    ),
    "transposed h5ad": Case(
        Files(
            {"expression.h5ad": h5ad(), "labels.csv": LABELS.encode()},
            {"labels": "labels.csv", "genes_in": "rows"},
        ),
        "expression.h5ad must have its genes in rows, as stated, but got labelled samples there "
        "(4 of 4: s1, s2, s3, s4). The matrix is transposed: state genes_in: columns.",
    ),
    "labels on both sides of h5ad": Case(
        named(
            "expression.h5ad",
            h5ad(var=pd.DataFrame({"tumour_type": list("AB")}, index=["g1", "g2"])),
            genes_in="auto",
        ),
        "expression.h5ad must have the labels, 'tumour_type', beside its samples, but got them on"
        " both sides. State genes_in and label_column, or name a table of labels (`labels`).",
    ),
    "10x of another shape": Case(
        beside("expression.h5", tenx(shape=np.array([3, 4]))),
        "data of expression.h5 must have a row and a column for each name, (4, 2), but got (4, "
        "3). Write the file again.",
    ),
}

TCGA_CASES = {
    "empty file": Case(
        tcga("", TCGA_SAMPLES),
        "expression.tsv must hold a table, but got an empty file. Fetch or export it again.",
    ),
    "header only": Case(
        tcga(TCGA.partition("\n")[0] + "\n", TCGA_SAMPLES),
        "expression.tsv must have rows below its header, but got none. Export it again.",
    ),
    "text in a number": Case(
        tcga(TCGA.replace("\t5", "\thigh"), TCGA_SAMPLES),
        "expression.tsv, line 2: column 'TCGA-OR-A5J3-01A-11R-A29S-07' of row 'TP53|7157' must be"
        " a number, but got 'high'. Correct the cell, or move columns that are no genes to "
        "another table.",
    ),
    "infinity": Case(
        tcga(TCGA.replace("\t5", "\tinf"), TCGA_SAMPLES),
        "expression.tsv: expression must be finite, but got inf for gene 7157 in sample TCGA-"
        "OR-A5J3-01A-11R-A29S-07 (genes with such values: 1). Correct it, even if it is only too "
        "large for float32.",
    ),
    "short row": Case(
        tcga(TCGA.replace("\t5", ""), TCGA_SAMPLES),
        "expression.tsv, line 2: every row must have 5 cells, like the header, but got 4 in row "
        "'TP53|7157'. Check the delimiter and the end of the file.",
    ),
    "duplicate gene": Case(
        tcga(TCGA.replace("EGFR|1956", "P53|7157"), TCGA_SAMPLES),
        "Every gene in expression.tsv must stand once, but got more often: 7157. Drop or rename the repeats.",
    ),
    "no labels": Case(
        tcga(TCGA, ""),
        "samples.tsv must hold a table, but got an empty file. Fetch or export it again.",
    ),
    "labels for none": Case(
        tcga(TCGA, TCGA_SAMPLES.replace("TCGA-OR", "TCGA-XX")),
        "Columns of expression.tsv must be labelled by barcodes of samples.tsv, but got none in "
        "common: TCGA-OR-A5J1-01A-11R-A29S-07, TCGA-OR-A5J2-01A-11R-A29S-07 against TCGA-"
        "XX-A5J1-01A-11R-A29S-07, TCGA-XX-A5J2-01A-11R-A29S-07. Check that the files belong "
        "together.",
    ),
    "labels without cancer_type": Case(
        tcga(TCGA, TCGA_SAMPLES.replace("cancer_type", "type")),
        "samples.tsv must have the columns barcode, cancer_type, but lacks cancer_type (its "
        "columns are barcode, type). Name the columns so.",
    ),
    "one type": Case(
        tcga(TCGA, TCGA_SAMPLES.replace("UVM", "ACC")),
        "At least two tumour types must have 1 patients or more, but got 1 (patients by type: ACC"
        " (4)). Add samples, correct the labels or lower smallest_type.",
    ),
    "no sample of a kept type": Case(
        tcga(TCGA, TCGA_SAMPLES, sample_types=["06"], more_sample_types={}),
        "Some samples must be of the types 06, but got only 01. Correct sample_types.",
    ),
    "every gene missing somewhere": Case(
        tcga(TCGA.replace("\t5", "\tNA").replace("\t6", "\tNA"), TCGA_SAMPLES),
        "Some gene must have a value in every kept sample, but got none (genes missing by type: "
        "UVM 2). Set missing: zero, or drop types.",
    ),
    "no gene with a name": Case(
        tcga(TCGA.replace("TP53|", "?|").replace("EGFR|", "?|"), TCGA_SAMPLES, unnamed="drop"),
        "Some gene must have a symbol, but got none with one. Set unnamed: keep.",
    ),
    "smallest type too large": Case(
        tcga(TCGA, TCGA_SAMPLES, smallest_type=5),
        "At least two tumour types must have 5 patients or more, but got 0 (patients by type: ACC"
        " (2), UVM (2)). Add samples, correct the labels or lower smallest_type.",
    ),
}


def put(raw: Path, given: Files) -> None:
    for name, content in given.files.items():
        (raw / name).write_bytes(content)


def read(source: str, given: Files, raw: Path) -> Cohort:
    module = find_source(source)
    options = SHIPPED[source] | {"smallest_type": 1} | dict(given.options)
    return module.read(parse(module.Options, options, source), raw)[0]


def need_said(case: Case, refusal: Exception, raw: Path) -> None:
    said = str(refusal).replace(f"{raw}/", "")
    assert re.fullmatch(re.escape(case.said).replace("…", ".+"), said), said
    assert "\n" not in said
    assert len(said) < LONGEST_MESSAGE


@pytest.mark.parametrize("name", CASES)
def test_a_table_is_refused_in_one_sentence(tmp_path, name):
    put(tmp_path, CASES[name].given)
    with pytest.raises(CohortError) as refusal:
        read("table", CASES[name].given, tmp_path)
    need_said(CASES[name], refusal.value, tmp_path)


@pytest.mark.parametrize("name", TCGA_CASES)
def test_tcga_files_are_refused_in_one_sentence(tmp_path, name):
    put(tmp_path, TCGA_CASES[name].given)
    with pytest.raises(CohortError) as refusal:
        read("tcga", TCGA_CASES[name].given, tmp_path)
    need_said(TCGA_CASES[name], refusal.value, tmp_path)


def test_there_are_enough_of_them():
    assert len(CASES) + len(TCGA_CASES) >= 60
    assert len({case.said for case in CASES.values()}) > 60


# What looks bad and is not: it is read, and the same cohort comes of it.
READ = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "Windows line ends": GOOD.replace("\n", "\r\n").encode(),
    "old Mac line ends": GOOD.replace("\n", "\r").encode(),
    "no line end at the end": GOOD.rstrip("\n").encode(),
    "quotes around everything": re.sub(r"([^,\n]+)", r'"\1"', GOOD).encode(),
    "space around ids and labels": GOOD.replace("s2,A", " s2 ,A ").encode(),
    "packed under a plain name": gzip.compress(GOOD.encode()),
    "zstd under a plain name": zstd(GOOD.encode()),
    "semicolons": GOOD.replace(",", ";").encode(),
    "decimal commas": re.sub(r";(\d)", r";\1,0", GOOD.replace(",", ";")).encode(),
    "tabs under .csv": GOOD.replace(",", "\t").encode(),
    "blanks": GOOD.replace(",", " ").encode(),
    "comments above": b"# made by hand\n#\n\n" + GOOD.encode(),
    "a header that begins with #": b"#" + GOOD.encode(),
}


@pytest.mark.parametrize("name", READ)
def test_what_only_looks_bad_is_read(tmp_path, name):
    (tmp_path / "expression.csv").write_bytes(READ[name])
    cohort = read("table", Files({}), tmp_path)
    assert cohort.expression.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert list(cohort.samples.index) == ["s1", "s2", "s3", "s4"]
    assert list(cohort.samples["tumour_type"]) == ["A", "A", "B", "B"]
    assert list(cohort.genes.index) == ["g1", "g2"]


def test_a_folder_a_broken_link_and_a_loop_are_no_files(tmp_path):
    said = Case(Files({}), "expression.csv must be a file, but got a folder or a broken link. Name a file.")
    path = tmp_path / "expression.csv"
    for make in (path.mkdir, lambda: path.symlink_to("nowhere"), lambda: path.symlink_to("expression.csv")):
        make()
        with pytest.raises(CohortError) as refusal:
            read("table", Files({}), tmp_path)
        need_said(said, refusal.value, tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD)
    (tmp_path / "expression.csv").chmod(0)
    with pytest.raises(CohortError, match="must be readable from start to end, but got: .*Permission denied"):
        read("table", Files({}), tmp_path)


def test_a_file_that_may_not_be_opened(tmp_path, monkeypatch):
    """As without permission, which root does not lack."""
    (tmp_path / "expression.csv").write_text(GOOD)

    def refuse(path: Path, *arguments: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    said = "expression.csv must be readable from start to end, but got: …. Fetch or copy the file again."
    with pytest.raises(CohortError) as refusal:
        read("table", Files({}), tmp_path)
    need_said(Case(Files({}), said), refusal.value, tmp_path)


@pytest.mark.parametrize("then", [GOOD + "s5,B,9,9\n", GOOD[:-4]], ids=["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, then):
    path = tmp_path / "expression.csv"
    path.write_text(GOOD)
    header = formats.find_form

    def change(path: Path) -> list[str]:
        found = header(path)
        path.write_text(then)
        return found

    monkeypatch.setattr(formats, "find_form", change)
    said = (
        "expression.csv must stay as it is while it is read, but got changed meanwhile. "
        "Wait until it is written, then start again."
    )
    with pytest.raises(CohortError) as refusal:
        read("table", Files({}), tmp_path)
    need_said(Case(Files({}), said), refusal.value, tmp_path)


BOMB = (
    "expression.csv.gz must unpack to at most 25 times its size, but got … bytes out of …. "
    "Look at what it holds, and unpack it yourself if it is meant so."
)


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
@pytest.mark.parametrize("of", ["zeros", "rows"])
def test_a_bomb_is_not_followed(tmp_path, monkeypatch, pack, of):
    """Of one endless line, and of rows that are all well."""
    monkeypatch.setattr(file_content, "_LEAST_UNPACKED", 1 << 16)
    monkeypatch.setattr(file_content, "_MOST_UNPACKED_TIMES", 25)
    body = b"0" * (8 << 20) if of == "zeros" else b"s1,A,1,2\n" * (1 << 17)
    (tmp_path / "expression.csv.gz").write_bytes(pack(b"sample,tumour_type,g1,g2\n" + body))
    with pytest.raises(CohortError) as refusal:
        read("table", Files({}), tmp_path)
    need_said(Case(Files({}), BOMB), refusal.value, tmp_path)


def test_a_bomb_in_a_workbook_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(file_content, "_LEAST_UNPACKED", 1 << 16)
    (tmp_path / "expression.xlsx").write_bytes(archive(64 << 20))
    with pytest.raises(
        CohortError, match="must unpack to at most 250 times its size, but got 67,108,864 bytes"
    ):
        read("table", Files({}), tmp_path)


def test_a_bomb_in_parquet_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(file_content, "_LEAST_UNPACKED", 1 << 16)
    pd.DataFrame({"g1": np.zeros(1 << 22)}).to_parquet(tmp_path / "expression.parquet")
    with pytest.raises(CohortError, match="must unpack to at most 250 times its size, but got"):
        read("table", Files({}), tmp_path)


def run_for_ever() -> None:
    while True:
        pass


def crash() -> None:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (run_for_ever, "a damage that makes its library run for ever"),
        (crash, "one that crashes its library"),
    ],
)
def test_a_file_that_would_hang_or_crash_the_process(tmp_path, monkeypatch, read, reason):
    monkeypatch.setattr(damage, "_PATIENCE", 0.2)
    path = tmp_path / "expression.h5ad"
    path.write_bytes(b"damaged")
    with pytest.raises(
        CohortError, match=f"must be an AnnData file, but got {reason}. Fetch or export it again"
    ):
        damage.refuse_deadly(path, "an AnnData file", read)


def test_nothing_is_read_by_a_child_where_making_one_may_crash_it(tmp_path, monkeypatch):
    monkeypatch.setattr(damage.platform, "system", lambda: "Darwin")
    damage.refuse_deadly(tmp_path / "expression.h5ad", "an AnnData file", crash)


def test_a_long_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(damage, "LONGEST_LINE", 1 << 10)
    (tmp_path / "expression.csv").write_text(GOOD.replace("5", "x" * 5000))
    said = "expression.csv, line 4: the line must be a row of the table, but got more than …. Correct it."
    with pytest.raises(CohortError) as refusal:
        read("table", Files({}), tmp_path)
    need_said(Case(Files({}), said), refusal.value, tmp_path)


# Linux hands a child made by vfork its parent's `ru_maxrss`; VmHWM is the process's own.
LIMITED = """
import re
import sys
from pathlib import Path
from expressionist.commands.app import main
sys.argv = ["expressionist", *sys.argv[1:]]
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def write_params(folder: Path, **options: object) -> None:
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["cohort"] |= {"source": "table", "table": SHIPPED["table"] | {"smallest_type": 1} | options}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.mark.parametrize("at", ["header", "body"])
def test_a_line_of_10_gb_costs_no_memory(tmp_path, at):
    """A sparse file: 10 GB of NUL without a line end, in a process whose memory is measured."""
    (tmp_path / "raw").mkdir()
    path = tmp_path / "raw" / "expression.csv"
    path.write_text("sample,tumour_type,g1\n" if at == "body" else "sample", encoding="utf-8")
    os.truncate(path, 10 << 30)
    write_params(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "prepare", "--raw", "raw", "--out", "cohort"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("expressionist: ")
    assert done.stderr.count("\n") == 1
    assert "expression.csv" in done.stderr
    assert int(done.stdout) < 2 << 20, "kilobytes"
    assert not (tmp_path / "cohort").exists()


@pytest.fixture
def prepare(tmp_path, monkeypatch, capsys):
    """Run the stage `prepare` in a folder with params: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()

    def run(given: Files) -> tuple[int, str, str]:
        for old in (tmp_path / "raw").iterdir():
            old.unlink()
        put(tmp_path / "raw", given)
        write_params(tmp_path, **given.options)
        monkeypatch.setattr(sys, "argv", ["expressionist", "prepare", "--raw", "raw", "--out", "cohort"])
        try:
            command_line.main()
        except SystemExit as ended:
            return ended.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "name", ["empty file", "truncated gzip", "NaN", "mixed ids", "labels for half", "h5ad without X"]
)
def test_a_stage_refuses_in_one_line_and_loses_nothing(prepare, tmp_path, name):
    code, printed, said = prepare(CASES[name].given)
    assert (code, printed) == (2, "")
    assert said.startswith("expressionist: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "cohort").exists()

    assert prepare(csv(GOOD))[0] == 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / "cohort").iterdir()}
    assert prepare(CASES[name].given)[0] == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "cohort").iterdir()} == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort", "params.yaml", "raw"]
