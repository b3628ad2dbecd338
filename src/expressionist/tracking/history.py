"""The history of a registered model's aliases: every move, kept as a tag of its own that none replaces."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from expressionist.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_KEY = re.compile(r"move/(\d{6,})-\w+")
# Beyond which the column of MLflow's database need not hold a tag.
_LONGEST_REASON, _LONGEST_WHY = 500, 3000
# What leaves the alias where it was.
REFUSED = "refused"


@dataclass(frozen=True)
class Move:
    """A move of an alias from one version to another, ``none`` where it pointed or points at none.

    `move` is registered, promoted, refused (by the gate: the alias stayed), demoted or rolled back.
    """

    when: str
    who: str
    alias: str
    move: str
    from_version: str
    to_version: str
    why: str


def check_reason(reason: str) -> str:
    """Refuse a reason that a table cannot show or a tag cannot hold."""
    if len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise RegistryError(
            f"A reason must be one line of at most {_LONGEST_REASON} characters, but got {len(reason)} "
            "characters or some that cannot be printed. Shorten it."
        )
    return reason


def _write_move(client: "MlflowClient", name: str, move: Move) -> None:
    """Add a move to the history."""
    tags = client.get_registered_model(name).tags
    numbers = [int(found[1]) for key in tags if (found := _KEY.fullmatch(key))]
    # Two machines on one server may come to the same number.
    key = f"move/{1 + max(numbers, default=0):06d}-{secrets.token_hex(4)}"
    short = {**asdict(move), "why": move.why[:_LONGEST_WHY]}
    client.set_registered_model_tag(name, key, json.dumps(short, ensure_ascii=False))


def make_move(client: "MlflowClient", name: str, move: Move) -> None:
    """Write a move down, then make it: what was cut off is told, and nothing moves untold."""
    _write_move(client, name, move)
    if move.move == "demoted":
        client.delete_registered_model_alias(name, move.alias)
    elif move.move != REFUSED:
        client.set_registered_model_alias(name, move.alias, move.to_version)


def read_moves(tags: Mapping[str, str]) -> list[Move]:
    """Read the history from the tags of a registered model, in the order of the moves.

    Anybody can edit tags: one that is no move is told as it is, and what cannot be printed as spaces.
    """
    return [_read_move(tags[key]) for key in sorted(tags) if _KEY.fullmatch(key)]


def _read_move(text: str) -> Move:
    try:
        about = dict(json.loads(text))
    except (ValueError, TypeError):
        about = {"move": REFUSED, "why": f"not readable: {text}"}
    return Move(**{each.name: _clean(str(about.get(each.name, ""))) for each in fields(Move)})


def describe(version: str | None) -> str:
    """Name a version, or say that there is none."""
    return version or "none"


def stamp(moment: datetime) -> str:
    """Write a moment as the history has it."""
    return moment.isoformat(timespec="seconds")


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
