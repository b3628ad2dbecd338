"""Short names are spelled out where they are known, and only there."""

import numpy as np
import pandas as pd

from expressionist.report.glossary import link_genes, spell_types


def test_labels_of_an_own_cohort_are_left_as_they_are() -> None:
    assert list(spell_types(["T0", "STAD", "luad", "STAD"])) == ["STAD"]


def test_genes_link_to_the_most_specific_page_known() -> None:
    genes = pd.DataFrame(
        {"entrez": ["7299", np.nan, "", ""], "ensembl": ["ENSG00000077498", "ENSG00000000003", "", np.nan]},
        index=["7299", "ENSG00000000003", "MIMAT0000062", "SYN00001"],
    )
    links = link_genes(genes)
    assert list(links) == ["7299", "ENSG00000000003", "MIMAT0000062"]
    assert [link.rsplit("/", 2)[1:] for link in links.values()] == [
        ["gene", "7299"],
        ["id", "ENSG00000000003"],
        ["mature", "MIMAT0000062"],
    ]
    assert link_genes(genes[[]].drop("MIMAT0000062")) == {}
