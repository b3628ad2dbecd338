"""Runs that are seen while they go on: a thread tells MLflow of them, and training never waits for it."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from expressionist.tracking.runs import Run
from expressionist.tracking.store import Experiment, find_store, import_mlflow, open_experiment, open_store

# Epochs are told together, this many seconds apart: what is over before then is told of at its end.
SECONDS_BETWEEN = 10.0
# So long a stage waits at its end until everything is told, and a training at its own for what is being told.
_PATIENCE, _SHORT_PATIENCE = 60.0, 5.0
# So long nothing is told to a store that has failed.
_SECONDS_OFF = 60.0

Task = Callable[[Experiment], object]


class Live:
    """Tells a store one thing after the other, in a thread; a failure is said once and stops nothing."""

    def __init__(self, open_it: Callable[[], Experiment] | None, say: Callable[[str], object]) -> None:
        self._say = say
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._off_until, self._failed = 0.0, False
        self._thread: threading.Thread | None = None
        if open_it is not None:
            self._thread = threading.Thread(target=self._work, args=(open_it,), daemon=True)
            self._thread.start()

    def tell(self, task: Task) -> None:
        """Queue a task; it is left out while the store fails, since the stage register makes up for it."""
        self._tasks.put(task)

    def close(self) -> None:
        """Wait, but not for long, until everything is told."""
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _work(self, open_it: Callable[[], Experiment]) -> None:
        experiment = None
        while (task := self._tasks.get()) is not None:
            if time.monotonic() < self._off_until:
                continue
            try:
                experiment = experiment or open_it()
                task(experiment)
            # Whatever a store or a network may raise: a training of hours is worth more than its picture.
            except Exception as error:  # noqa: BLE001
                self._off_until = time.monotonic() + _SECONDS_OFF
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            reason = " ".join(str(error).split())[:300]
            self._say(f"MLflow could not be told; what it misses the stage register makes up for: {reason}")


class LiveRun:
    """One run that is begun when its first epochs are told."""

    def __init__(self, live: Live, begin: Callable[[Experiment], Run]) -> None:
        self._live, self._begin = live, begin
        self._rows: list[tuple[int, Mapping[str, Any]]] = []
        self._run: Run | None = None
        self._monitor: Any = None
        self._told, self._asked = time.monotonic(), False
        # Held while something is told, so that nothing is once the training is known to have ended.
        self._lock, self._ended = threading.Lock(), False

    def log(self, epoch: Mapping[str, Any]) -> None:
        """Note an epoch that has ended just now, and have all that are noted told if it is time."""
        self._rows.append((int(1000 * time.time()), epoch))
        if time.monotonic() - self._told >= SECONDS_BETWEEN:
            self._told, self._asked = time.monotonic(), True
            self._live.tell(self._tell)

    def end(self, status: str | None = None) -> None:
        """Tell no more. With a status, the run, if it was begun, gets the epochs that are left, and ends so.

        It is completed all the same by whoever publishes it.
        """
        if not self._asked:
            return  # so short that nothing was told, which spares opening the store
        if status is not None:
            self._live.tell(lambda experiment: self._finish(experiment, status))
            return
        held = self._lock.acquire(timeout=_SHORT_PATIENCE)
        self._ended = True
        if held:
            self._lock.release()
        self._live.tell(lambda _: self._stop_monitor())

    def _tell(self, experiment: Experiment) -> None:
        with self._lock:
            if self._ended:
                return
            if self._run is None:
                self._run = self._begin(experiment)
                self._monitor = _start_monitor(experiment, self._run)
            rows = list(self._rows)
            self._run.log_epochs(rows)
            del self._rows[: len(rows)]

    def _finish(self, experiment: Experiment, status: str) -> None:
        if self._run is not None:
            self._tell(experiment)
            self._stop_monitor()
            self._run.client.set_terminated(self._run.id, status)

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()


def _start_monitor(experiment: Experiment, run: Run) -> Any:  # noqa: ANN401  MLflow comes untyped
    """Log what the machine does, where MLflow's own variable asks for it."""
    variables = import_mlflow().environment_variables
    if not variables.MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run.id, resume_logging=not run.fresh, tracking_uri=experiment.store.uri)
    monitor.start()
    return monitor


@contextmanager
def open_live(
    root: Path | None, uri: str | None, cohort: str, say: Callable[[str], object], *, joined: bool = False
) -> Iterator[Live]:
    """Open what tells a store of runs that go on, while the block runs.

    Parameters
    ----------
    root, uri : pathlib.Path, str
        As for `open_store`; the store is opened when there is something to tell. Without a root only a server
        is told.
    cohort : str
        Name of the experiment.
    say : callable
        Told in a line that the store cannot be told, once.
    joined : bool
        Whether others have begun what is told of: no store is made for it.

    Yields
    ------
    Live
        Takes tasks, and `LiveRun`.
    """

    def open_it() -> Experiment:
        # MLflow would ask a server that has gone for minutes, and log every try.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        import_mlflow()
        for name in ("mlflow", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)
        opened = find_store if joined else open_store
        return open_experiment(opened(root or Path(), uri), cohort)

    live = Live(open_it if root or uri else None, say)
    try:
        yield live
    finally:
        live.close()
