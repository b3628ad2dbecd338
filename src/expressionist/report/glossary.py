"""What stands behind short names: tumour types behind their codes, and pages on genes behind their ids."""

import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from expressionist.data import read_resource
from expressionist.report.words import is_missing

_NCBI = "https://www.ncbi.nlm.nih.gov/gene/{}"
_ENSEMBL = "https://www.ensembl.org/id/{}"
# Accessions of miRBase: of stem-loops, and of mature miRNAs.
_MIRBASE = {"MI": "https://www.mirbase.org/hairpin/{}", "MIMAT": "https://www.mirbase.org/mature/{}"}
_ACCESSION = re.compile(r"(MI|MIMAT)\d{7}")


def spell_types(
    tumour_types: Iterable[str], merged: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str]:
    """Give the names of tumour types that are TCGA study codes, by code; labels of other kinds are left out.

    Types of `merged` have the names of all that they stand for.

    >>> spell_types(["READ", "my type", "COAD"])
    {'COAD': 'Colon adenocarcinoma', 'READ': 'Rectum adenocarcinoma'}
    >>> spell_types(["CRC"], {"CRC": ["COAD", "READ"]})
    {'CRC': 'Colon adenocarcinoma or Rectum adenocarcinoma'}
    """
    known = read_resource("tumour_types.tsv").set_index("code")["name"].to_dict()
    # At once, since a merged type may be called like one of those that it stands for.
    known |= {name: " or ".join(known.get(each, each) for each in of) for name, of in (merged or {}).items()}
    return {code: str(known[code]) for code in sorted(set(tumour_types) & set(known))}


def link_genes(genes: pd.DataFrame) -> dict[str, str]:
    """Find a page on every gene of a table that public databases know, by its id; invented genes have none.

    >>> genes = pd.DataFrame({"entrez": ["7299", None], "ensembl": ["", None]}, index=["TYR", "SYN1"])
    >>> link_genes(genes)
    {'TYR': 'https://www.ncbi.nlm.nih.gov/gene/7299'}
    """
    nothing = pd.Series("", genes.index)
    ids = (genes.get("entrez", nothing), genes.get("ensembl", nothing))
    found = {str(gene): _find_page(str(gene), *known) for gene, *known in zip(genes.index, *ids, strict=True)}
    return {gene: page for gene, page in found.items() if page}


def _find_page(gene: str, entrez: object, ensembl: object) -> str:
    if not is_missing(entrez) and entrez != "":
        return _NCBI.format(entrez)
    if not is_missing(ensembl) and ensembl != "":
        return _ENSEMBL.format(ensembl)
    accession = _ACCESSION.fullmatch(gene)
    return _MIRBASE[accession[1]].format(gene) if accession else ""
