"""The model registry: versions, with what they were tested on."""

import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version as installed
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from expressionist.errors import RegistryError
from expressionist.tracking.catalogue import Entry, Version, list_entries
from expressionist.tracking.history import Move, describe, make_move, stamp
from expressionist.tracking.model_folder import check_list
from expressionist.tracking.runs import DIGEST_LENGTH, KEY, Run, is_number
from expressionist.tracking.serving import OUTPUTS, read_served
from expressionist.tracking.store import Experiment, Store, find_store, import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHALLENGER = "challenger"
_LONGEST_CARD = 5000
# Predictions of a run, by sample.
PREDICTIONS = "predictions.tsv"
# What loading and running the served network imports, at the versions it was trained with.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "keras", "tensorflow")
# What no schema says, beside where the genes stand.
_METADATA = {
    "input": "samples in rows, genes in columns by id or symbol, in any order; a column sample names samples",
    "explain": "param: also list the genes for and against every answer, which takes much longer",
}
_GATED = ("accuracy", "f1_macro")
# In front of the metrics that tell how good a version's explanation is.
EXPLANATION = "explanation_"
_MODEL = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")
ORIGIN = ("synthetic", "weights")
_DESCRIPTION = (
    "Takes a table of samples × genes in the cohort's unit, genes in any order, and returns tumour types. "
    "`challenger` is what the pipeline made last; `staging` is what passed the gate, and `production` what "
    "passed it again from there. The tags `move/...` are the history of these aliases."
)


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
            origin = {key: tags[key] for key in ORIGIN}
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
            make_move(client, name, Move(*told))
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
    package, served = Path(str(package_files("expressionist"))), read_served(folder)
    _clear_unfinished(experiment, name, run_id)
    with _pointing_at(experiment.client), warnings.catch_warnings():
        # An example would hold every gene: the metadata say where they stand.
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(package / "tracking" / "served_model.py"),
            artifacts={"model": str(folder)},
            code_paths=[str(package)],
            signature=_sign(served.tumour_types),
            metadata={**_METADATA, "unit": served.unit, "genes": f"artifacts/{folder.name}/genes.tsv"},
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


def _sign(tumour_types: Sequence[str]) -> "ModelSignature":
    """Describe what the model answers, and its param.

    Of its input there is no schema: with 10,000 gene columns it is slow, and its refusals run to 371,000
    characters. `align` checks instead.
    """
    mlflow = import_mlflow()
    types = mlflow.types
    outputs = {**OUTPUTS, **{f"p_{name}": "float" for name in tumour_types}}
    return mlflow.models.ModelSignature(
        outputs=types.Schema([types.ColSpec(kind, name) for name, kind in outputs.items()]),
        params=types.ParamSchema([types.ParamSpec("explain", types.DataType.boolean, default=False)]),
    )


def _clear_unfinished(experiment: Experiment, name: str, run_id: str) -> None:
    """Delete the models of a run that no version was made of: their registration was cut off.

    On a server another machine may just be registering one: there they stay.
    """
    client = experiment.client
    if experiment.store.folder is None:
        return
    registered = {version.source for version in client.search_model_versions(f"name = '{name}'")}
    for model in client.search_logged_models([experiment.id], f"source_run_id = '{run_id}'"):
        if model.name == name and f"models:/{model.model_id}" not in registered:
            # Files first: of a model that is deleted MLflow tells no more.
            shutil.rmtree(Path(model.artifact_location.removeprefix("file://")).parent, ignore_errors=True)
            client.delete_logged_model(model.model_id)


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
            "created": pd.Timestamp(entry.created, unit="ms", tz="UTC").floor("s"),
        }
        for entry in list_entries(store, name)
    ]
    table = pd.DataFrame(
        rows, columns=["version", "aliases", *_GATED, "weights", "cohort", "synthetic", "created"]
    )
    return table.sort_values("version", ascending=False, ignore_index=True)


def find_entry(store: Store, model: str) -> tuple[str, Entry]:
    """Find the name and the entry of a registered model, as `find_version` is asked for it."""
    asked = _MODEL.fullmatch(model)
    if asked is None:
        raise RegistryError(
            f"The model must be a registered version, models:/NAME@ALIAS or models:/NAME/NUMBER, but got "
            f"{model!r}. See `expressionist models`."
        )
    name, number, alias = asked.groups()
    entries = list_entries(store, name)
    entry = next((each for each in entries if each.number == number or alias in each.aliases), None)
    if entry is None:
        raise _refuse_model(model, f"{name} has no such version.")
    return name, entry


def find_files(store: Store, name: str, entry: Entry) -> Path:
    """Find the folder of a version's files; a server's are downloaded."""
    return entry.folder or _download(store.client, f"models:/{name}/{entry.number}")


def find_version(store: Store, model: str) -> Version:
    """Find a registered model: ``models:/<name>@<alias>`` or ``models:/<name>/<version>``.

    Raises
    ------
    RegistryError
        If there is no such model.
    """
    name, entry = find_entry(store, model)
    folder = find_files(store, name, entry)
    found = next(folder.glob("artifacts/*/model.json"), None)
    if found is None:
        raise RegistryError(
            f"The files of {model} must lie in {folder}, as the stage register leaves them, but do not. "
            "Name a version that it made, or run it again."
        )
    check_list(found.parent, entry.tags.get("sealed"))
    return Version(name, entry.number, found.parent)


def find_model(root: Path, uri: str | None, model: str) -> Version:
    """Find a registered model as `find_version` does, or take a folder such as data/served."""
    if (Path(model) / "model.json").is_file():
        return Version(model, "", Path(model))
    return find_version(find_store(root, uri), model)


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
