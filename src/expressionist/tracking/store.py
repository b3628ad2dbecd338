"""The MLflow store in mlruns/: its database, made once and kept up to date; its paths follow the checkout."""

import importlib
import logging
import os
import re
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as installed
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from expressionist.errors import RegistryError, holds_password, name_extra
from expressionist.files import DATABASE_PATIENCE, find_origin, lock_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow writes absolute paths. These columns hold them, and no others (found by scanning all tables).
_PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)

_PATIENCE = 10

# Without the first, MLflow's UI opens on traces of language models.
_LEADERBOARD = {
    "workflowType": "machine_learning",
    "searchFilter": "metrics.accuracy >= 0",
    "orderByKey": "metrics.`f1_macro`",
    "orderByAsc": "false",
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
}

_GUIDE = """\
Runs of the cohort **{name}**. `tags.kind` says what a run is:

| kind | one run per | scores |
|---|---|---|
| `search` | backbone; its trials are nested below it | chosen trial, mean over folds |
| `trial` | fine-tune depth tried | `validation_*`; every epoch under `epoch/` |
| `training` | final training of a backbone | test samples; `validation_*` beside them |
| `registered` | training of the winner on training and validation patients | test samples |
| `baseline model` | model that sees no image, on the same split | test samples |

To see who won: filter `metrics.accuracy >= 0` (only what was tested has it), show the columns `model`,
`backbone`, `depth`, `accuracy` and `f1_macro`, and sort by `f1_macro`. `accuracy_low` and `accuracy_high` are
bounds by a bootstrap.
A run marked RANDOM started from no pretrained weights; the param `weights.source` of a final training says
whether it was to. One marked SYNTHETIC saw simulated samples only. Tags `dvc.*` are what `dvc.lock` has for
the outputs that a run hangs on.
"""


@dataclass(frozen=True)
class Store:
    """An MLflow store: its tracking URI, and the mlruns folder unless a server keeps the store."""

    uri: str
    folder: Path | None

    @cached_property
    def client(self) -> "MlflowClient":
        """The store's MlflowClient, made when it is first asked for, as importing MLflow takes seconds."""
        return import_mlflow().MlflowClient(self.uri)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes of this machine from looking for something and making it at the same time."""
        with nullcontext() if self.folder is None else hold(self.folder):
            yield


@dataclass(frozen=True)
class Experiment:
    """The experiment of one cohort."""

    store: Store
    id: str
    name: str

    @property
    def client(self) -> "MlflowClient":
        """The store's MlflowClient."""
        return self.store.client


def open_store(root: Path, uri: str | None = None) -> Store:
    """Open the MLflow store of a checkout, made or moved into place as needed, or that of a server.

    Parameters
    ----------
    root : pathlib.Path
        The checkout, or the folder of one of its experiments, which DVC removes. The checkout's store is
        ``mlruns/mlflow.db`` with ``mlruns/artifacts/``.
    uri : str, optional
        Tracking URI to use instead, such as ``http://host:5000``.

    Raises
    ------
    RegistryError
        If the checkout's path cannot stand in a URI, or the server's holds a password or does not answer.
    """
    if uri:
        if holds_password(uri):
            raise RegistryError(
                "The address of the MLflow server must hold no password, which logs would show, but got one. "
                "Put it into MLFLOW_TRACKING_PASSWORD, beside MLFLOW_TRACKING_USERNAME; that of a database "
                "into PGPASSWORD."
            )
        _ask_for_answer(uri)
        return Store(uri, None)
    root = find_origin(root) or root
    return Store(prepare(root / "mlruns"), (root / "mlruns").resolve())


def find_store(root: Path, uri: str | None = None) -> Store:
    """Open the MLflow store of a checkout as `open_store` does, but make none.

    Parameters
    ----------
    root, uri : pathlib.Path, str
        As for `open_store`.

    Raises
    ------
    RegistryError
        If there is none, besides what `open_store` refuses.
    """
    root = find_origin(root) or root
    if not uri and not (root / "mlruns" / "mlflow.db").is_file():
        raise RegistryError(
            f"A project must have a store of models, mlruns/mlflow.db, but got {root.resolve()}, which has "
            "none. Run the stage register there, go to another folder, or set MLFLOW_TRACKING_URI."
        )
    return open_store(root, uri)


def _ask_for_answer(uri: str) -> None:
    """Refuse a server that does not answer: MLflow would ask it for minutes, and then say it in 60 lines."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urlopen(uri, timeout=_PATIENCE).close()
    except HTTPError:
        pass  # It does answer.
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # MLflow has settings of its own for certificates
            raise RegistryError(
                f"The MLflow server must answer within {_PATIENCE} seconds, but {uri} gave: {reason}. Start "
                "it, or correct MLFLOW_TRACKING_URI."
            ) from error


def open_experiment(store: Store, cohort: str) -> Experiment:
    """Find or make the experiment named like the cohort; one that was deleted in the UI is restored."""
    with store.hold():
        found = store.client.get_experiment_by_name(cohort)
        if found is None:
            place = None if store.folder is None else str(store.folder / "artifacts" / _as_folder(cohort))
            identity = store.client.create_experiment(cohort, artifact_location=place)
            store.client.set_experiment_tag(identity, "mlflow.note.content", _GUIDE.format(name=cohort))
            store.client.set_experiment_tag(identity, "mlflow.experimentKind", "custom_model_development")
        else:
            identity = found.experiment_id
            if found.lifecycle_stage == "deleted":
                store.client.restore_experiment(identity)
    return Experiment(store, identity, cohort)


def list_leaderboards(store: Store, address: str) -> Iterator[str]:
    """List, per experiment with runs, where MLflow's UI at an address shows what was tested, best first."""
    for experiment in store.client.search_experiments():
        if store.client.search_runs([experiment.experiment_id], max_results=1):
            page = f"{address}/#/experiments/{experiment.experiment_id}/runs?{urlencode(_LEADERBOARD)}"
            yield f"{experiment.name}: {page}"


def _as_folder(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def import_mlflow() -> ModuleType:
    """Import MLflow, which takes seconds, with its telemetry off, and return the module."""
    # Telemetry begins with the import (it writes an installation id and later asks a server).
    loaded = "mlflow" in sys.modules
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with name_extra():
        mlflow = importlib.import_module("mlflow")
    # It logs the tracebacks of what it raises, so that a full disk would not be one line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if loaded:
        mlflow.telemetry.set_telemetry_client()
    return mlflow


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine out of a folder, made if need be, while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / ".lock"):
        yield


def prepare(folder: Path) -> str:
    """Create or upgrade the database, let its paths follow a moved checkout, and return its URI.

    Two processes that create the database at once destroy it half made, hence the lock.
    """
    folder = folder.resolve()
    if bad := sorted(set(str(folder)) & set("%#?")):
        raise RegistryError(
            f"The path of the MLflow store must be free of the characters %, # and ?, but {folder} has "
            f"{' '.join(bad)}. Rename the folder or set MLFLOW_TRACKING_URI to a server."
        )
    # MLflow itself has no setting for how long it waits for another's write, which would be 5 seconds.
    uri = f"sqlite:///{folder / 'mlflow.db'}?timeout={DATABASE_PATIENCE}"
    with hold(folder):
        _bring_up_to_date(folder, uri)
        _follow(folder)
    return uri


def _bring_up_to_date(folder: Path, uri: str) -> None:
    """Create or upgrade the database, unless the MLflow that is installed has left it as it is now."""
    database, stamp = folder / "mlflow.db", folder / ".schema"
    if not database.exists():
        _create(database, folder / "artifacts" / "Default")
    elif _describe_schema(database) == (stamp.read_text(encoding="utf-8") if stamp.exists() else None):
        return
    else:
        _upgrade(database, uri)
    stamp.write_text(_describe_schema(database), encoding="utf-8")


def _describe_schema(database: Path) -> str:
    with name_extra():
        return f"MLflow {installed('mlflow')}: {_read_revision(database)}"


def _read_revision(database: Path) -> str:
    with closing(sqlite3.connect(database, timeout=DATABASE_PATIENCE)) as connection:
        try:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.DatabaseError as error:
            if not re.search("no such table|not a database", str(error)):
                raise
            raise RegistryError(
                f"The store of models must be a database of MLflow, but {database} is none ({error}). Put "
                "back the file that was there, or remove this one: the stage register makes a new one."
            ) from error
    return ", ".join(row for (row,) in found)


def _create(database: Path, artifacts: Path) -> None:
    """Make the database elsewhere and move it into place: one whose making was cut off cannot be mended."""
    partial = database.with_name(".partial-mlflow.db")
    partial.unlink(missing_ok=True)
    import_mlflow()
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    # Without a place for the Default experiment, that would be whatever folder the process happens to run in.
    stores.SqlAlchemyStore(f"sqlite:///{partial}", str(artifacts)).engine.dispose()
    partial.replace(database)


def _upgrade(database: Path, uri: str) -> None:
    """Upgrade the database, after the backup that MLflow's documentation asks for."""
    copy = f"{database}.of-{_read_revision(database)}"
    with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(copy)) as backup:
        old.backup(backup)
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RegistryError(
            f"MLflow must upgrade its database {database}, but said: {done.stderr.strip()[-500:]}. "
            f"The database as it was is {copy}."
        )


def _follow(folder: Path) -> None:
    """Rewrite the paths in the database if the folder is not where its stamp says it was."""
    stamp, here = folder / ".root", str(folder)
    there = stamp.read_text(encoding="utf-8") if stamp.exists() else here
    if there != here:
        with (
            closing(sqlite3.connect(folder / "mlflow.db", timeout=DATABASE_PATIENCE)) as connection,
            connection,
        ):
            for table, column in _PATH_COLUMNS:
                for scheme in ("", "file://"):
                    old, new = f"{scheme}{there}/", f"{scheme}{here}/"
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, len(old), old),
                    )
    # Last, so that a rewrite that was cut off is done again.
    if there != here or not stamp.exists():
        stamp.write_text(here, encoding="utf-8")
