"""A disk that runs full in the search: one line that says so, and the search goes on once there is room."""

import pytest

from pipeline.checkout import SEARCH, copy_data, finish, read_tree, read_values, run_command, stage_command
from small_disk import fill, mount


def test_a_search_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tiny, tmp_path):
    with mount(tmp_path / "disk", 64) as disk:
        folder = disk / "checkout"
        copy_data(tiny, folder, "split.tsv", "layout", "images")
        before = read_tree(folder / "data")
        # Full at once, in the store of runs; and later, in the search's own files.
        for leave in (100_000, 3_000_000):
            ballast = fill(disk, leave=leave)
            ended = run_command(folder, *stage_command("tune"))
            ballast.unlink()
            assert ended.returncode == 2, ended.stderr[-3000:]
            said = [line for line in ended.stderr.splitlines() if "must fit on its disk" in line]
            assert len(said) == 1, ended.stderr[-3000:]
            assert "Traceback" not in ended.stderr
            assert not (folder / SEARCH).exists()
            assert list((folder / "data").rglob(".partial-*")) == []
            after = read_tree(folder / "data")
            assert {name: after[name] for name in before} == before
        finish(folder, *stage_command("tune"))
        assert read_values(folder) == pytest.approx(read_values(tiny), abs=1e-6)
