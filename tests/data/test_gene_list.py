"""A list of genes to train on: names of any kind, counted where the cohort lacks them."""

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.data.gene_list import keep_listed
from expressionist.errors import CohortError


@pytest.fixture
def cohort():
    ids = pd.Index(["8085", "55016", "7157", "406991"], name="gene")
    genes = pd.DataFrame({"symbol": ["MLL2", "?", "TP53", "MIR21"], "entrez": ids, "ensembl": ""}, index=ids)
    samples = pd.DataFrame({"patient": ["p", "q"], "tumour_type": ["A", "B"]}, index=["s", "t"])
    return Cohort("toy", np.arange(8, dtype=np.float32).reshape(2, 4), samples, genes, "TPM")


def test_without_a_list_all_genes_stay(cohort, tmp_path):
    assert keep_listed(cohort, None, tmp_path) == (cohort, {})


def test_names_of_any_kind_are_found_in_the_order_of_the_cohort(cohort, tmp_path):
    names = ["hsa-mir-21", "ENSG00000145416.14", "MARCH1", "KMT2D|8085", "OLD3", "ER", "KMT2D"]
    (tmp_path / "list.txt").write_text("\n".join(names), encoding="utf-8-sig")
    kept, about = keep_listed(cohort, "list.txt", tmp_path)
    assert list(kept.genes.index) == ["8085", "55016", "406991"]
    np.testing.assert_array_equal(kept.expression, [[0, 1, 3], [4, 5, 7]])
    assert about == {"n_listed": 7, "n_listed_missing": 2, "listed_missing": ["OLD3", "ER"]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "list.txt, which cannot be read: No such file"),
        (b"\xff\xfe\x00", "list.txt, which cannot be read: it is not text"),
        (b"\n \n", "list.txt must name genes, one on each line, but has none"),
        (
            b"BRCA1\nMYC\n",
            "list.txt must name genes of the cohort, but got BRCA1, MYC, of which none is among its 4",
        ),
    ],
)
def test_refuses_in_one_sentence(cohort, tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(CohortError, match=sentence):
        keep_listed(cohort, "list.txt", tmp_path)
