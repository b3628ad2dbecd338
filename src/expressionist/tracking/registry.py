"""The model registry: versions with what they were tested on, and the aliases that point at them."""

import math
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version as installed
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from expressionist.errors import RegistryError
from expressionist.evaluation import read_predictions
from expressionist.params import GateParams
from expressionist.tracking.catalogue import Entry, Version, read_catalogue, read_model_tags
from expressionist.tracking.gate import NONE_WAIVED, Candidate, Check, Waivers, judge
from expressionist.tracking.history import (
    REFUSED,
    Move,
    check_reason,
    describe,
    read_moves,
    stamp,
    write_move,
)
from expressionist.tracking.runs import DIGEST_LENGTH, KEY, Run, is_number
from expressionist.tracking.serving import check_list
from expressionist.tracking.store import Experiment, Store, import_mlflow
from expressionist.tracking.validations import read_validations

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER = "challenger"
# Where a version must be to be promoted further; to any other alias it is promoted from the challenger.
_BEFORE = {"production": "staging"}
_LONGEST_CARD = 5000
# Predictions of a run, by sample.
PREDICTIONS = "predictions.tsv"
# What loading and running the served network imports, at the versions it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "keras", "tensorflow")
_GATED = ("accuracy", "f1_macro")
# In front of the metrics that tell how good a version's explanation is.
EXPLANATION = "explanation_"
_MODEL = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")
_ORIGIN = ("synthetic", "weights")
_DESCRIPTION = (
    "Takes a table of samples × genes in the cohort's unit, genes in any order, and returns tumour types. "
    "`challenger` is what the pipeline made last; `staging` is what passed the gate, and `production` what "
    "passed it again from there. The tags `move/...` are the history of these aliases."
)


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


def register_version(
    experiment: Experiment,
    name: str,
    folder: Path,
    *,
    key: str,
    run_id: str,
    metrics: Mapping[str, float],
    digests: Mapping[str, str],
    tags: Mapping[str, str],
    when: datetime,
    card: str,
    artifacts: Sequence[Path] = (),
) -> str:
    """Register a model folder as a version with the alias challenger, unless it is one already.

    Parameters
    ----------
    experiment : Experiment
        Where the model's run is.
    name : str
        Name of the registered model.
    folder : pathlib.Path
        As `write_served` writes it.
    key : str
        What makes the model the same as an earlier one, which then keeps its version and becomes the
        challenger again.
    run_id : str
        The run of the final training, from `publish_training`.
    metrics : mapping of str to float
        Test scores, with ``accuracy`` and ``f1_macro``, and what `flatten_explanation` gives; the gate reads
        them.
    digests : mapping of str to str
        Kind of output to what ``dvc.lock`` has for it. Scores are only compared where ``images`` and
        ``split`` agree.
    tags : mapping of str to str
        Tags of the version: ``synthetic``, ``weights``, ``cohort`` and whatever else.
    when : datetime.datetime
        For the history of the alias.
    card : str
        The model card, in Markdown: the description of the version.
    artifacts : sequence of pathlib.Path
        Files and folders (the report, the attributions) to hang on the model and on its run.

    Returns
    -------
    str
        The version.
    """
    client = experiment.client
    # MLflow looks some things up through its module-level functions, whatever client it was called with.
    with experiment.store.hold(), _pointing_at(client):
        version = _find_version(client, name, key)
        if version is None:
            origin = {key: tags[key] for key in _ORIGIN}
            model_id = _log_model(experiment, name, folder, run_id, origin)
            _attach(experiment, model_id, run_id, metrics, digests["images"], artifacts)
            facts = {
                **tags,
                **{score: repr(float(metrics[score])) for score in _GATED},
                **{f"dvc.{output}": digest for output, digest in digests.items()},
                KEY: key,
            }
            version = _create_version(client, name, model_id, run_id, facts, card)
        before = client.get_registered_model(name).aliases.get(CHALLENGER)
        if str(before) != version:
            before = None if before is None else str(before)
            told = (
                stamp(when),
                "register",
                CHALLENGER,
                "registered",
                describe(before),
                version,
                "",
            )
            _move(client, name, Move(*told))
    return version


def flatten_explanation(facts: Mapping[str, Any], types: pd.DataFrame) -> dict[str, float]:
    """Give what tells how good an explanation is, as metrics of a version.

    Parameters
    ----------
    facts : mapping
        Content of explanation.json.
    types : pandas.DataFrame
        Content of types.tsv.

    Returns
    -------
    dict of str to float
        Median and 95th percentile of the completeness gap, and the share of a type's first genes that two
        halves of its samples share, in the mean over types; NaN if no type has two samples.

    Examples
    --------
    >>> types = pd.DataFrame({"shared_halves": [12, 8, None], "n_top": 20})
    >>> flatten_explanation({"gap": {"median": 0.004, "p95": 0.02}}, types)["explanation_shared_halves"]
    0.5
    """
    found = {f"gap_{key}": float(facts["gap"][key]) for key in ("median", "p95")}
    found["shared_halves"] = float((types["shared_halves"] / types["n_top"]).mean())
    return {f"{EXPLANATION}{key}": value for key, value in found.items()}


def hang_page(experiment: Experiment, name: str, version: str, page: Path) -> None:
    """Hang a page that tells of a version on its model and on its run, unless one of that name hangs there.

    Parameters
    ----------
    experiment : Experiment
        Where the model's run is.
    name, version : str
        Of the registered model.
    page : pathlib.Path
        The file. It is hung last on the model, so that what was cut off is made up for by the next call.
    """
    client = experiment.client
    about = client.get_model_version(name, version)
    model_id = str(about.source).removeprefix("models:/")
    if page.name not in {file.path for file in client.list_logged_model_artifacts(model_id)}:
        client.log_artifact(about.run_id, str(page))
        client.log_model_artifact(model_id, str(page))


def _find_version(client: "MlflowClient", name: str, key: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'", max_results=1)
    return str(found[0].version) if found else None


def _log_model(
    experiment: Experiment, name: str, folder: Path, run_id: str, origin: Mapping[str, str]
) -> str:
    mlflow = import_mlflow()
    package, types = Path(str(package_files("expressionist"))), mlflow.types
    # No schema of the input: with 10,000 gene columns it is slow, and its refusals run to 371,000 characters.
    # `align` checks instead.
    params = types.ParamSchema([types.ParamSpec("explain", types.DataType.boolean, default=False)])
    with _pointing_at(experiment.client), warnings.catch_warnings():
        # An example would hold every gene.
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(package / "tracking" / "served_model.py"),
            artifacts={"model": str(folder)},
            code_paths=[str(package)],
            signature=mlflow.models.ModelSignature(params=params),
            # With output: tumour_type, `mlflow.models.evaluate` gets the labels that it needs.
            model_config={"output": "table"},
            pip_requirements=[f"{item}=={installed(item)}" for item in _REQUIREMENTS],
            model_id=experiment.client.create_logged_model(
                experiment.id,
                name=name,
                source_run_id=run_id,
                # Unlike tags, these never change.
                params=dict(origin),
                model_type="tumour type classifier",
            ).model_id,
        )
    return str(info.model_id)


def _attach(
    experiment: Experiment,
    model_id: str,
    run_id: str,
    metrics: Mapping[str, float],
    dataset_digest: str,
    artifacts: Sequence[Path],
) -> None:
    """Hang scores and files on the model, and the files on its run too, where the UI shows them."""
    client, entities = experiment.client, import_mlflow().entities
    run = client.get_run(run_id)
    moment = run.info.end_time or run.info.start_time
    about = {
        "model_id": model_id,
        "dataset_name": experiment.name,
        "dataset_digest": dataset_digest[:DIGEST_LENGTH],
    }
    points = [
        entities.Metric(key, float(value), moment, 0, **about)
        for key, value in metrics.items()
        if is_number(value)
    ]
    client.log_batch(run_id, metrics=points)
    client.log_outputs(run_id, [entities.LoggedModelOutput(model_id, step=0)])
    for path in artifacts:
        if path.is_dir():
            client.log_model_artifacts(model_id, str(path), path.name)
        else:
            client.log_model_artifact(model_id, str(path))
    Run(client, run_id, moment, fresh=False, done=True).log_files(artifacts)


def _create_version(
    client: "MlflowClient", name: str, model_id: str, run_id: str, tags: Mapping[str, str], card: str
) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=_DESCRIPTION)
    # The database need not hold more; the table by type, which comes last, may be cut.
    told = card if len(card) <= _LONGEST_CARD else card[:_LONGEST_CARD].rpartition("\n")[0]
    # Tags come with the version in one step, so that a version without its key never exists.
    version = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=dict(tags), description=told, model_id=model_id
    )
    return str(version.version)


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
    before = _list_aliases(_list_entries(store, name))
    with store.hold():
        entries = _list_entries(store, name)
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
    _move(client, name, Move(when, who, *about))


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
    before = _list_aliases(_list_entries(store, name))
    with store.hold():
        entries = _list_entries(store, name)
        _check_unmoved(store, name, before, _list_aliases(entries), alias)
        present = before.get(alias)
        if present == to:
            raise RegistryError(
                f"The alias {alias} of {name} must point elsewhere to be moved, but it points at "
                f"{describe(present)}. See `expressionist models`."
            )
        if to is not None and to not in _list_former(store, name, entries, alias):
            raise RegistryError(
                f"A rollback must go to a version that was {alias} before, but got {to!r}. See "
                "`expressionist history`, or promote it."
            )
        done = "demoted" if to is None else "rolled back"
        move = Move(stamp(when), who, alias, done, describe(present), describe(to), why)
        _move(store.client, name, move)
    return move


def _move(client: "MlflowClient", name: str, move: Move) -> None:
    """Write a move down, then make it."""
    write_move(client, name, move)
    if move.move == "demoted":
        client.delete_registered_model_alias(name, move.alias)
    elif move.move != REFUSED:
        client.set_registered_model_alias(name, move.alias, move.to_version)


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
    present = _list_aliases(_list_entries(store, name))
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
    origin = {key: (model.params or {}).get(key, "") for key in _ORIGIN}
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


def _list_entries(store: Store, name: str) -> list[Entry]:
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


def list_versions(store: Store, name: str) -> pd.DataFrame:
    """List the versions of a model, the newest first.

    Returns
    -------
    pandas.DataFrame of length n_versions
        ``version``, ``aliases`` (comma separated), ``accuracy``, ``f1_macro``, ``weights``, ``cohort``,
        ``synthetic`` and ``created`` (UTC).

    Raises
    ------
    RegistryError
        If no model has that name.
    """
    rows = [
        {
            "version": int(entry.number),
            "aliases": ", ".join(entry.aliases),
            **{score: float(entry.tags.get(score, "nan")) for score in _GATED},
            **{tag: entry.tags.get(tag, "") for tag in ("weights", "cohort", "synthetic")},
            "created": pd.Timestamp(entry.created, unit="ms", tz="UTC"),
        }
        for entry in _list_entries(store, name)
    ]
    table = pd.DataFrame(
        rows, columns=["version", "aliases", *_GATED, "weights", "cohort", "synthetic", "created"]
    )
    return table.sort_values("version", ascending=False, ignore_index=True)


def find_version(store: Store, model: str) -> Version:
    """Find a registered model: ``models:/<name>@<alias>`` or ``models:/<name>/<version>``.

    Raises
    ------
    RegistryError
        If there is no such model.
    """
    asked = _MODEL.fullmatch(model)
    name, number, alias = asked.groups() if asked else (model, None, None)
    entries = _list_entries(store, name)
    entry = next((each for each in entries if each.number == number or alias in each.aliases), None)
    if entry is None:
        raise _refuse_model(model, f"{name} has no such version.")
    folder = entry.folder or _download(store.client, f"models:/{name}/{entry.number}")
    found = next(folder.glob("artifacts/*/model.json"), None)
    if found is None:
        raise RegistryError(
            f"The files of {model} must lie in {folder}, as the stage register leaves them, but do not. "
            "Name a version that it made, or run it again."
        )
    check_list(found.parent, entry.tags.get("sealed"))
    return Version(name, entry.number, found.parent)


def _download(client: "MlflowClient", model: str) -> Path:
    mlflow = import_mlflow()
    with _pointing_at(client):
        try:
            return Path(mlflow.artifacts.download_artifacts(model))
        except mlflow.exceptions.MlflowException as error:
            raise _refuse_model(model, " ".join(str(error).split())) from error


def _refuse_model(model: str, reason: str) -> RegistryError:
    return RegistryError(
        f"The model must be in the registry, but got {model!r}: {reason} See `expressionist models`."
    )


@contextmanager
def _pointing_at(client: "MlflowClient") -> Iterator[None]:
    """Let MLflow's module-level functions use the client's store, and put back what they used before."""
    mlflow = import_mlflow()
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
