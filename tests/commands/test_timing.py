"""What stages take is noted, remembered and told; what is not known is not made up."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from expressionist.commands.timing import StageTime, announce, lay_out, measure, note, read_plan, read_times

ROOT = Path(__file__).parents[2]
PLAN = {"code": set(), "fit@a": set(), "fit@b": set(), "aside": set(), "show": {"fit"}}


def took(wall: float, ended: float = 0) -> StageTime:
    return StageTime("any", ended, wall, wall, 100)


def test_what_a_stage_takes_is_measured_with_the_processes_it_starts() -> None:
    before = measure("fit", 0)
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = measure("fit", 5)
    assert after.cpu - before.cpu >= 0.3
    assert after.wall == 5
    assert 10 < after.megabytes < 1e5


def test_the_last_time_of_each_stage_is_read(tmp_path) -> None:
    path = tmp_path / "cache/times.tsv"
    assert read_times(path) == {}
    for ended, stage in enumerate(["fit@a", "show", "fit@a"]):
        note(StageTime(stage, ended, 10 * ended, 1, 2), path)
    assert {stage: taken.wall for stage, taken in read_times(path).items()} == {"fit@a": 20, "show": 10}
    assert set(read_times(path, since=2)) == {"fit@a"}


def test_a_line_that_was_never_finished_is_left_out(tmp_path) -> None:
    path = tmp_path / "times.tsv"
    note(took(1), path)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("show\t12")
    assert set(read_times(path)) == {"any"}


@pytest.mark.parametrize(
    ("stage", "ran", "told"),
    [
        # What hangs on what has run is still to come, and so are the other ones of its kind.
        ("fit@a", [], "[2/5] fit a (10 s last time; about 70 s left)"),
        ("fit@b", ["fit@a"], "[3/5] fit b (20 s last time; about 60 s left)"),
        ("aside", ["fit@a", "fit@b"], "[4/5] aside (30 s last time; about 70 s left)"),
        ("aside", [], "[4/5] aside (30 s last time)"),
        ("show", ["fit@a"], "[5/5] show (40 s last time)"),
        ("code", [], "[1/5] code (5 s last time)"),
    ],
)
def test_what_begins_is_told_with_what_is_left(stage, ran, told) -> None:
    known = dict(zip(PLAN, map(took, (5, 10, 20, 30, 40)), strict=True))
    assert announce(stage, PLAN, known, ran) == told


def test_nothing_is_made_up() -> None:
    assert announce("fit@a", PLAN, {}, []) == "[2/5] fit a"
    assert announce("fit@a", PLAN, {"fit@a": took(10)}, []) == "[2/5] fit a (10 s last time)"


def test_the_plan_is_that_of_dvc() -> None:
    plan = read_plan(ROOT)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert next(iter(plan)) == "code"
    trained = [stage.partition("@")[2] for stage in plan if stage.startswith("train@")]
    assert trained == params["backbones"]
    assert plan["split"] == {"fetch", "prepare"}
    assert {"train", "baselines", "repeats"} <= plan["compare"]
    assert not {"quality", "baselines", "repeats"} & plan[f"train@{params['backbones'][0]}"]
    assert not any("code" in on for on in plan.values())


def test_the_table_has_a_line_for_each_and_their_sum() -> None:
    lines = lay_out([StageTime("fit@densenet169", 0, 1.5, 2, 900), StageTime("show", 0, 1, 3, 1100)])
    assert [line.split() for line in lines[1:]] == [
        ["fit@densenet169", "2.0", "1.5", "900"],
        ["show", "3.0", "1.0", "1,100"],
        ["all", "5.0", "2.5", "1,100"],
    ]
    assert len({len(line) for line in lines}) == 1
    assert lay_out([])[-1].split() == ["all", "0.0", "0.0", "0"]


def test_a_stage_that_dvc_runs_tells_and_notes_its_time(tmp_path) -> None:
    (tmp_path / "src").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    words = [sys.executable, "-m", "expressionist", "code"]
    words += ["--package", str(ROOT / "src/expressionist"), "--out", "data/code"]

    def run(**variables: str) -> list[str]:
        env = {"PATH": "", **variables}
        ended = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return ended.stdout.splitlines()

    assert run() == []
    assert not (tmp_path / "data/cache").exists()
    (first,) = run(DVC_STAGE="code")
    assert first.endswith("] code")
    (second,) = run(DVC_STAGE="code")
    assert second.startswith(f"{first} (")
    assert read_times(tmp_path / "data/cache/times.tsv")["code"].cpu > 0.1
