"""Promotion: aliases move to a version that passes the gate, or back, and each move is kept."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from expressionist.errors import RegistryError
from expressionist.evaluation import read_predictions
from expressionist.params import GateParams
from expressionist.tracking.catalogue import Entry, list_entries, read_model_tags
from expressionist.tracking.gate import NONE_WAIVED, Candidate, Check, Waivers, judge
from expressionist.tracking.history import (
    REFUSED,
    Move,
    check_reason,
    describe,
    make_move,
    read_moves,
    stamp,
)
from expressionist.tracking.registry import CHALLENGER, EXPLANATION, ORIGIN, PREDICTIONS
from expressionist.tracking.runs import KEY
from expressionist.tracking.store import Store
from expressionist.tracking.validations import read_validations

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Where a version must be to be promoted further; to any other alias it is promoted from the challenger.
_BEFORE = {"production": "staging"}


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion: the gate's checks, and what the alias pointed at before.

    Without checks, the version had the alias already.
    """

    checks: tuple[Check, ...]
    version: str
    from_version: str | None

    @property
    def passed(self) -> bool:
        """Whether the alias points at the version, or, in a dry run, would."""
        return all(check.passed for check in self.checks)


def promote(
    store: Store,
    name: str,
    *,
    to: str = "staging",
    gate: GateParams,
    who: str,
    when: datetime,
    why: str = "",
    waivers: Waivers = NONE_WAIVED,
    dry_run: bool = False,
) -> Promotion:
    """Point an alias at the challenger, or production at what is staging, if it passes the gate.

    The checks are those of `gate.judge`. What is promoted or refused goes into the history of the alias, and
    the version's tags say who promoted it, when, from which version, and what was waived. If it does not
    pass, the alias stays, and the version is tagged ``validation_status=failed`` with the reasons.

    Parameters
    ----------
    store : Store
        From `open_store`.
    name : str
        Name of the registered model.
    to : str
        The alias.
    gate : GateParams
        Thresholds.
    who, when, why : str, datetime.datetime, str
        For the history.
    waivers : Waivers
        What a person takes on.
    dry_run : bool
        Check only; nothing is written.

    Raises
    ------
    RegistryError
        If there is no version to promote, `to` is ``challenger``, or another moved one of these aliases in
        the meantime.
    """
    if to == CHALLENGER:
        raise RegistryError(f"A version must be promoted to another alias, but got {to!r}. Use staging.")
    check_reason(why)
    source = _BEFORE.get(to, CHALLENGER)
    before = _list_aliases(list_entries(store, name))
    with store.hold():
        entries = list_entries(store, name)
        _check_unmoved(store, name, before, _list_aliases(entries), source, to)
        version, present = before.get(source), before.get(to)
        if version is None:
            how = "Run the stage register." if source == CHALLENGER else f"Promote one to {source} first."
            raise RegistryError(f"A version of {name} must be the {source}, but none is. {how}")
        ours = _list_ours(entries)
        if version not in ours:
            raise RegistryError(
                f"The {source} of {name} must be a version of the stage register, but got version "
                f"{version}, which was registered otherwise. Set the alias {source} to another, or run "
                "the stage."
            )
        if version == present:
            return Promotion((), version, present)
        rival = None
        if present is not None:
            # Of a version of other origin nothing is known that could be compared.
            unknown = Candidate(present, math.nan, math.nan, "", "", "", "")
            rival = _weigh(store.client, name, present) if present in ours else unknown
        checks = judge(_weigh(store.client, name, version), rival, gate, waivers)
        promotion = Promotion(checks, version, present)
        if not dry_run:
            _carry_out(store.client, name, promotion, to, (stamp(when), who, why), waivers)
    return promotion


def _carry_out(
    client: "MlflowClient",
    name: str,
    promotion: Promotion,
    to: str,
    by: tuple[str, str, str],
    waivers: Waivers,
) -> None:
    """Write what came of a promotion into the version's tags and the history, and move the alias."""
    (when, who, why), version, passed = by, promotion.version, promotion.passed
    against = " ".join(check.said for check in promotion.checks if not check.passed)
    waived = " ".join(check.said for check in promotion.checks if check.waived)
    tags = {
        "validation_status": "passed" if passed else "failed",
        "validation_reasons": " ".join(check.said for check in promotion.checks),
    }
    if passed:
        before = describe(promotion.from_version)
        tags |= {"promoted_to": to, "promoted_by": who, "promoted_at": when, "promoted_from": before}
        tags |= {f"promoted_{key}": str(value).lower() for key, value in asdict(waivers).items()}
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    told = "; ".join(part for part in (why, waived if passed else against) if part)
    about = (to, "promoted" if passed else REFUSED, describe(promotion.from_version), version, told)
    make_move(client, name, Move(when, who, *about))


def move_back(
    store: Store, name: str, *, alias: str, to: str | None, who: str, when: datetime, why: str = ""
) -> Move:
    """Point an alias at a version that it pointed at before, or take it away. No gate is asked.

    Parameters
    ----------
    store, name : Store, str
        As for `promote`.
    alias : str
        What to move.
    to : str, optional
        The version; None takes the alias away.
    who, when, why : str, datetime.datetime, str
        For the history.

    Returns
    -------
    Move
        What was done.

    Raises
    ------
    RegistryError
        If the alias points at none or at that version already, never pointed at it, or was moved by another
        in the meantime.
    """
    check_reason(why)
    before = _list_aliases(list_entries(store, name))
    with store.hold():
        entries = list_entries(store, name)
        _check_unmoved(store, name, before, _list_aliases(entries), alias)
        present = before.get(alias)
        if present == to:
            said = f"A version of {name} must be {alias} to be demoted, but none is."
            if to is not None:
                said = f"A rollback must go to another version, but {to} is {alias} already."
            raise RegistryError(f"{said} See `expressionist models`.")
        if to is not None and to not in _list_former(store, name, entries, alias):
            raise RegistryError(
                f"A rollback must go to a version that was {alias} before, but got {to!r}. See "
                "`expressionist history`, or promote it."
            )
        done = "demoted" if to is None else "rolled back"
        move = Move(stamp(when), who, alias, done, describe(present), describe(to), why)
        make_move(store.client, name, move)
    return move


def _list_aliases(entries: Sequence[Entry]) -> dict[str, str]:
    return {alias: entry.number for entry in entries for alias in entry.aliases}


def _list_ours(entries: Sequence[Entry]) -> set[str]:
    """List the versions that the stage register made."""
    return {entry.number for entry in entries if KEY in entry.tags}


def _list_former(store: Store, name: str, entries: Sequence[Entry], alias: str) -> set[str]:
    """List versions that are there and had an alias; before there was a history, a version's tag said it."""
    moves = [move for move in _read_history(store, name) if move.alias == alias and move.move != REFUSED]
    had = {version for move in moves for version in (move.from_version, move.to_version)}
    had |= {entry.number for entry in entries if entry.tags.get("promoted_to") == alias}
    return had & {entry.number for entry in entries}


def _check_unmoved(
    store: Store, name: str, before: Mapping[str, str], now: Mapping[str, str], *aliases: str
) -> None:
    """Refuse to move an alias that another moved while the store was waited for."""
    for alias in aliases:
        if before.get(alias) != now.get(alias):
            moves = [move for move in _read_history(store, name) if move.alias == alias]
            who = moves[-1].who if moves else "somebody"
            raise RegistryError(
                f"The alias {alias} of {name} must stay where it is while you move one, but {who} moved it "
                f"from {describe(before.get(alias))} to {describe(now.get(alias))} in the meantime. See "
                "`expressionist history`, and try again if that is still meant."
            )


def _read_history(store: Store, name: str) -> list[Move]:
    if store.folder is None:
        return read_moves(store.client.get_registered_model(name).tags)
    return read_moves(read_model_tags(store.folder / "mlflow.db", name))


def list_history(store: Store, name: str, alias: str | None = None) -> pd.DataFrame:
    """List the moves of a model's aliases, the oldest first.

    Parameters
    ----------
    store, name : Store, str
        As for `promote`.
    alias : str, optional
        Whose moves; of all if not given.

    Returns
    -------
    pandas.DataFrame of length n_moves
        ``when``, ``who``, ``alias``, ``move`` (``refused`` left the alias where it was), ``from``, ``to`` and
        ``why``, as text. Where an alias is not where its last move left it, a last row, ``unrecorded``, says
        so.

    Raises
    ------
    RegistryError
        If no model has that name.
    """
    present = _list_aliases(list_entries(store, name))
    moves = _read_history(store, name)
    recorded = {move.alias: move.to_version for move in moves if move.move != REFUSED}
    why = "set by other means, before there was a history, or cut off"
    for each in sorted(present.keys() | recorded.keys()):
        there, here = recorded.get(each, "none"), describe(present.get(each))
        if there != here:
            moves.append(Move("", "", each, "unrecorded", there, here, why))
    rows = [asdict(move) for move in moves if alias in (None, move.alias)]
    columns = ["when", "who", "alias", "move", "from_version", "to_version", "why"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"from_version": "from", "to_version": "to"})


def _weigh(client: "MlflowClient", name: str, number: str) -> Candidate:
    """Read what the gate weighs: scores and origin as logged, not as tagged, since anybody can edit tags."""
    version = client.get_model_version(name, number)
    # The SQL registry keeps a version's model id in its source only.
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    measured = {metric.key: metric.value for metric in model.metrics or ()}
    origin = {key: (model.params or {}).get(key, "") for key in ORIGIN}
    return Candidate(
        version=number,
        accuracy=float(measured.get("accuracy", "nan")),
        f1_macro=float(measured.get("f1_macro", "nan")),
        ece=float(measured.get("ece", "nan")),
        answers=_read_answers(client, version.run_id),
        dataset=version.tags.get("dvc.images", ""),
        split=version.tags.get("dvc.split", ""),
        validations=read_validations(client, name, number),
        explanation={
            key.removeprefix(EXPLANATION): value
            for key, value in measured.items()
            if key.startswith(EXPLANATION)
        },
        **origin,
    )


def _read_answers(client: "MlflowClient", run_id: str) -> pd.DataFrame | None:
    """Read what a network answered on its test samples, from its run; None if it does not hang there."""
    if PREDICTIONS not in {file.path for file in client.list_artifacts(run_id)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(run_id, PREDICTIONS, folder)
        return read_predictions(Path(path), "test")[0]
