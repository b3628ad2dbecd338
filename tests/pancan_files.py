"""Small files of the true layout of the Pan-Cancer Atlas."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd

from expressionist.data.sources import _pancan

GENES = ["?|10357", "SLC35E2|728661", "SLC35E2|9906", "TP53|7157", "XIST|7503", "GA_ONLY|1"]
MIRNAS = ["hsa-let-7a-5p", "hsa-miR-21-5p", "hsa-miR-9-3p"]
HISEQ, GA = "IlluminaHiSeq_RNASeqV2", "IlluminaGA_RNASeqV2"
# Barcode, type in the annotations, platform, Do_not_use, AWG_excluded_because_of_pathology. One per column of
# the expression, in its order; None: no annotation.
ALIQUOTS = [
    ("TCGA-AA-0001-01A-11R-A001-07", "ACC", HISEQ, "False", "0"),
    ("TCGA-AA-0001-01B-11R-A001-07", "ACC", HISEQ, "FALSE", "0.0"),
    ("TCGA-AA-0002-01A-11R-A001-07", "ACC", GA, "False", "0"),
    ("TCGA-AA-0002-11A-11R-A001-07", "ACC", HISEQ, "False", "0"),
    ("TCGA-AA-0008-01A-11R-A001-07", "ACC", HISEQ, "True", "0"),
    ("TCGA-AA-0009-01A-11R-A001-07", "ACC", HISEQ, "False", "1.0"),
    ("TCGA-AB-0003-03A-11R-A001-07", "LAML", GA, "False", "NA"),
    ("TCGA-AB-0004-03A-11R-A001-07", "LAML", HISEQ, "0", ""),
    ("TCGA-CC-0005-06A-11R-A001-07", "SKCM", HISEQ, "False", "0"),
    ("TCGA-CC-0006-01A-11R-A001-07", "SKCM", GA, "False", "0"),
    ("TCGA-CC-0006-01A-11R-A001-07", "SKCM", HISEQ, "False", "0"),
    ("TCGA-CC-0007-01A-11R-A001-07", None, "", "", ""),
    ("TCGA-ZZ-0010-01A-11R-A001-07", None, "", "", ""),
]
# Rows of the annotations without a column, and second rows of one.
MORE = [
    ("TCGA-AA-0002-01A-11R-A001-07", "ACC", HISEQ, "False", "0"),
    ("TCGA-AA-0001-10A-01D-A001-01", "ACC", "Genome_Wide_SNP_6", "False", "0"),
]
TYPES = {"TCGA-AA-0001": "ACC", "TCGA-AA-0002": "UVM", "TCGA-AB-0003": "LAML"}
TYPES |= {"TCGA-CC-0005": "SKCM", "TCGA-CC-0007": "SKCM"}
CELLS = {(0, 0): "-0.6", (5, 7): "NA", (5, 8): "", (4, 3): "NA"}


def write_expression(path: Path, *, mirna: bool = False, aliquots=ALIQUOTS, cells=CELLS) -> None:
    """Write genes in rows; a value of gene g in column c is 10 c + g unless said otherwise."""
    genes, mark = (MIRNAS, ",") if mirna else (GENES, "\t")
    before = ["Genes", "Correction"] if mirna else ["gene_id"]
    lines = [mark.join([*before, *(aliquot[0] for aliquot in aliquots)])]
    for g, gene in enumerate(genes):
        words = [gene, "Corrected" if g else "Uncorrected"] if mirna else [gene]
        values = [cells.get((g, c), f"{10 * c + g}.0") for c in range(len(aliquots))]
        lines.append(mark.join([*words, *values]))
    path.write_text("\n".join(lines) + "\n")


def write_annotations(path: Path, rows=(*ALIQUOTS, *MORE)) -> None:
    header = (
        "patient_barcode\taliquot_barcode\tcancer type\tplatform\tpatient_annotation\tsample_annotation\t"
        "aliquot_annotation\taliquot_annotation_updated\tAWG_excluded_because_of_pathology\t"
        "AWG_pathology_exclusion_reason\tReviewed_by_EPC\tDo_not_use"
    )
    lines = [header]
    for barcode, tumour_type, platform, do_not_use, excluded in rows:
        if tumour_type is not None:
            note = "Notification:Pipeline differs" if tumour_type == "LAML" else ""
            words = [barcode[:12], barcode, tumour_type, platform, note, "", "", "", excluded, "", "0"]
            lines.append("\t".join([*words, do_not_use]))
    path.write_text("\n".join(lines) + "\n")


def write_clinical(path: Path, types=TYPES) -> None:
    table = pd.DataFrame({"bcr_patient_barcode": list(types), "type": list(types.values()), "OS": "1"})
    with pd.ExcelWriter(path) as book:
        # Like the real one: a first column of row numbers without a name, and further sheets.
        table.to_excel(book, sheet_name="TCGA-CDR")
        pd.DataFrame({"note": ["x"]}).to_excel(book, sheet_name="TCGA-CDR-Notes")


def write_raw(raw: Path, *, mirna: bool = False) -> Path:
    """Write a raw folder, as `fetch` leaves it."""
    write_expression(raw / ("expression.csv" if mirna else "expression.geneExp.tsv"), mirna=mirna)
    write_annotations(raw / "annotations.tsv")
    write_clinical(raw / "clinical.xlsx")
    return raw


def publish(monkeypatch, server, folder: Path, source, *, mirna: bool = False) -> dict[str, bytes]:
    """Write the files, serve them by their UUIDs, and give the source their size and md5."""
    raw = write_raw(folder, mirna=mirna)
    bodies = {}
    for owner, name in ((source, "EXPRESSION"), (_pancan, "ANNOTATIONS"), (_pancan, "CLINICAL")):
        (path,) = raw.glob(f"{name.lower()}.*")
        body = bodies[name.lower()] = path.read_bytes()
        published = getattr(owner, name)
        server.files[f"/data/{published.address}"] = body
        md5 = hashlib.md5(body).hexdigest()
        monkeypatch.setattr(owner, name, replace(published, size=len(body), md5=md5))
    return bodies
