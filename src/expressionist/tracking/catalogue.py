"""What is registered, read from the store's own database: importing MLflow for it takes seconds."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from expressionist.errors import RegistryError
from expressionist.files import DATABASE_PATIENCE
from expressionist.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUERIES = (
    "SELECT version, alias FROM registered_model_aliases WHERE name = ? ORDER BY alias",
    "SELECT version, key, value FROM model_version_tags WHERE name = ?",
    "SELECT version, creation_time, storage_location FROM model_versions "
    "WHERE name = ? AND current_stage != 'Deleted_Internal' ORDER BY version",
)


@dataclass(frozen=True)
class Entry:
    """A version of a registered model, `created` at so many milliseconds since 1970.

    `folder` is where MLflow keeps its files; None where a server does.
    """

    number: str
    aliases: tuple[str, ...]
    created: int
    folder: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A version of the registered model `name`, and the folder that was registered.

    Of a folder that is in no registry, the name is where it is, and the number empty.
    """

    name: str
    number: str
    folder: Path

    @property
    def title(self) -> str:
        """Name and number, as sentences and pages have them."""
        return f"{self.name} version {self.number}" if self.number else self.name

    @property
    def attributions(self) -> Path:
        """What the stage explain found, which hangs on the version beside that folder."""
        return self.folder.parents[1] / "attributions"


def read_catalogue(database: Path, name: str) -> list[Entry] | None:
    """Read all versions of a registered model from ``mlruns/mlflow.db``, the oldest first.

    None if no model has that name. The database must be at the schema of the MLflow that is installed.
    """
    with _open(database) as connection:
        if not connection.execute("SELECT 1 FROM registered_models WHERE name = ?", (name,)).fetchone():
            return None
        aliases, tags, versions = (connection.execute(query, (name,)).fetchall() for query in _QUERIES)
    return [
        Entry(
            number=str(number),
            aliases=tuple(alias for owner, alias in aliases if owner == number),
            created=created,
            folder=Path(folder) if folder else None,
            tags={key: value for owner, key, value in tags if owner == number},
        )
        for number, created, folder in versions
    ]


def _open(database: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=DATABASE_PATIENCE))


def read_model_tags(database: Path, name: str) -> dict[str, str]:
    """Read the tags of a registered model, as opposed to those of its versions, as `read_catalogue` does."""
    with _open(database) as connection:
        query = "SELECT key, value FROM registered_model_tags WHERE name = ?"
        return dict(connection.execute(query, (name,)).fetchall())


def list_entries(store: Store, name: str) -> list[Entry]:
    """List the versions of a model, of a local store without importing MLflow."""
    if store.folder is None:
        entries = _ask_server(store.client, name)
    else:
        entries = read_catalogue(store.folder / "mlflow.db", name)
    if entries is None:
        raise RegistryError(
            f"The model {name} must be registered, but it is not. Run the stage register first."
        )
    return entries


def _ask_server(client: "MlflowClient", name: str) -> list[Entry] | None:
    if not client.search_registered_models(f"name = '{name}'"):
        return None
    aliases = client.get_registered_model(name).aliases.items()
    return [
        Entry(
            number=str(version.version),
            aliases=tuple(sorted(alias for alias, number in aliases if str(number) == str(version.version))),
            created=version.creation_timestamp,
            tags=version.tags,
        )
        for version in client.search_model_versions(f"name = '{name}'")
    ]
