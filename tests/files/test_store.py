"""What the stages hand to each other: the same out as in, and whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
from toy import fork, kill_me


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path, fail: Callable[[], None], *, is_folder: bool = False) -> None:
    with write_whole(path) as partial:
        if is_folder:
            partial.mkdir()
        (partial / "new" if is_folder else partial).write_text("ne", encoding="utf-8")
        fail()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_what_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "out", interrupt)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["out"]


def test_a_folder_is_left_or_replaced_and_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    path.mkdir(parents=True)
    (path / "old").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, interrupt, is_folder=True)
    assert (path / "old").read_text(encoding="utf-8") == "old"
    assert names_in(path) == ["old"]
    write_half(path, lambda: None, is_folder=True)
    assert names_in(path) == ["new"]
    assert names_in(path.parent) == ["out"]


def test_a_kill_leaves_the_old_file_and_the_next_write_tidies_up(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json(path, {"is": "old"})
    assert fork(lambda: write_half(path, kill_me)) == -9
    assert read_json(path) == {"is": "old"}
    write_json(path, {"is": "new"})
    assert read_json(path) == {"is": "new"}
    assert names_in(tmp_path) == ["out.json"]


def test_json_takes_what_numpy_gives_and_makes_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(TypeError, match="Path"):
        write_json(path, {"path": tmp_path})
    assert names_in(tmp_path) == []
    given = {"n": np.int64(3), "x": np.float32(0.5), "all": np.arange(2), "yes": np.array([True])[0]}
    write_json(path, given)
    assert read_json(path) == {"n": 3, "x": 0.5, "all": [0, 1], "yes": True}


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


def test_an_array_is_written_block_by_block_and_memory_mapped(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).random((7, 2, 3)).astype(np.float32)
    write_array(tmp_path / "a.npy", (whole[start : start + 3] for start in range(0, 7, 3)), whole.shape)
    found = read_array(tmp_path / "a.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, whole)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


@pytest.mark.parametrize(
    ("given", "announced", "message"),
    [
        ((2, 2), (3, 2), "3 rows were announced, but got 2"),
        ((4, 2), (3, 2), "3 rows were announced, but got 4"),
        ((1, 3, 2), (1, 2, 3), r"\(2, 3\) per row was announced, but got \(3, 2\)"),
    ],
)
def test_an_array_of_another_shape_is_not_written(tmp_path: Path, given, announced, message) -> None:
    with pytest.raises(ValueError, match=message):
        write_array(tmp_path / "a.npy", iter([np.zeros(given, np.float32)]), announced)
    assert names_in(tmp_path) == []


def test_named_arrays_come_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", one=np.arange(3), two=np.full((2, 2), np.nan))
    found = read_arrays(tmp_path / "a.npz")
    assert found["one"].tolist() == [0, 1, 2]
    assert np.isnan(found["two"]).all()


def test_names_are_text_even_those_called_like_a_column(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [["007", "1.0", "True", "1e5", 0.5, 0.25]],
        columns=["sample", "patient", "tumour_type", "predicted", "sample", "x"],
    )
    write_table(tmp_path / "a.tsv", table, index=False)
    found = read_table(tmp_path / "a.tsv")
    assert found.columns.tolist() == table.columns.tolist()
    assert found.iloc[0].tolist() == table.iloc[0].tolist()
    indexed = read_table(tmp_path / "a.tsv", index="sample")
    assert (indexed.index.tolist(), indexed.columns.tolist()) == (["007"], table.columns[1:].tolist())
