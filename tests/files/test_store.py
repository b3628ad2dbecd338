"""What the stages hand to each other: the same out as in, and whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort, write_cohort
from expressionist.data.readers.user_table import read_user_table
from expressionist.data.split import read_split, write_split
from expressionist.errors import CohortError
from expressionist.evaluation.predictions import read_predictions, tabulate_predictions, write_predictions
from expressionist.files.digests import md5
from expressionist.files.store import (
    read_array,
    read_arrays,
    read_json,
    read_table,
    write_array,
    write_arrays,
    write_json,
    write_table,
    write_whole,
)
from expressionist.painting.layout_file import read_layout, write_layout
from expressionist.report.figures.drawing import write_figure
from toy import fork, kill_me, make_cohort, make_layout, make_scale


def fail_in(path: Path) -> None:
    with write_whole(path) as partial:
        partial.write_text("new", encoding="utf-8")
        raise KeyboardInterrupt


def fail_in_folder(path: Path) -> None:
    with write_whole(path) as partial:
        partial.mkdir()
        (partial / "new").touch()
        raise KeyboardInterrupt


def die_in(path: Path) -> None:
    with write_whole(path) as partial:
        partial.write_text("ne", encoding="utf-8")
        kill_me()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        fail_in(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["out.txt"]


def test_a_folder_that_fails_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(KeyboardInterrupt):
        fail_in_folder(path)
    assert names_in(path) == ["old"]
    assert names_in(tmp_path) == ["out"]


def test_a_folder_is_replaced_and_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    path.mkdir(parents=True)
    (path / "old").touch()
    with write_whole(path) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert names_in(path) == ["new"]


def test_a_kill_leaves_the_old_file_and_the_next_write_tidies_up(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json(path, {"is": "old"})
    assert fork(lambda: die_in(path)) == -9
    assert read_json(path) == {"is": "old"}
    write_json(path, {"is": "new"})
    assert read_json(path) == {"is": "new"}
    assert names_in(tmp_path) == ["out.json"]


def test_md5_tells_contents_and_names(tmp_path: Path) -> None:
    for folder, name, text in [("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    digests = {folder: md5(tmp_path / folder) for folder in "abcd"}
    assert digests["a"] == digests["b"]
    assert len(set(digests.values())) == 3
    assert md5(tmp_path / "a" / "x") == "c4ca4238a0b923820dcc509a6f75849b"  # md5 of "1"


def test_a_folder_has_the_md5_that_dvc_gives_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, text in (("x", "1"), ("sub/y", "2"), ("sub-z", "3"), ("é", "ü")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    # As dvc.lock had it.
    assert md5(tmp_path) == "8d10c7a0c095d26bec25eab47aaf2449.dir"


def test_json_takes_what_numpy_gives(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(
        path, {"n": np.int64(3), "x": np.float32(0.5), "all": np.arange(2), "yes": np.array([True])[0]}
    )
    assert read_json(path) == {"n": 3, "x": 0.5, "all": [0, 1], "yes": True}


def test_json_refuses_what_it_would_have_to_make_up(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Path"):
        write_json(tmp_path / "a.json", {"path": tmp_path})
    assert names_in(tmp_path) == []


def test_a_table_gives_float32_back_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(size=5000) * 10.0 ** rng.integers(-30, 30, 5000)).astype(np.float32)
    write_table(tmp_path / "a.tsv", pd.DataFrame({"x": values}), index=False)
    assert read_table(tmp_path / "a.tsv")["x"].to_numpy(np.float32).tolist() == values.tolist()


def test_a_gene_may_be_called_na(tmp_path: Path) -> None:
    table = pd.DataFrame({"gene": ["NA", "nan", "01"], "x": [1.0, np.nan, 2.0]}).set_index("gene")
    write_table(tmp_path / "a.tsv", table)
    found = read_table(tmp_path / "a.tsv", index="gene")
    assert found.index.tolist() == ["NA", "nan", "01"]
    assert found["x"].isna().tolist() == [False, True, False]


def test_a_cohort_comes_back_as_it_was(tmp_path: Path) -> None:
    cohort = make_cohort()
    write_cohort(tmp_path / "cohort.h5ad", cohort)
    found = read_cohort(tmp_path / "cohort.h5ad")
    assert not found.expression.flags.owndata, "it is to stay in the file"
    assert (found.name, found.unit, found.synthetic) == (cohort.name, cohort.unit, True)
    np.testing.assert_array_equal(found.expression, cohort.expression)
    pd.testing.assert_frame_equal(found.samples, cohort.samples, check_names=False)
    pd.testing.assert_frame_equal(found.genes, cohort.genes, check_names=False)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_cohort_opens_backed_however_it_lay_in_memory(tmp_path: Path, order: str) -> None:
    cohort = make_cohort(n_per_type=100)
    lying = replace(cohort, expression=np.asarray(cohort.expression, order=order))
    write_cohort(tmp_path / "cohort.h5ad", lying)
    data = anndata.read_h5ad(tmp_path / "cohort.h5ad", backed="r")
    np.testing.assert_array_equal(data.X[[0, 255, 256, 299]], cohort.expression[[0, 255, 256, 299]])
    assert list(data.obs_names) == list(cohort.samples.index)


def test_an_h5ad_of_somebody_else_is_refused(tmp_path: Path) -> None:
    anndata.AnnData(np.ones((2, 3), np.float32)).write_h5ad(tmp_path / "cohort.h5ad")
    with pytest.raises(CohortError, match="must hold a cohort with its unit"):
        read_cohort(tmp_path / "cohort.h5ad")


def test_a_layout_comes_back_as_it_was(tmp_path: Path) -> None:
    layout, scale, genes = make_layout(7, (4, 3)), make_scale(7), make_cohort(n_genes=7).genes
    write_layout(tmp_path / "layout", layout, scale, genes, {"unit": "counts", "cohort": "toy"})
    found, found_scale, found_genes, about = read_layout(tmp_path / "layout")
    assert found.genes.tolist() == layout.genes.tolist()
    assert found.pixel.tolist() == layout.pixel.tolist()
    assert (found.shape, found.method) == ((4, 3), "random")
    np.testing.assert_array_equal(found_scale.low, scale.low)
    np.testing.assert_array_equal(found_scale.span, scale.span)
    assert (found_genes["pixel"] == found_genes["row"] * 3 + found_genes["column"]).all()
    assert (about["unit"], about["cohort"]) == ("counts", "toy")


def test_an_array_is_written_block_by_block_and_memory_mapped(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).random((7, 2, 3)).astype(np.float32)
    write_array(tmp_path / "a.npy", (whole[start : start + 3] for start in range(0, 7, 3)), whole.shape)
    found = read_array(tmp_path / "a.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, whole)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


@pytest.mark.parametrize("n_rows", [2, 4])
def test_an_array_of_another_length_is_not_written(tmp_path: Path, n_rows: int) -> None:
    blocks = iter([np.zeros((n_rows, 2), np.float32)])
    with pytest.raises(ValueError, match=f"3 rows were announced, but got {n_rows}"):
        write_array(tmp_path / "a.npy", blocks, (3, 2))
    assert not list(tmp_path.iterdir())


def test_rows_of_another_shape_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) per row was announced, but got \(3, 2\)"):
        write_array(tmp_path / "a.npy", iter([np.zeros((1, 3, 2), np.float32)]), (1, 2, 3))
    assert not list(tmp_path.iterdir())


def test_named_arrays_come_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", one=np.arange(3), two=np.full((2, 2), np.nan))
    found = read_arrays(tmp_path / "a.npz")
    assert found["one"].tolist() == [0, 1, 2]
    assert np.isnan(found["two"]).all()


def test_the_same_figure_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        figure, axes = plt.subplots()
        axes.plot([0, 1])
        write_figure(tmp_path / name, figure)
        plt.close(figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_predictions_come_back_side_by_side(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"patient": ["p", "q", "r"], "split": ["test", "validation", "test"], "tumour_type": ["B", "A", "A"]},
        index=pd.Index(["1", "2", "3"], name="sample"),
    )
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0], [0.4, 0.6]])
    write_predictions(tmp_path / "p.tsv", tabulate_predictions(rows, probabilities, ["A", "B"]))
    found, values, truth, types = read_predictions(tmp_path / "p.tsv", "test")
    assert found.index.tolist() == ["1", "3"]
    assert found["predicted"].tolist() == ["B", "B"]
    assert (truth.tolist(), types) == ([1, 0], ["A", "B"])
    np.testing.assert_array_equal(values, probabilities[[0, 2]])


@pytest.mark.parametrize(
    ("name", "separator"), [("t.tsv", "\t"), ("t.csv", ","), ("t.tsv.gz", "\t"), ("t.csv.gz", ",")]
)
@pytest.mark.parametrize("genes_in", ["columns", "rows"])
def test_a_users_table_is_read_either_way(tmp_path: Path, name: str, separator: str, genes_in: str) -> None:
    table = pd.DataFrame(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], index=["01", "NA"], columns=["7157", "TP53|1", "NA"]
    )
    (table if genes_in == "columns" else table.T).to_csv(tmp_path / name, sep=separator)
    found = read_user_table(tmp_path / name, genes_in)
    assert found.index.tolist() == ["01", "NA"]
    assert found.columns.tolist() == ["7157", "TP53|1", "NA"]
    assert found.to_numpy().tolist() == table.to_numpy().tolist()


def test_a_table_as_r_writes_it_has_no_name_for_its_first_column(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("TP53\tKRAS\nS1\t1\t2\nS2\t3\t4\n", encoding="utf-8")
    found = read_user_table(tmp_path / "t.tsv", "columns")
    assert (found.index.tolist(), found.columns.tolist()) == (["S1", "S2"], ["TP53", "KRAS"])
    assert found.to_numpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8bnot gzip"])
def test_a_table_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.tsv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CohortError, match="must be a readable table") as refused:
        read_user_table(path, "columns")
    assert "\n" not in str(refused.value)


def test_genes_can_be_in_rows_or_columns_only(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="must be columns or rows, but got 'diagonal'"):
        read_user_table(tmp_path / "t.tsv", "diagonal")


def test_split_keeps_the_order_of_the_cohort(tmp_path: Path) -> None:
    cohort = make_cohort(n_per_type=2)
    sides = pd.Series(["train", "test", "train", "validation", "train", "test"], index=cohort.samples.index)
    write_split(tmp_path / "split.tsv", cohort, sides)
    found = read_split(tmp_path / "split.tsv")
    assert found.columns.tolist() == ["patient", "tumour_type", "split"]
    assert found["split"].tolist() == sides.tolist()
    assert json.dumps(found.index.tolist()) == json.dumps(cohort.samples.index.tolist())


def test_a_repeated_column_is_refused_before_pandas_renames_it(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("sample\tTP53\tMYC\tTP53\ns1\t1\t2\t3\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"must have a name of its own, but TP53 stand more often"):
        read_user_table(path, "columns")
