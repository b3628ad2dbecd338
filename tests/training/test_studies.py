"""Databases of studies: one file or one server, the same locks, and many processes at work on one study."""

import os
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager

import optuna
import psutil
import pytest

import postgres_server
from expressionist.errors import ParamsError
from expressionist.training import search, studies
from expressionist.training.search import Outcome, Space, join_search, run_search
from expressionist.training.studies import open_studies

SPACE = Space(tuple(range(8)))


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch, postgres_server.serve() as url:
        patch.setenv("PGPASSWORD", postgres_server.PASSWORD)
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=postgres_server.needed)])
def storage(request, tmp_path):
    """An empty database of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'studies.db'}"
        return
    url = request.getfixturevalue("server")
    psycopg = pytest.importorskip("psycopg")
    name = f"test_{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield url.replace("/postgres", f"/{name}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(search, "_SECONDS_BETWEEN_LOOKS", 0.1)


def train(choice, report):
    report({"epoch": 1, "validation_f1_macro": 0.5})
    return Outcome(1 - choice["depth"] / 10, [{"epoch": 1, "validation_f1_macro": 0.5}])


def run(storage, *, space=SPACE, train=train, **changes):
    defaults = {"objective": "f1_macro", "n_trials": 12, "prune": False, "seed": 1}
    return run_search("study", space, train, storage=storage, **(defaults | changes))


def start(function):
    """Run a function in a process of its own."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return process


def start_worker(storage, folder, how="join", *, space=SPACE, until=None):
    """Each training leaves a file, and waits for one if told so."""
    folder.mkdir(exist_ok=True)

    def train_slowly(choice, report):
        (folder / f"begun-{time.monotonic_ns()}").touch()
        if until is not None:
            wait_until(until.exists)
        return train(choice, report)

    if how == "join":
        return start(lambda: join_search("study", space, train_slowly, storage=storage, patience=60))
    return start(lambda: run(storage, space=space, train=train_slowly))


def finish(processes):
    assert [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in processes] == [0] * len(processes)


def wait_until(is_time):
    for _ in range(6000):
        if is_time():
            return
        time.sleep(0.05)
    raise AssertionError("the moment never came")


@contextmanager
def load_study(storage):
    with open_studies(storage) as opened:
        yield optuna.load_study(study_name="study", storage=opened.storage)


def allow_trials(storage, n_trials):
    """Let a search go further than was said when it began."""
    with load_study(storage) as study:
        study.set_user_attr(search._TERMS, study.user_attrs[search._TERMS] | {"n_trials": n_trials})


def settle(storage):
    """List what the finished trials chose."""
    with load_study(storage) as study:
        trials = study.trials
    states = Counter(trial.state.name for trial in trials)
    assert not {"RUNNING", "WAITING"} & set(states)
    return states, [trial.params for trial in trials if trial.state.name != "FAIL"]


# --- locks


def test_a_lock_is_held_until_its_process_ends(storage, tmp_path):
    def keep():
        with open_studies(storage) as opened:
            opened.locks.keep("worker")
            ready.touch()
            time.sleep(60)

    ready = tmp_path / "ready"
    with open_studies(storage) as opened:
        assert not opened.locks.is_held("worker")
        process = start(keep)
        wait_until(ready.exists)
        assert opened.locks.is_held("worker")
        os.kill(process, signal.SIGSTOP)  # slow is not dead
        assert opened.locks.is_held("worker")
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        wait_until(lambda: not opened.locks.is_held("worker"))


def test_a_held_lock_keeps_others_waiting(storage, tmp_path):
    """Three processes count in a file, each of them reading before it writes."""
    count = tmp_path / "count"
    count.write_text("0", encoding="utf-8")

    def add():
        with open_studies(storage) as opened:
            for _ in range(20):
                with opened.locks.hold("count"):
                    seen = int(count.read_text(encoding="utf-8"))
                    time.sleep(0.002)
                    count.write_text(str(seen + 1), encoding="utf-8")

    finish([start(add) for _ in range(3)])
    assert count.read_text(encoding="utf-8") == "60"


# --- many at work


def test_workers_that_begin_at_once_try_every_depth_once(storage, tmp_path):
    """The first of them makes the tables, which several at once would make wrong."""
    finish([start_worker(storage, tmp_path / "begun", "run") for _ in range(3)])
    states, choices = settle(storage)
    assert states == {"COMPLETE": 8}
    assert sorted(choice["depth"] for choice in choices) == list(range(8))


@pytest.mark.parametrize(("space", "n_trials"), [(SPACE, 8), (Space(SPACE.depths, dropout=(0.0, 0.5)), 12)])
def test_of_three_workers_one_is_killed_and_nothing_is_lost_or_doubled(storage, tmp_path, space, n_trials):
    begun, go = tmp_path / "begun", tmp_path / "go"
    # Nobody ends a trial before the victim has one, however fast they are.
    workers = [start_worker(storage, begun, how, space=space, until=go) for how in ("run", "join", "join")]
    victim_folder = tmp_path / "victim"
    victim = start_worker(storage, victim_folder, space=space, until=tmp_path / "never")
    wait_until(lambda: any(victim_folder.iterdir()))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    go.touch()
    finish(workers)
    states, choices = settle(storage)
    assert states == {"COMPLETE": n_trials, "FAIL": 1}
    assert len({tuple(choice.items()) for choice in choices}) == n_trials
    assert len(list(begun.iterdir())) == n_trials
    assert len(list(victim_folder.iterdir())) == 1


def test_the_search_waits_for_what_others_run_and_records_it(storage, tmp_path):
    recorded, go, begun = [], tmp_path / "go", tmp_path / "begun"
    run(storage, n_trials=7)
    allow_trials(storage, 12)
    worker = start_worker(storage, begun, until=go)
    wait_until(lambda: any(begun.iterdir()))
    # The worker goes on only once it is waited for.
    trials = run(storage, on_trial=recorded.append, on_progress=lambda n: go.write_text(str(n)))
    finish([worker])
    assert sorted(trial["number"] for trial in recorded) == list(range(8))
    assert go.read_text(encoding="utf-8") == "1"
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    alone = run(f"sqlite:///{tmp_path / 'alone.db'}")
    names = ("depth", "state", "value", "history")
    kept, expected = ([[trial[name] for name in names] for trial in each] for each in (trials, alone))
    assert kept == expected


def test_a_worker_goes_as_far_as_the_search_it_joins(storage):
    """How many trials, by which objective and from which seed is not for a worker to say."""
    run(storage, n_trials=2)
    assert join_search("study", SPACE, train, storage=storage, patience=0) == 0
    allow_trials(storage, 5)
    assert join_search("study", SPACE, train, storage=storage, patience=0) == 3


def test_a_worker_whose_trial_was_given_up_leaves_it_to_the_second_try(storage):
    """A process can be cut off from the server, and taken for dead, while it goes on training."""

    def train_on(choice, report):
        if not given_up:
            with load_study(storage) as study:
                (running,) = (trial for trial in study.trials if trial.state.name == "RUNNING")
                given_up.append(running.number)
                study.tell(running.number, state=optuna.trial.TrialState.FAIL)
        return Outcome(0.5, [])

    given_up = []
    trials = run(storage, train=train_on)
    assert [trial["state"] for trial in trials] == ["FAIL"] + ["COMPLETE"] * 8


# --- refusals


def test_only_what_has_begun_can_be_joined(storage):
    run(storage)
    with pytest.raises(ParamsError, match="no study other in a database that has study"):
        join_search("other", SPACE, train, storage=storage, patience=0)


KIND, PASSWORD = r"^search\.storage must be null, sqlite", "must hold no password"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        *((url, KIND) for url in ("mysql://host/db", "data/studies.db", "sqlite://", "sqlite:///", "")),
        ("postgresql://me:hidden@host/db", PASSWORD),
        ("postgresql+psycopg://me:hidden@host/db", PASSWORD),
        ("postgresql://host/db?user=me&password=hidden", PASSWORD),
    ],
)
def test_other_databases_and_passwords_are_refused_and_not_repeated(url, message):
    assert_refused(url, message)


def assert_refused(url, message):
    with pytest.raises(ParamsError, match=message) as refused, open_studies(url):
        pass
    assert "hidden" not in str(refused.value)


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert_refused("postgresql://host/db", r"expressionist\[postgres\]")


@postgres_server.needed
def test_a_server_that_does_not_answer_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hidden")
    url = f"postgresql://me@127.0.0.1:{postgres_server.find_port()}/db"
    assert_refused(url, r"must name a database that answers.*127\.0\.0\.1")


@postgres_server.needed
def test_a_wrong_password_is_refused(server, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hidden")
    assert_refused(server, "password authentication failed")


@postgres_server.needed
def test_a_worker_needs_two_connections(server):
    """A server has a hundred, unless told otherwise."""
    with open_studies(server) as opened:
        opened.locks.keep("worker")
        study = optuna.create_study(storage=opened.storage)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        port = int(server.rpartition(":")[2].partition("/")[0])
        mine = psutil.Process().net_connections(kind="tcp")
        assert len([each for each in mine if each.raddr and each.raddr.port == port]) <= 2


def test_a_file_leaves_no_lock_of_a_worker_behind(tmp_path):
    url, locks = f"sqlite:///{tmp_path / 'studies.db'}", tmp_path / "studies.db.locks"
    run(url)
    with open_studies(url) as opened:
        before = set(locks.iterdir())
        opened.locks.keep("worker")
        assert len(set(locks.iterdir()) - before) == 1
    assert set(locks.iterdir()) == before
    assert isinstance(opened, studies.Studies)


@postgres_server.needed
@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_server_that_restarts_ends_a_search_in_one_line_and_the_next_goes_on(storage):
    psycopg = pytest.importorskip("psycopg")
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def train_and_lose(choice, report):
        if choice["depth"] == 6:
            with psycopg.connect(storage, autocommit=True) as connection:
                connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        return train(choice, report)

    with pytest.raises(
        ParamsError, match="must stay until the search has ended, but got: .*connection"
    ) as lost:
        run(storage, train=train_and_lose)
    assert "\n" not in str(lost.value)
    states = Counter(trial["state"] for trial in run(storage))
    assert states["COMPLETE"] == len(SPACE.depths)
    assert set(states) <= {"COMPLETE", "FAIL"}
