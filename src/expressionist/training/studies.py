"""Where searches keep their trials, SQLite on one machine or PostgreSQL for many, and who works on them.

Who works on a study holds a lock for as long as the process lives: a file's lock beside an SQLite database,
an advisory lock of a PostgreSQL server. The kernel, or the server, frees it in the moment in which the
process ends, however it ends. So a killed process is told from a slow one with no clock, heartbeat or process
number, also from another machine.
"""

import hashlib
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from expressionist.errors import ParamsError, holds_password
from expressionist.files import DATABASE_PATIENCE, lock_file

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_POSTGRES = ("postgresql", "postgresql+psycopg")
# A node that has lost its power or its network is given up after idle + interval · count seconds, and a
# firewall never sees a connection that is silent for longer than `idle`.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_LONGEST_REASON = 200


class Locks(Protocol):
    """Locks by name, each freed at the latest when the process that holds it ends."""

    def hold(self, name: str) -> Any:  # noqa: ANN401  a context manager, whoever makes it
        """Hold a lock while the block runs; wait for it as long as another process has it."""

    def keep(self, name: str) -> None:
        """Hold a lock for good."""

    def is_held(self, name: str) -> bool:
        """Tell whether another process holds a lock."""


@dataclass(frozen=True)
class Studies:
    """An open database of studies and their trials, and the locks shared by all processes that work on it."""

    storage: "RDBStorage"
    locks: Locks


@contextmanager
def open_studies(url: str) -> Iterator[Studies]:
    """Open a database of studies, made if it is empty; its locks are freed with the block.

    The `url` is ``sqlite:///<path>`` or ``postgresql://<user>@<host>/<database>``, without a password.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite" and (path := url.removeprefix("sqlite:///")) not in ("", url):
        with ExitStack() as kept:
            files = _FileLocks(Path(f"{path}.locks"), kept)
            yield from _open(url, {"connect_args": {"timeout": DATABASE_PATIENCE}}, files)
    elif scheme in _POSTGRES:
        address = _without_driver(url)
        with _connect(address) as locks:
            # One connection beside that of the locks: a server takes 100 unless told otherwise.
            options = {"pool_size": 1, "pool_pre_ping": True, "connect_args": _KEEPALIVES}
            yield from _open(f"postgresql+psycopg:{address.partition(':')[2]}", options, locks)
    else:
        raise ParamsError(
            "search.storage must be null, sqlite:///<path> or postgresql://<user>@<host>/<database>, but got "
            f"a URL of the kind {scheme!r}. Correct it in params.yaml."
        )


def _open(url: str, options: dict[str, Any], locks: Locks) -> Iterator[Studies]:
    from optuna.storages import RDBStorage

    # Two processes that make the tables at once hinder each other.
    with locks.hold("tables"):
        storage = RDBStorage(url, engine_kwargs=options)
    try:
        yield Studies(storage, locks)
    finally:
        storage.remove_session()
        storage.engine.dispose()


class _FileLocks:
    """A lock is the kernel's on an open file."""

    def __init__(self, folder: Path, kept: ExitStack) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.kept = folder, kept

    def _find(self, name: str) -> Path:
        return self.folder / hashlib.sha256(name.encode()).hexdigest()[:20]

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        with lock_file(self._find(name)):
            yield

    def keep(self, name: str) -> None:
        self.kept.enter_context(lock_file(self._find(name)))
        self.kept.callback(self._find(name).unlink, missing_ok=True)

    def is_held(self, name: str) -> bool:
        path = self._find(name)
        if not path.exists():
            return False
        with lock_file(path, wait=False) as is_free:
            if is_free:
                path.unlink()  # its process is gone, and no other will ever go by its name
        return not is_free


class _ServerLocks:
    """A lock is the server's, and belongs to this connection."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  psycopg is an extra
        self.connection = connection

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        self.keep(name)
        try:
            yield
        finally:
            self._ask("SELECT pg_advisory_unlock(%s)", name)

    def keep(self, name: str) -> None:
        self._ask("SELECT pg_advisory_lock(%s)", name)

    def is_held(self, name: str) -> bool:
        if not self._ask("SELECT pg_try_advisory_lock(%s)", name):
            return True
        self._ask("SELECT pg_advisory_unlock(%s)", name)
        return False

    def _ask(self, question: str, name: str) -> object:
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        return self.connection.execute(question, [number]).fetchone()[0]


@contextmanager
def _connect(address: str) -> Iterator[_ServerLocks]:
    try:
        psycopg = importlib.import_module("psycopg")
    except ImportError as error:
        raise ParamsError(
            "The driver of PostgreSQL must be installed where search.storage is a postgresql:// URL, but got "
            "none. Install the extra: pip install 'expressionist[postgres]'."
        ) from error
    try:
        connection = psycopg.connect(address, autocommit=True, **_KEEPALIVES)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise ParamsError(
            f"search.storage must name a database that answers, but got: {reason}. Start the server, or "
            "correct params.yaml, PGPASSWORD or ~/.pgpass."
        ) from error
    with connection:
        for name, value in _KEEPALIVES.items():
            # The server's side of the connection, which frees the locks.
            connection.execute(f"SET tcp_{name} = {value}")
        try:
            yield _ServerLocks(connection)
        except Exception as error:
            if not _comes_from(error, psycopg.OperationalError):
                raise
            raise ParamsError(
                "The database of search.storage must stay until the search has ended, but got: "
                f"{' '.join(str(error).split())[:_LONGEST_REASON]}. Start the server, and run the same "
                "command again: it goes on from the last trial."
            ) from error


def _comes_from(error: BaseException | None, kind: type[Exception]) -> bool:
    """Tell whether an error, or one that led to it, is of a kind."""
    return error is not None and (
        isinstance(error, kind) or _comes_from(error.__cause__ or error.__context__, kind)
    )


def _without_driver(url: str) -> str:
    """Write a PostgreSQL URL as its own client reads it, unless it holds a password.

    It would be written wherever params are; the client finds it in PGPASSWORD or ~/.pgpass.
    """
    if holds_password(url):
        raise ParamsError(
            "search.storage must hold no password, since params are copied into dvc.lock and logs, but got "
            "one. Take it out of params.yaml, and put it into ~/.pgpass or the variable PGPASSWORD."
        )
    return f"postgresql:{url.partition(':')[2]}"
