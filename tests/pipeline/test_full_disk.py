"""A disk that runs full in the search: one line that says so, and the search goes on once there is room."""

import pytest

from expressionist.files.store import read_json
from pipeline.checkout import BACKBONE, copy_data, read_tree, run_command, stage_command
from small_disk import fill, mount

SEARCH = f"data/search/{BACKBONE}.json"


def test_a_search_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tiny, tmp_path):
    undisturbed = {trial["depth"]: trial["value"] for trial in read_json(tiny / SEARCH)["trials"]}
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
        ended = run_command(folder, *stage_command("tune"))
        assert ended.returncode == 0, ended.stderr[-3000:]
        trials = [trial for trial in read_json(folder / SEARCH)["trials"] if trial["state"] == "COMPLETE"]
        assert {trial["depth"]: trial["value"] for trial in trials} == pytest.approx(undisturbed, abs=1e-6)
        assert len(trials) == len(undisturbed)
