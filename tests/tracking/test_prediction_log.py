import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest

from expressionist.errors import RegistryError
from expressionist.tracking.prediction_log import append_log, log_once, name_logged, read_log

PREDICTIONS = pd.DataFrame(
    {
        "sample": ["PATIENT7", "PATIENT8"],
        "tumour_type": ["ACC", "NA"],
        "probability": [0.9, 0.4],
        "abstain": [False, True],
        "novelty": [0.1, 1.5],
        "unlike_training": [False, True],
        "n_missing_genes": [0, 3],
        "p_ACC": [0.9, 0.4],
    }
)
KEPT = ["tumour_type", "probability", "abstain", "novelty", "unlike_training", "n_missing_genes"]


def test_what_was_answered_is_read_back_and_no_name_was_written(tmp_path: Path) -> None:
    append_log(tmp_path / "log", "m1", PREDICTIONS)
    log, n_broken = read_log(tmp_path / "log")
    assert n_broken == 0
    assert log["model"].tolist() == ["m1", "m1"]
    pd.testing.assert_frame_equal(log[KEPT], PREDICTIONS[KEPT])
    (path,) = (tmp_path / "log").iterdir()
    assert "PATIENT" not in path.read_text()
    assert set(json.loads(path.read_text().splitlines()[0])) == {"time", "model", *KEPT}


def append_many(folder: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(append_log, folder, "m1", PREDICTIONS) for _ in range(50)]:
            done.result()


def test_processes_and_threads_lose_no_line(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for done in [processes.submit(append_many, tmp_path) for _ in range(2)]:
            done.result()
    log, n_broken = read_log(tmp_path)
    assert (len(log), n_broken) == (200, 0)


def test_a_line_that_was_cut_off_is_counted_and_left_out(tmp_path: Path) -> None:
    append_log(tmp_path, "m1", PREDICTIONS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    log, n_broken = read_log(tmp_path)
    assert (len(log), n_broken) == (1, 1)


def test_a_disk_that_fills_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_log(tmp_path, "m1", PREDICTIONS)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    opened = Path.open

    def open_full(self: Path, *mode: str, **options: int) -> object:
        stream = opened(self, *mode, **options)

        class Full:
            def __enter__(self) -> object:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            tell = stream.tell

            def write(self, content: bytes) -> int:
                return stream.write(content[:40])

        return Full()

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OSError, match="No space"):
        append_log(tmp_path, "m1", PREDICTIONS)
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_a_table_is_logged_once(tmp_path: Path) -> None:
    for _ in range(2):
        log_once(tmp_path, "k1", "m1", iter([PREDICTIONS, PREDICTIONS]))
    assert len(read_log(tmp_path)[0]) == 4
    log_once(tmp_path, "k2", "m1", [PREDICTIONS])
    assert len(read_log(tmp_path)[0]) == 6


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"must have predictions in files \*.jsonl"):
        read_log(tmp_path)


def test_a_version_without_a_list_of_digests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="must have digests.json, .* Run the stage register again"):
        name_logged(tmp_path)
