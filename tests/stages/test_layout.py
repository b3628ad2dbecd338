"""The stage that lays genes out: gene sets and the list of genes come from files in the incoming folder."""

import json

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.data.units import LOG2_UNIT
from expressionist.errors import CohortError
from expressionist.params.sections import ExpressionParams, LayoutParams
from expressionist.stages import layout as stage


@pytest.fixture
def paths(monkeypatch, tmp_path):
    genes = pd.DataFrame({"symbol": [f"S{n}" for n in range(96)]}, index=[f"g{n}" for n in range(96)])
    expression = np.random.default_rng(2).normal(5, 1, (30, 96)).astype(np.float32)
    ids = [f"s{number}" for number in range(30)]
    samples = pd.DataFrame({"patient": ids, "tumour_type": "UVM"}, index=pd.Index(ids, name="sample"))
    cohort = Cohort("toy", expression, samples, genes.rename_axis("gene"), LOG2_UNIT)
    monkeypatch.setattr(stage, "read_cohort", lambda _: cohort)
    monkeypatch.setattr(stage, "read_split", lambda _: samples.assign(split=["train", "validation"] * 15))
    return {name: tmp_path / name for name in ("cohort", "split", "out")} | {"lists": tmp_path}


def test_the_stage_reads_the_file_and_says_what_it_found(paths, tmp_path, capsys):
    (tmp_path / "mine.gmt").write_text("A\t\tS1\tS2\tX\nB\t\tS3\nC\t\tX\n", encoding="utf-8")
    stage.run(ExpressionParams(96), LayoutParams("pathway", 1, {"gene_sets": "mine.gmt"}), **paths)
    about = json.loads((tmp_path / "out" / "layout.json").read_text())
    assert (about["n_genes_in_sets"], about["n_gene_sets"]) == (3, 2)
    assert "3 genes in 2 gene sets, 93 in none" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(CohortError, match="other.gmt, which cannot be read"):
        stage.run(ExpressionParams(96), LayoutParams("pathway", 1, {"gene_sets": "other.gmt"}), **paths)


def test_genes_are_chosen_from_a_list(paths, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("g3\nS1\r\n\n g7 \nMYC\nS3\n", encoding="utf-8")
    stage.run(ExpressionParams(96, genes="mine.txt"), LayoutParams("random", 1, {}), **paths)
    about = json.loads((tmp_path / "out" / "layout.json").read_text())
    assert {
        name: about[name] for name in ("n_genes", "n_genes_of_cohort", "n_listed", "n_listed_missing")
    } == {
        "n_genes": 3,
        "n_genes_of_cohort": 96,
        "n_listed": 5,
        "n_listed_missing": 1,
    }
    assert about["listed_missing"] == ["MYC"]
    table = (tmp_path / "out" / "genes.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in table[1:]] == ["g1", "g3", "g7"]
    assert "1 of 5 listed genes missing" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(CohortError, match="other.txt, which cannot be read"):
        stage.run(ExpressionParams(96, genes="other.txt"), LayoutParams("random", 1, {}), **paths)
