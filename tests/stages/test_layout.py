"""The stage that lays genes out: gene sets come from a file in the incoming folder."""

import json

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import LOG2_UNIT, Cohort
from expressionist.errors import CohortError
from expressionist.params.sections import ExpressionParams, LayoutParams
from expressionist.stages import layout as stage


def test_the_stage_reads_the_file_and_says_what_it_found(monkeypatch, tmp_path, capsys):
    genes = pd.DataFrame({"symbol": [f"S{n}" for n in range(96)]}, index=[f"g{n}" for n in range(96)])
    expression = np.random.default_rng(2).normal(5, 1, (30, 96)).astype(np.float32)
    ids = [f"s{number}" for number in range(30)]
    samples = pd.DataFrame({"patient": ids, "tumour_type": "UVM"}, index=pd.Index(ids, name="sample"))
    cohort = Cohort("toy", expression, samples, genes.rename_axis("gene"), LOG2_UNIT)
    monkeypatch.setattr(stage, "read_cohort", lambda _: cohort)
    monkeypatch.setattr(stage, "read_split", lambda _: samples.assign(split=["train", "validation"] * 15))
    (tmp_path / "mine.gmt").write_text("A\t\tS1\tS2\tX\nB\t\tS3\nC\t\tX\n", encoding="utf-8")
    paths = {name: tmp_path / name for name in ("cohort", "split", "out")} | {"incoming": tmp_path}
    stage.run(ExpressionParams(96), LayoutParams("pathway", 1, {"gene_sets": "mine.gmt"}), **paths)
    about = json.loads((tmp_path / "out" / "layout.json").read_text())
    assert (about["n_genes_in_sets"], about["n_gene_sets"]) == (3, 2)
    assert "3 genes in 2 gene sets, 93 in none" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(CohortError, match="other.gmt, which cannot be read"):
        stage.run(ExpressionParams(96), LayoutParams("pathway", 1, {"gene_sets": "other.gmt"}), **paths)
