"""Validations of a version on other cohorts: a run for each, and what the gate reads of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expressionist.tracking.catalogue import Version
from expressionist.tracking.gate import Validation
from expressionist.tracking.runs import DIGEST_LENGTH, Dataset, begin, is_number
from expressionist.tracking.store import Store, import_mlflow, open_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "external_"
_KIND = "validation"


def publish_validation(
    store: Store,
    version: Version,
    *,
    cohort: str,
    key: str,
    dataset: Dataset,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    files: Sequence[Path],
) -> str:
    """Log how a version does on another cohort, unless it is there already.

    Parameters
    ----------
    store : Store
        Where the version is registered.
    version : Version
        From `find_version`. Its model is the run's input, and shows the scores; a tag of the version,
        ``external.<digest>``, says them in a line.
    cohort : str
        The cohort that the version was trained on: whose experiment the run belongs to.
    key : str
        Digest of what the run is made from, besides the version.
    dataset : Dataset
        The other cohort.
    params, metrics, tags : mapping
        Of the run; the names of metrics are prefixed by ``external_``.
    files : sequence of pathlib.Path
        What to hang on the run.

    Returns
    -------
    str
        Run id.
    """
    client, entities = store.client, import_mlflow().entities
    experiment = open_experiment(store, cohort)
    model = _name_model(client, version.name, version.number)
    about = {"kind": _KIND, "model": _address(version.name, version.number), **tags}
    run_key = f"{_KIND}/{version.name}/{version.number}/{key}"
    run = begin(experiment, run_key, f"validate {dataset.name}", about)
    if run.done:
        return run.id
    run.log_params(params, {})
    of_model = {
        "model_id": model,
        "dataset_name": dataset.name,
        "dataset_digest": dataset.digest[:DIGEST_LENGTH],
    }
    points = [
        entities.Metric(f"{PREFIX}{name}", float(value), run.started, 0, **of_model)
        for name, value in metrics.items()
        if is_number(value)
    ]
    client.log_batch(run.id, metrics=points)
    run.log_dataset(dataset, _KIND)
    client.log_inputs(run.id, models=[entities.LoggedModelInput(model)])
    run.log_files(files)
    run.end("FINISHED", run.started)
    said = f"{dataset.name}: {_describe(metrics)} (run {run.id})"
    client.set_model_version_tag(version.name, version.number, f"external.{dataset.digest[:12]}", said)
    return run.id


def read_validations(client: "MlflowClient", name: str, number: str) -> list[Validation]:
    """Read the validations of a version, the latest first.

    That a run is of this version its input must say as well, since anybody can edit tags.
    """
    model, version = _name_model(client, name, number), client.get_model_version(name, number)
    experiment = client.get_run(version.run_id).info.experiment_id
    wanted = (
        f"tags.kind = '{_KIND}' and tags.model = '{_address(name, number)}' "
        "and attributes.status = 'FINISHED'"
    )
    # A search leaves out the models that went into a run.
    runs = [client.get_run(each.info.run_id) for each in client.search_runs([experiment], wanted)]
    return [
        Validation(
            run.inputs.dataset_inputs[0].dataset.name,
            {key.removeprefix(PREFIX): value for key, value in run.data.metrics.items()},
        )
        for run in runs
        if any(each.model_id == model for each in run.inputs.model_inputs)
    ]


def _name_model(client: "MlflowClient", name: str, number: str) -> str:
    # The SQL registry keeps a version's model id in its source only.
    return str(client.get_model_version(name, number).source).removeprefix("models:/")


def _address(name: str, number: str) -> str:
    return f"models:/{name}/{number}"


def _describe(metrics: Mapping[str, float]) -> str:
    if "accuracy" not in metrics:
        return f"{metrics['n_samples']:.0f} samples, none of a type of the model"
    scores = f"accuracy {metrics['accuracy']:.3f}, macro-F1 {metrics['f1_macro']:.3f}"
    return f"{scores} on {metrics['n_known']:.0f} samples of known types"
