"""Gene sets and the layout that is made of them."""

import json

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import LOG2_UNIT, Cohort
from expressionist.data.gene_sets import assign_sets, parse_gene_sets, read_gene_sets
from expressionist.errors import CohortError, ParamsError
from expressionist.painting.layouts import place_genes
from expressionist.painting.layouts._curve import trace_curve
from expressionist.painting.layouts.pathway import place
from expressionist.params.sections import ExpressionParams, LayoutParams
from expressionist.stages import layout as stage

N_MODULES, SIZE = 6, 16
GENES = pd.DataFrame(
    {"symbol": [f"S{number}" for number in range(N_MODULES * SIZE)]},
    index=[f"g{number:03d}" for number in np.random.default_rng(1).permutation(N_MODULES * SIZE)],
)


def make_expression(module, n_samples=30, seed=2):
    rng = np.random.default_rng(seed)
    profiles = rng.normal(size=(n_samples, module.max() + 1))
    return (profiles[:, module] + 0.3 * rng.normal(size=(n_samples, len(module)))).astype(np.float32)


def rng():
    return np.random.default_rng(1)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("A\tlink\tTP53\tMYC\n\nB\t\tEGFR\t\n A \tmore\tKRAS \r\n", encoding="utf-8")
    assert read_gene_sets(path) == {"A": ["TP53", "MYC", "KRAS"], "B": ["EGFR"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A\tlink\tTP53\nB\tlink\n", "line 2 has 'B"),
        ("A,link,TP53\n", "line 1 has 'A,link,TP53'. Give a GMT file"),
        ("\tlink\tTP53\n", "line 1"),
        ("\n\n", "must hold gene sets, but has none"),
    ],
)
def test_what_is_no_gmt_is_refused(text, told):
    with pytest.raises(CohortError, match=told):
        parse_gene_sets(text, "sets.gmt")


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(CohortError, match=r"sets\.gmt, which cannot be read: No such file"):
        read_gene_sets(tmp_path / "sets.gmt")
    (tmp_path / "sets.gmt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CohortError, match="cannot be read: it is not text"):
        read_gene_sets(tmp_path / "sets.gmt")


def test_a_gene_goes_to_the_smallest_set_that_holds_it():
    genes = pd.DataFrame({"symbol": ["A", "B", "C", None, "D"]}, index=["1", "2", "3", "4", "5"])
    # What counts is how many genes of the table a set has, not of how many it tells.
    sets = {"big": ["A", "B", "C", "4"], "small": ["B", "3", "X", "Y", "Z"], "also": ["2", "C"]}
    assert assign_sets(genes, sets).tolist() == ["big", "also", "also", "big", None]
    assert assign_sets(genes.drop(columns="symbol"), {"one": ["2", "A"]}).tolist() == [
        None,
        "one",
        None,
        None,
        None,
    ]


def test_sets_without_a_gene_of_the_cohort_are_refused():
    with pytest.raises(CohortError, match="got X, Y, of which none is among the 96: g"):
        assign_sets(GENES, {"one": ["X"], "two": ["Y", "X"]})


@pytest.mark.parametrize("shape", [(8, 12), (10, 10), (1, 96), (5, 7)])
def test_sets_are_runs_of_the_curve_and_the_rest_is_the_last(shape):
    module = np.random.default_rng(3).permutation(np.repeat(np.arange(N_MODULES), SIZE))
    expression = make_expression(np.zeros(N_MODULES * SIZE, int))
    expression[:, module == 2] = 0.1
    sets = {str(number): GENES["symbol"][module == number].tolist() for number in range(N_MODULES - 1)}
    pixel = place(expression, GENES, shape, rng(), gene_sets=sets)
    step = np.argsort(trace_curve(shape))[pixel]
    for number in range(N_MODULES):
        own, other = step[module == number], step[module != number]
        # Where genes share pixels, the first and last pixel of a set may be shared with another's genes.
        assert not ((other > own.min()) & (other < own.max())).any()
    assert step[module == N_MODULES - 1].min() >= step[module != N_MODULES - 1].max()


def test_like_sets_and_like_genes_stand_together():
    # Sets of eight genes each; two sets share a programme, and within a set two halves have one each.
    half = np.repeat(np.arange(12), 8)
    expression = make_expression(np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])[half])
    sets = {str(number): GENES.index[half // 2 == number].tolist() for number in range(6)}
    shuffled = np.random.default_rng(4).permutation(96)
    pixel = place(expression[:, shuffled], GENES.iloc[shuffled], (1, 96), rng(), gene_sets=sets)
    programme = (half % 6)[shuffled][np.argsort(pixel)]
    # 12 runs of one programme each, of which those at the joints of sets may be one.
    assert np.count_nonzero(np.diff(programme)) <= 11
    order = (half // 2)[shuffled][np.argsort(pixel)][::16]
    # Sets 0 and 3, 1 and 4, 2 and 5 have the same programmes.
    assert [abs(a - b) for a, b in order.reshape(3, 2)] == [3, 3, 3]


def test_constant_genes_come_last_in_their_set():
    expression = make_expression(np.zeros(96, int))
    expression[:, [5, 50]] = 0.1
    sets = {"one": GENES.index[:48].tolist(), "two": GENES.index[48:].tolist()}
    pixel = place(expression, GENES, (1, 96), rng(), gene_sets=sets)
    assert pixel[5] == pixel[:48].max()
    assert pixel[50] == pixel[48:].max()


@pytest.mark.parametrize("given", [None, "sets.gmt", 3])
def test_gene_sets_must_be_given(given):
    with pytest.raises(ParamsError, match=f"pathway: gene_sets must .* but got {given!r}"):
        place_genes("pathway", np.eye(96, dtype="f4"), GENES, (10, 10), rng(), gene_sets=given)


def test_the_stage_reads_the_file_and_says_what_it_found(monkeypatch, tmp_path, capsys):
    expression = make_expression(np.repeat(np.arange(N_MODULES), SIZE)) + 5
    ids = [f"s{number}" for number in range(30)]
    samples = pd.DataFrame({"patient": ids, "tumour_type": "UVM"}, index=pd.Index(ids, name="sample"))
    cohort = Cohort("toy", expression, samples, GENES.rename_axis("gene"), LOG2_UNIT)
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
