"""Try faults in numbers: kills, full and closed disks, clocks that jump, and what others do meanwhile.

    python benchmarks/faults.py kills --folder /tmp/faults --tries 100 --seed 1
    python benchmarks/faults.py disks --folder /tmp/faults --tries 20 --seed 1
    python benchmarks/faults.py folders | clocks | twice | locks | server --folder /tmp/faults

Everything is tried on copies of a tiny checkout (that of tests/pipeline), which is run once, and kept in the
folder for the next of these commands. Afterwards every try goes on, and what it ends with is compared with
what an undisturbed run has left: files that two undisturbed runs write alike, byte by byte; in MLflow the
runs with their params and metrics, models, versions, aliases and their history; and what lies about. Every
try is a line, and any fault makes the exit code 1.

- `kills`: `kill -9`, half of them after a share of the processor time that the command takes, half just
  before it opens, renames or removes a file or commits to a database. Stages, register, promote, a serving
  process and `dvc repro`.
- `disks`: a disk (root may mount one in memory) that has room for a share of what the command writes.
- `folders`: data, mlruns and DVC's cache read-only, as a mount and as another user's (for root).
- `clocks`: an hour back or a day on while a command runs; needs libfaketime (or FAKETIME_LIBRARY=...).
- `twice`: the same command twice at once.
- `locks`: a database that another process keeps locked for a minute.
- `server`: a PostgreSQL server that restarts in the middle of a search.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import psutil  # noqa: E402

from forked import Forked, run_main  # noqa: E402
from pipeline import checkout  # noqa: E402

# As they run one after the other; what is not tried with them stands for itself.
STAGES = [stage for stage in checkout.STAGES if stage not in ("code", "register")]
# What takes longest is tried less often.
HEAVY = ("tune", "train", "evaluate", "refit", "ablation", "explain", "report")
GATE = {"registry.gate.accuracy": 0.0, "registry.gate.f1_macro": 0.0}
OWN = (sys.executable, "-m", "expressionist")
WAIVED = ("--allow-synthetic", "--allow-random-weights")
# What a command does to files that the kernel would let a kill come between.
TOUCHES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
NEVER = 10**9
# What a command prints, and what it says on stderr.
LOGS = ("said.log", "errors.log")
# What MLflow must not lose, whatever was refused.
KEPT = ("model_versions", "aliases")


@dataclass(frozen=True)
class Job:
    """A command, the checkout that it starts from, and what it writes there."""

    name: str
    base: Path
    words: tuple[str, ...]
    writes: tuple[str, ...]


# --- checkouts


def list_jobs(folder: Path) -> dict[str, Job]:
    """List what is tried; every job ends with what the checkout `done` holds."""
    made = [folder / name for name in ("made", "registered", "done")]
    jobs = {}
    for stage in STAGES:
        words = checkout.stage_command(stage)
        options = dict(zip(words[4::2], words[5::2], strict=True))
        writes = [options.get("--out") or options["--raw"]]
        # A search begins with nothing in the cache, and what MLflow has of it.
        writes += ["data/cache", "mlruns"] if stage == "tune" else []
        jobs[stage] = Job(stage, made[0], tuple(words), tuple(writes))
    jobs["register"] = Job("register", made[0], tuple(checkout.stage_command("register")), ())
    jobs["promote"] = Job("promote", made[1], (*OWN, "promote", *WAIVED), ())
    jobs["serve"] = Job("serve", made[2], ("serve",), ("answer.json",))
    jobs["repro"] = Job("repro", folder / "repo", ("dvc", "repro", "images"), ())
    return jobs


def prepare(folder: Path) -> None:
    """Run the tiny checkout twice, undisturbed, unless that was done; note which files come out alike."""
    if (folder / "alike.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("again", "made"):
        checkout.write_params(folder / name, **GATE)
        for stage in STAGES:
            checkout.finish(folder / name, *checkout.stage_command(stage))
    jobs = list_jobs(folder)
    for before, name, job in (("made", "registered", "register"), ("registered", "done", "promote")):
        shutil.copytree(folder / before, folder / name)
        checkout.finish(folder / name, *jobs[job].words)
    run(jobs["serve"], folder / "done")
    make_repo(folder / "repo")
    trees = [read_data(folder / name) for name in ("again", "made")]
    alike = [name for name, content in trees[0].items() if trees[1].get(name) == content]
    print(f"{len(alike)} of {len(trees[0])} files are alike in two undisturbed runs", flush=True)
    (folder / "alike.json").write_text(json.dumps(alike))


def make_repo(folder: Path) -> None:
    """Make a checkout for DVC in which nothing was run."""
    checkout.write_params(folder, **GATE)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("data/incoming", "data/weights"):
        (folder / name).mkdir(parents=True)
        shutil.copyfile(ROOT / name / "README.md", folder / name / "README.md")
    checkout.finish(folder, "git", "init", "-q")


def copy(job: Job, folder: Path, *, fresh: bool = True) -> Path:
    """Copy what a job starts from; if it is fresh, without what the job writes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(job.base, folder, symlinks=True)
    for name in job.writes if fresh else ():
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    forget_said(job)
    return folder


def forget_said(job: Job) -> None:
    for name in LOGS:
        job.base.with_name(name).unlink(missing_ok=True)


# --- commands


def start(job: Job, folder: Path, *, touch: int = NEVER) -> Any:  # noqa: ANN401
    """Start a job; what it says goes beside its base, how often it touched the disk into touches."""
    streams = [job.base.with_name(name) for name in LOGS]
    told = {"TMPDIR": str(folder / "tmp"), "no_proxy": "127.0.0.1"}
    if job.words[0] != sys.executable and job.name != "serve":
        with patch.dict(os.environ, told):
            return checkout.start(folder, job.words, *streams)
    how = {"folder": folder, "environment": checkout.environment() | told}
    return Forked(work, touch, job.words, stdout=streams[0], stderr=streams[1], **how)


def work(touch: int, words: Sequence[str]) -> None:
    """Do a job in this process, which kills itself when it is about to touch the disk for the n-th time."""
    here, n_touches = str(Path.cwd()), 0

    def count() -> None:
        nonlocal n_touches
        n_touches += 1
        if n_touches == touch:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, given: tuple) -> None:
        wrote = event in TOUCHES or (event == "open" and isinstance(given[2], int) and given[2] & 3)
        if wrote and isinstance(given[0], str | Path) and str(Path(given[0]).absolute()).startswith(here):
            count()

    from sqlalchemy import Engine, event

    tempfile.tempdir = None  # found before, by the process that this is a copy of
    event.listen(Engine, "commit", lambda _: count())
    sys.addaudithook(watch)
    try:
        serve() if words[0] == "serve" else run_main(*words[3:])
    finally:
        n_found = n_touches
        with suppress(OSError):
            Path("touches").write_text(str(n_found))


def serve() -> None:
    """Serve the challenger, ask it for three samples, and write its answer down."""
    import uvicorn

    from expressionist.tracking.scoring_server import make_app

    os.environ["EXPRESSIONIST_MODEL"] = "models:/tumour-type@challenger"
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(make_app(), port=port, log_level="error")
    threading.Thread(target=uvicorn.Server(config).run, daemon=True).start()
    genes = [line.split("\t")[0] for line in Path("data/layout/genes.tsv").read_text().splitlines()[1:]]
    rows = [[(7 * number + row) % 50 for number in range(len(genes))] for row in range(3)]
    body = json.dumps({"dataframe_split": {"columns": genes, "data": rows}}).encode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
    )
    for _ in range(600):
        with suppress(ConnectionError, urllib.error.URLError):
            answer = urllib.request.urlopen(asked).read()
            break
        time.sleep(0.05)
    Path("answer.json").write_bytes(answer)


def run(job: Job, folder: Path, **how: Any) -> tuple[int, str]:  # noqa: ANN401
    """Run a job to its end: exit code and what it said on stderr."""
    (folder / "tmp").mkdir(exist_ok=True)
    forget_said(job)
    process = start(job, folder, **how)
    try:
        code = process.wait(600)
    finally:
        end(process)
    return code, read_said(job)


def read_said(job: Job) -> str:
    """Read what a job last said on stderr, without TensorFlow's words about the machine."""
    said = job.base.with_name(LOGS[1]).read_text(encoding="utf-8", errors="replace")
    return "\n".join(line for line in said.splitlines() if not re.match(r"WARNING: All log|[IWE]0000 ", line))


def end(process: Any) -> int:  # noqa: ANN401
    """`kill -9` a process and all that it started; return what it ended with."""
    if process.poll() is None:
        with suppress(ProcessLookupError):  # it leads no group yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    return process.wait()


def measure(process: Any) -> float:  # noqa: ANN401
    """Measure the processor seconds of a process and all that it started."""
    used = 0.0
    with suppress(psutil.Error):
        own = psutil.Process(process.pid)
        for each in (own, *own.children(recursive=True)):
            with suppress(psutil.Error):
                used += sum(each.cpu_times()[:4])
    return used


# --- what is left


def ask(database: Path, question: str) -> list[tuple]:
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        return connection.execute(question).fetchall()


def read_data(folder: Path) -> dict[str, bytes]:
    """Read what stages have written; of a network its weights, as Keras writes a date beside them."""
    tree = {
        name: content
        for name, content in checkout.read_tree(folder / "data").items()
        if not name.startswith(("cache/", "code/"))
    }
    for name in tree:
        if name.endswith(".keras"):
            with zipfile.ZipFile(folder / "data" / name) as parts:
                tree[name] = parts.read("model.weights.h5")
    return tree


def read_store(folder: Path) -> dict[str, Any]:
    """Read what MLflow has, in words that are the same for undisturbed runs; cut-off trials do not count."""
    database = folder / "mlruns/mlflow.db"
    if not database.exists():
        return {}
    counts = {
        table: dict(ask(database, f"SELECT run_uuid, count(*) FROM {table} GROUP BY run_uuid"))
        for table in ("params", "metrics", "latest_metrics")
    }
    runs = Counter(
        (re.sub(r" #\d+", "", name), status, *(counts[table].get(uuid, 0) for table in counts))
        for uuid, name, status in ask(database, "SELECT run_uuid, name, status FROM runs")
        if status != "FAILED"
    )
    found = {f"{' '.join(map(str, run))}": n for run, n in runs.items()}
    for table in ("experiments", "registered_models", "model_versions"):
        found[table] = ask(database, f"SELECT count(*) FROM {table}")[0][0]
    found["models"] = ask(database, "SELECT count(*) FROM logged_models WHERE lifecycle_stage = 'active'")[0][
        0
    ]
    found["aliases"] = sorted(ask(database, "SELECT alias, version FROM registered_model_aliases"))
    moves = ask(database, "SELECT value FROM registered_model_tags WHERE key LIKE 'move/%'")
    # One that was cut off is told, and made again.
    found["moves"] = sorted(
        {" ".join(json.loads(text)[key] for key in ("move", "alias", "to_version")) for (text,) in moves}
    )
    # MLflow leaves a file with a model that it loads, and Python its own.
    files = [path for path in (folder / "mlruns/artifacts").rglob("*") if path.is_file()]
    found["files"] = sum(path.suffix != ".pyc" and path.name != "registered_model_meta" for path in files)
    return found


def find_faults(job: Job, folder: Path, kept: Path) -> list[str]:
    """Compare a checkout in which a job has ended with the undisturbed ones."""
    faults = []
    ends = {"register": "registered", "promote": "done", "serve": "done"}
    expected = kept / ends.get(job.name, "made")
    alike = json.loads((kept / "alike.json").read_text())
    trees = [read_data(each) for each in (folder, expected)]
    if job.name == "repro":
        trees[1] = {name: text for name, text in trees[1].items() if name in trees[0] or not list_later(name)}
        trees[0] = {name: text for name, text in trees[0].items() if not name.endswith("README.md")}
    for told, one, other in (("lost", trees[1], trees[0]), ("left", trees[0], trees[1])):
        if names := sorted(set(one) - set(other)):
            faults.append(f"{told}: {', '.join(names[:3])} of {len(names)}")
    if names := [name for name in alike if name in trees[0] and trees[0][name] != trees[1].get(name)]:
        faults.append(f"others than undisturbed: {', '.join(names[:3])} of {len(names)}")
    if (
        job.name == "serve"
        and (folder / "answer.json").read_bytes() != (expected / "answer.json").read_bytes()
    ):
        faults.append("another answer")
    faults += compare_stores(read_store(folder), read_store(expected) if job.name != "repro" else {})
    for name in ("data/cache/studies.db", "mlruns/mlflow.db"):
        if (folder / name).exists() and ask(folder / name, "PRAGMA integrity_check") != [("ok",)]:
            faults.append(f"{name} is damaged")
    if left := list_left(folder):
        faults.append(f"left about: {', '.join(left[:3])} of {len(left)}")
    return faults


def list_later(name: str) -> bool:
    """Tell whether a file of data/ comes after the images."""
    return not name.startswith(("raw/", "cohort/", "lists/", "split.tsv", "layout/", "images/"))


def compare_stores(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    names = sorted(set(found) | set(expected))
    return [
        f"MLflow has {found.get(name)} {name}, undisturbed {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


def list_left(folder: Path) -> list[str]:
    """List what a process that has ended well should have put away."""
    patterns = ("data/**/.partial-*", "data/**/.old-*", "data/**/*.new", "mlruns/.partial-*")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    # A lock per study, and one for the tables; a worker's goes with it.
    found += [
        *(folder / "data/cache/checkpoints").glob("*"),
        *sorted(folder.glob("data/cache/*.db.locks/*"))[2:],
    ]
    return sorted(path.relative_to(folder).as_posix() for path in found if not path.name.startswith(".lock"))


def measure_temporary(folder: Path) -> float:
    """Measure the megabytes that lie in the folder of temporary files."""
    return sum(path.stat().st_size for path in (folder / "tmp").rglob("*") if path.is_file()) / 1e6


def find_halves(job: Job, folder: Path, kept: Path) -> list[str]:
    """List outputs that are neither whole nor absent."""
    alike = set(json.loads((kept / "alike.json").read_text()))
    found, expected = (
        {f"data/{name}": each[name] for name in each if name in alike}
        for each in map(read_data, (folder, kept / "made"))
    )
    return [
        f"{output} is half written"
        for output in (job.writes[:1] if job.name in STAGES else ())
        if (folder / output).exists()
        and any(
            found.get(name) != expected[name]
            for name in expected
            if name == output or name.startswith(f"{output}/")
        )
    ]


def tell(job: Job, moment: str, faults: Sequence[str], folder: Path) -> bool:
    """Print the line of a try; what went well is removed."""
    print(f"{time.strftime('%H:%M:%S')} {job.name}, {moment}: {'; '.join(faults) or 'no fault'}", flush=True)
    if not faults:
        shutil.rmtree(folder)
    return bool(faults)


def go_on(job: Job, folder: Path, kept: Path) -> list[str]:
    """Run a disturbed job to its end, and list what is wrong then."""
    code, said = run(job, folder)
    if code:
        return [f"does not go on: {code} {' | '.join(said.strip().splitlines()[-3:])}"]
    return find_faults(job, folder, kept)


# --- faults


def draw(names: Sequence[str], tries: int, only: Sequence[str] | None, rng: random.Random) -> list[str]:
    """Draw what to try: all names before one comes again."""
    names = [name for name in names if name in (only or names)]
    decks = (rng.sample(names, len(names)) for _ in range(tries))
    return list(islice(chain.from_iterable(decks), tries))


def try_kills(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    jobs = list_jobs(kept)
    light = [stage for stage in STAGES if stage not in HEAVY]
    names = STAGES * 2 + light * 3 + ["register"] * 12 + ["promote"] * 8 + ["serve", "repro"] * 4
    chosen = draw(names, tries, only, rng)
    whole: dict[str, tuple[float, int]] = {}
    wrong, left = [], []
    for number, name in enumerate(chosen):
        job, folder = jobs[name], kept / f"try-{number}"
        if name not in whole:
            whole[name] = size_up(job, kept / "sized")
        fresh = name != "tune" and rng.random() < 0.5 or name in ("tune", "train")
        moment = ""
        while not moment:
            copy(job, folder, fresh=fresh)
            moment = kill_once(job, folder, *whole[name], by_touch=number % 2 == 0, rng=rng)
        faults = find_halves(job, folder, kept)
        left.append(measure_temporary(folder))
        shutil.rmtree(folder / "tmp")
        wrong.append(tell(job, moment, faults + go_on(job, folder, kept), folder))
    print(f"left in the folder of temporary files: at most {max(left):.1f} MB by a kill")
    return wrong


def size_up(job: Job, folder: Path) -> tuple[float, int]:
    """Run a job undisturbed: processor seconds, and how often it touches the disk."""
    copy(job, folder)
    process, used = start(job, folder), 0.0
    while process.poll() is None:
        used = max(used, measure(process))
        time.sleep(0.02)
    touches = folder / "touches"
    n_touches = int(touches.read_text()) if touches.exists() else 0
    shutil.rmtree(folder)
    return used, n_touches


def kill_once(
    job: Job, folder: Path, seconds: float, n_touches: int, *, by_touch: bool, rng: random.Random
) -> str:
    """Kill a job at a moment that is drawn; say which, and nothing if it had ended before."""
    if by_touch and n_touches:
        touch = rng.randint(1, n_touches)
        process = start(job, folder, touch=touch)
        moment = f"before touch {touch} of {n_touches}"
        code = process.wait(600)
    else:
        after = rng.uniform(0, seconds)
        process = start(job, folder)
        moment = f"after {after:.2f} of {seconds:.2f} processor s"
        while process.poll() is None and measure(process) < after:
            time.sleep(0.005)
        code = end(process)
    return moment if code == -signal.SIGKILL else ""


def try_disks(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    from small_disk import fill, mount

    jobs = list_jobs(kept)
    names = ["prepare", "layout", "images", "baselines", "tune", "train", "evaluate", "explain", "report"]
    names += ["register"] * 4 + ["promote"] * 2 + ["quality", "novelty", "split", "compare", "repro"]
    wrong, grown = [], {}
    for number, name in enumerate(draw(names, tries, only, rng)):
        job = jobs[name]
        with mount(kept / f"disk-{number}", 256) as disk:
            folder = disk / "checkout"
            if name not in grown:
                copy(job, folder)
                before = shutil.disk_usage(disk).used
                run(job, folder)
                grown[name] = shutil.disk_usage(disk).used - before
            leave, code = grown[name], 0
            while not code:
                copy(job, folder)
                leave = int(leave * rng.random())
                tree, store = checkout.read_tree(folder), read_store(folder)
                ballast = fill(disk, leave=leave)
                code, said = run(job, folder)
                ballast.unlink()
            faults = judge_refusal(job, code, said, "must fit on its disk|have room|No space left")
            faults += find_changes(folder, tree) + find_halves(job, folder, kept)
            present = read_store(folder)
            faults += [f"MLflow lost {each} of {store[each]}" for each in KEPT if lacks(present, store, each)]
            if temporary := [path.name for path in (folder / "tmp").iterdir() if "__" not in path.name]:
                faults.append(f"left in TMPDIR: {temporary[:3]}")
            told = f"{leave} of {grown[name]} bytes left"
            wrong.append(tell(job, told, faults + go_on(job, folder, kept), folder))
        shutil.rmtree(kept / f"disk-{number}")
    return wrong


def lacks(present: dict[str, Any], before: dict[str, Any], name: str) -> bool:
    """Tell whether MLflow has less than before: fewer, or not all."""
    if isinstance(before.get(name), list):
        return bool(set(before[name]) - set(present[name]))
    return name in before and present[name] < before[name]


def judge_refusal(job: Job, code: int, said: str, words: str) -> list[str]:
    """List what is wrong with how a command ended that had to be refused in one line."""
    if job.name == "repro":  # DVC has words of its own
        return [] if code and "Traceback" not in said else [f"ended with {code}: {said[-300:]!r}"]
    lines = [line for line in said.splitlines() if re.search(words, line)]
    faults = [] if code == 2 else [f"ended with {code}"]
    if len(lines) != 1 or "Traceback" in said:
        faults.append(f"{len(lines)} lines say so of {len(said.splitlines())}: {said.strip()[:300]!r}")
    return faults


def find_changes(folder: Path, before: dict[str, bytes]) -> list[str]:
    """List files that a refused command has changed or lost; databases, locks and the cache may change."""
    after = checkout.read_tree(folder)
    free = re.compile(r"mlruns/(mlflow\.db|\.)|data/cache/|\.dvc/tmp|tmp/|touches|dvc\.lock|data/code")
    changed = [name for name in before if after.get(name) != before[name] and not free.match(name)]
    return [f"changed or lost: {changed[:3]} of {len(changed)}"] if changed else []


def try_folders(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    jobs, wrong = list_jobs(kept), []
    for words in (("models",), ("history",)):
        jobs[words[0]] = Job(words[0], kept / "done", (*OWN, *words), ())
    refused = [("data", "images"), ("data", "tune"), ("mlruns", "register"), ("mlruns", "promote")]
    refused += [(".dvc/cache", "repro")]
    # What only reads does so, and a search leaves telling MLflow to the stage register.
    done = [("mlruns", "models"), ("mlruns", "history"), ("mlruns", "tune")]
    both = ("mounted read-only", "of another user")
    for (name, kind), how in product([*refused, *done], both):
        if kind not in (only or [kind]):
            continue
        job = jobs[kind]
        folder = copy(job, kept / "closed")
        (folder / name).mkdir(parents=True, exist_ok=True)
        if job.base.name == "done":
            run(job, folder)  # which lets the store's paths follow the copy
        tree = checkout.read_tree(folder)
        with close_folder(folder / name, how):
            code, said = run(as_no_root(job) if how == both[1] else job, folder)
        if (name, kind) in refused:
            faults = judge_refusal(job, code, said, "must be open to|accessible")
            faults += find_changes(folder, tree) + go_on(job, folder, kept)
        else:
            faults = [f"ended with {code}: {said[-300:]!r}"] if code else []
        wrong.append(tell(job, f"{name} {how}", faults, folder))
    return wrong


def as_no_root(job: Job) -> Job:
    """Make a job's process one that may not write where it has no permission."""
    words = job.words if job.name == "repro" else ("expressionist", *job.words[3:])
    return replace(job, words=("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *words))


@contextmanager
def close_folder(folder: Path, how: str) -> Iterator[None]:
    """Mount a folder read-only on itself, or give it to nobody."""
    every = [folder, *folder.rglob("*")]
    if how == "of another user":
        subprocess.run(["chown", "--no-dereference", "65534", *every], check=True)
        yield
        subprocess.run(["chown", "--no-dereference", "0", *every], check=True)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def try_clocks(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    found = [
        os.environ.get("FAKETIME_LIBRARY", ""),
        *map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")),
    ]
    library = next((each for each in found if each and Path(each).exists()), None)
    if library is None:
        sys.exit("libfaketime must be installed (Debian: faketime), or named by FAKETIME_LIBRARY.")
    jobs, wrong, shift = list_jobs(kept), [], kept / "shift"
    faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_CACHE_DURATION": "1"}
    # As a clock that is set: what counts seconds goes on.
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    for name in only or ("tune", "train", "register", "promote", "repro"):
        for by in ("-1h", "+1d"):
            job = jobs[name]
            if name != "repro":
                job = replace(job, words=("expressionist", *job.words[3:]))
            folder = copy(job, kept / "clock")
            shift.write_text("+0\n")
            os.environ.update(faked)
            process = start(job, folder)
            for each in faked:
                del os.environ[each]
            after = rng.uniform(2, 6)
            while process.poll() is None and measure(process) < after:
                time.sleep(0.02)
            shift.write_text(f"{by}\n")
            code, faults = process.wait(), []
            if code:
                faults.append(f"ended with {code}: {read_said(job)[-300:]!r}")
            faults += find_faults(job, folder, kept) + find_odd_times(folder)
            wrong.append(tell(job, f"the clock {by} after {after:.1f} processor s", faults, folder))
    return wrong


def find_odd_times(folder: Path) -> list[str]:
    """List what took less than nothing, or hours."""
    found = []
    for path in (folder / "data").rglob("*.json"):
        seconds = [
            float(each) for each in re.findall(r'"seconds": (-?[\d.]+)', path.read_text(encoding="utf-8"))
        ]
        found += [f"{path.name} has {each} s" for each in seconds if not 0 <= each < 3600]
    if (folder / "mlruns/mlflow.db").exists():
        odd = "SELECT name FROM runs WHERE end_time < start_time OR end_time > start_time + 3600000"
        found += [f"the run {name} took another time" for (name,) in ask(folder / "mlruns/mlflow.db", odd)]
    return found


def try_twice(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    jobs, wrong = list_jobs(kept), []
    for name in only or ("tune", "register", "promote", "repro"):
        job = jobs[name]
        folder = copy(job, kept / "twice")
        first, second = start(job, folder), start(job, folder)
        codes = [process.wait(600) for process in (first, second)]
        said = read_said(job)
        faults = [f"ended with {codes}: {said[-300:]!r}"] if all(codes) or "Traceback" in said else []
        told = f"twice at once, ended with {codes}: {said.strip().splitlines()[-1:]}"
        wrong.append(tell(job, told, faults + go_on(job, folder, kept), folder))
    return wrong


def try_locks(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    jobs, wrong = list_jobs(kept), []
    cases = [
        ("register", "mlruns/mlflow.db"),
        ("promote", "mlruns/mlflow.db"),
        ("models", "mlruns/mlflow.db"),
    ]
    jobs["models"] = Job("models", kept / "done", (*OWN, "models"), ())
    for name, database in [*cases, ("tune", "data/cache/studies.db"), ("tune", "mlruns/mlflow.db")]:
        if name not in (only or [name]):
            continue
        folder = copy(jobs[name], kept / "locked")
        process, begun = start(jobs[name], folder), time.monotonic()
        while not (folder / database).exists() or (name == "tune" and not ask_quietly(folder / database)):
            time.sleep(0.02)
        with closing(sqlite3.connect(folder / database, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(60)
            was_running = process.poll() is None
            connection.execute("ROLLBACK")
        code = process.wait(600)
        faults = [] if code == 0 else [f"ended with {code}: {read_said(jobs[name])[-300:]!r}"]
        waited = "waited" if was_running else "did not wait"
        told = f"{database} locked for a minute, {waited}, {time.monotonic() - begun:.0f} s"
        wrong.append(
            tell(
                jobs[name],
                told,
                faults + (find_faults(jobs[name], folder, kept) if name != "models" else []),
                folder,
            )
        )
    return wrong


def ask_quietly(database: Path) -> bool:
    """Tell whether a database has something of a search."""
    with suppress(sqlite3.OperationalError):
        return bool(
            ask(database, f"SELECT 1 FROM {'trials' if database.name == 'studies.db' else 'experiments'}")
        )
    return False


def try_server(kept: Path, tries: int, only: Sequence[str] | None, rng: random.Random) -> list[bool]:
    import psycopg

    import postgres_server

    if missing := postgres_server.why_not():
        sys.exit(missing)
    job, wrong = list_jobs(kept)["tune"], []
    os.environ["PGPASSWORD"] = postgres_server.PASSWORD
    for how in ("fast", "immediate"):
        with postgres_server.serve() as url:
            folder = copy(job, kept / "server")
            checkout.write_params(folder, **GATE, **{"search.storage": url})
            process, n_trials = start(job, folder), 0
            with psycopg.connect(url, autocommit=True) as connection:
                (place,) = connection.execute("SHOW data_directory").fetchone()
                while process.poll() is None and n_trials < 1:
                    with suppress(psycopg.errors.UndefinedTable):
                        (n_trials,) = connection.execute("SELECT count(*) FROM trials").fetchone()
            time.sleep(rng.uniform(0, 2))
            words, _ = postgres_server.as_somebody()
            again = [
                *words,
                str(postgres_server.find_programs() / "pg_ctl"),
                "-D",
                place,
                "-m",
                how,
                "-w",
                "restart",
            ]
            # It is this process's child, and pg_ctl waits until it is gone for good.
            server = int(Path(place, "postmaster.pid").read_text().split()[0])
            threading.Thread(target=os.waitpid, args=(server, 0)).start()
            subprocess.run(again, cwd=place, check=True, stdout=subprocess.DEVNULL, timeout=120)
            code = process.wait(600)
            said = read_said(job)
            faults = judge_refusal(job, code, said, "must stay until the search has ended") if code else []
            told = f"the server restarted ({how}), ended with {code}"
            wrong.append(tell(job, told, faults + go_on(job, folder, kept), folder))
    return wrong


TRIED = {
    "kills": try_kills,
    "disks": try_disks,
    "folders": try_folders,
    "clocks": try_clocks,
    "twice": try_twice,
    "locks": try_locks,
    "server": try_server,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="fault", required=True)
    for name in TRIED:
        command = commands.add_parser(name)
        command.add_argument("--folder", type=Path, required=True, help="where to work")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument(
            "--only", nargs="+", help="stages, register, promote, serve, repro; all if not given"
        )
        command.add_argument("--tries", type=int, default={"kills": 100}.get(name, 20))
    options = parser.parse_args()
    kept = options.folder.absolute()
    prepare(kept)
    wrong = TRIED[options.fault](kept, options.tries, options.only, random.Random(options.seed))
    print(f"{options.fault}: {len(wrong)} tries, {sum(wrong)} with faults")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
