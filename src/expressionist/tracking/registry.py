"""The model registry: versions with what they were tested on, and the aliases challenger and staging."""

import math
import re
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
from expressionist.params import GateParams
from expressionist.tracking.catalogue import Entry, Version, read_catalogue
from expressionist.tracking.gate import NONE_WAIVED, Candidate, Waivers, judge
from expressionist.tracking.runs import DIGEST_LENGTH, KEY, Run, is_number
from expressionist.tracking.store import Experiment, Store, import_mlflow
from expressionist.tracking.validations import read_validations

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER = "challenger"
# What loading and running the served network imports, at the versions it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "keras", "tensorflow")
_GATED = ("accuracy", "f1_macro")
# In front of the metrics that tell how good a version's explanation is.
EXPLANATION = "explanation_"
_MODEL = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")
_ORIGIN = ("synthetic", "weights")
_DESCRIPTION = (
    "Takes a table of samples × genes in the cohort's unit, genes in any order, and returns tumour types. "
    "`challenger` is what the pipeline made last; `staging` is what passed the gate."
)


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion: whether the version passed, so that the alias points at it, and why.

    `reasons` has a sentence per check; `from_version` is what the alias pointed at before.
    """

    passed: bool
    reasons: tuple[str, ...]
    version: str
    from_version: str | None


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
            version = _create_version(client, name, model_id, run_id, facts)
        client.set_registered_model_alias(name, CHALLENGER, version)
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
    client: "MlflowClient", name: str, model_id: str, run_id: str, tags: Mapping[str, str]
) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=_DESCRIPTION)
    # Tags come with the version in one step, so that a version without its key never exists.
    version = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=dict(tags), model_id=model_id
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
    waivers: Waivers = NONE_WAIVED,
) -> Promotion:
    """Point an alias at the challenger if it passes the gate.

    The checks are those of `gate.judge`. An alias keeps no history, so the version's tags do: who promoted
    it, when, from which version, and what was waived. If it does not pass, the alias stays, and the version
    is tagged ``validation_status=failed`` with the reasons.

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
    who, when : str, datetime.datetime
        For the tags.
    waivers : Waivers
        What a person takes on.

    Raises
    ------
    RegistryError
        If there is no challenger, or `to` is ``challenger``.
    """
    if to == CHALLENGER:
        raise RegistryError(f"A version must be promoted to another alias, but got {to!r}. Use staging.")
    client = store.client
    with store.hold():
        entries = _list_entries(store, name)
        aliases = {alias: entry.number for entry in entries for alias in entry.aliases}
        version, present = aliases.get(CHALLENGER), aliases.get(to)
        if version is None:
            raise RegistryError(
                f"A version of {name} must be the {CHALLENGER}, but none is. Run the stage register."
            )
        ours = {entry.number for entry in entries if KEY in entry.tags}
        if version not in ours:
            raise RegistryError(
                f"The {CHALLENGER} of {name} must be a version of the stage register, but got version "
                f"{version}, which was registered otherwise. Set the alias {CHALLENGER} to another, or run "
                "the stage."
            )
        if version == present:
            return Promotion(
                passed=True,
                reasons=(f"Version {version} is {to} already.",),
                version=version,
                from_version=present,
            )
        rival = None
        if present is not None:
            # Of a version of other origin nothing is known that could be compared.
            unknown = Candidate(present, math.nan, math.nan, "", "", "", "")
            rival = _weigh(client, name, present) if present in ours else unknown
        passed, reasons = judge(_weigh(client, name, version), rival, gate, waivers)
        promotion = Promotion(passed, reasons, version, present)
        for key, value in _record(promotion, to, who, when, waivers).items():
            client.set_model_version_tag(name, version, key, value)
        if passed:
            client.set_registered_model_alias(name, to, version)
    return promotion


def _record(promotion: Promotion, to: str, who: str, when: datetime, waivers: Waivers) -> dict[str, str]:
    status = "passed" if promotion.passed else "failed"
    tags = {"validation_status": status, "validation_reasons": " ".join(promotion.reasons)}
    if promotion.passed:
        tags |= {
            "promoted_to": to,
            "promoted_by": who,
            "promoted_at": when.isoformat(timespec="seconds"),
            "promoted_from": promotion.from_version or "none",
        }
        tags |= {f"promoted_{name}": str(waived).lower() for name, waived in asdict(waivers).items()}
    return tags


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
