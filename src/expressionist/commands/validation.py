"""Validation of a registered version on another labelled cohort: read, scored, shown and published."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.commands.table_request import TableRequest
from expressionist.data import (
    Nomenclature,
    read_external_labels,
    read_nomenclature,
    read_renaming,
    to_log2,
)
from expressionist.errors import RegistryError
from expressionist.evaluation import (
    ExternalCohort,
    Footprint,
    flatten_external,
    judge_external,
    name_patients,
    place_samples,
    tabulate_shift,
    unpack_linear,
)
from expressionist.files import md5, read_arrays, write_json, write_table, write_whole
from expressionist.params import EvaluationParams
from expressionist.report import FinishedValidation, build_validation_page
from expressionist.tracking import (
    FOOTPRINT_FILE,
    LINEAR_FILE,
    Dataset,
    Served,
    Store,
    Version,
    find_profile,
    find_version,
    load_model,
    predict,
    prepare_table,
    publish_validation,
    read_provenance,
)


@dataclass(frozen=True)
class Request(TableRequest):
    """What is to be validated, and how it is to be read.

    Parameters
    ----------
    table, labels : pathlib.Path
        Expression, and labels.
    model : str
        As `find_version` takes it.
    renaming : pathlib.Path, optional
        A table of labels that the model calls otherwise.
    sample_column, label_column, patient_column : str, optional
        Columns of the labels, for `read_external_labels`.
    unit, genes_in, replicates : str
        For `read_profiles`.
    gene_lengths, nomenclature : pathlib.Path, optional
        For `read_profiles`, and what gene ids are translated by.
    align : str
        ``none`` or ``rank``, for `prepare_table`.
    exclude_trained : bool
        Whether to leave out samples of patients who trained the version.
    """

    labels: Path
    renaming: Path | None
    sample_column: str | None
    label_column: str | None
    patient_column: str | None
    exclude_trained: bool

    def take(self, *names: str) -> dict[str, Any]:
        """Take some of the options, as keywords."""
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, eq=False)
class _Found:
    """What is validated on: expression in the file's genes, label and patient, and what was said of them."""

    table: pd.DataFrame
    labels: pd.DataFrame
    said: list[str]
    warnings: list[str]
    n_trained: int
    n_tested: int


def validate(
    store: Store, request: Request, evaluation: EvaluationParams, out: Path, root: Path
) -> Iterator[str]:
    """Validate a version on another cohort, write what was found into a folder, publish it, and say it.

    Parameters
    ----------
    store : Store
        Where the version is registered.
    request : Request
        What to validate.
    evaluation : EvaluationParams
        Bootstrap and its level.
    out : pathlib.Path
        Folder for validation.html, validation.json and predictions.tsv, replaced as a whole.
    root : pathlib.Path
        Checkout, whose commit the run is tagged with.

    Yields
    ------
    str
        A line at a time.
    """
    version = find_version(store, request.model)
    served, network, novelty = load_model(version.folder)
    footprint, linear = _read_beside(version, served)
    names = read_nomenclature(request.nomenclature)
    found = _read(request, served, footprint, names)
    profile = find_profile(version.folder, request.align)
    table, counts, _ = prepare_table(served, found.table, profile, names)
    if n_missing := int(np.median(counts["n_missing_genes"])):
        found.said.append(
            f"{n_missing:,} of the model's {len(served.genes):,} genes stand at training means."
        )
    yield from (*found.said, *(f"Warning: {each}" for each in found.warnings))
    predictions = predict(served, network, novelty, table).assign(**counts)
    log2 = to_log2(table.to_numpy(), served.unit)
    truth, patients = (found.labels[name].to_numpy(str) for name in ("label", "patient"))
    cohort = ExternalCohort(truth, patients, served.tumour_types)
    baselines = {name: model.predict_proba(log2) for name, model in linear.items()}
    probabilities = predictions[[f"p_{name}" for name in served.tumour_types]].to_numpy(np.float64)
    facts = judge_external(cohort, probabilities, predictions, baselines, evaluation)
    shift, facts["shift"] = tabulate_shift(footprint, log2, cohort.truth, served.genes)
    facts |= _describe(version, served, request, found) | {"level": evaluation.level}
    points = footprint.points, place_samples(novelty, log2)
    marks = served.synthetic, served.weights == "RANDOM"
    page = build_validation_page(FinishedValidation(facts, shift, *points, cohort.labels, *marks))
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "validation.html").write_text(page, encoding="utf-8")
        write_json(partial / "validation.json", facts)
        told = predictions.merge(found.labels, left_on="sample", right_index=True)
        write_table(partial / "predictions.tsv", told, index=False)
    run_id = _publish(store, version, served, request, evaluation, facts, out, root)
    yield from _summarise(facts)
    yield f"Page: {out / 'validation.html'}; MLflow run {run_id}."


def _read_beside(version: Version, served: Served) -> tuple[Footprint, Mapping[str, Any]]:
    """Read what was registered beside the network to judge other cohorts by."""
    paths = [version.folder / name for name in (FOOTPRINT_FILE, LINEAR_FILE)]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise RegistryError(
            f"A version must have {' and '.join(missing)} to be validated, but version {version.number} of "
            f"{version.name} was registered without. Run the pipeline again, so that a new one is registered."
        )
    footprint, linear = map(read_arrays, paths)
    return Footprint(**footprint), unpack_linear(linear)


def _read(
    request: Request, served: Served, footprint: Footprint, nomenclature: Nomenclature | None
) -> _Found:
    """Read expression and labels, and take the samples that have both."""
    profiles = request.read(served, nomenclature)
    renamed = read_renaming(request.renaming, served.tumour_types) if request.renaming else {}
    merged = served.about.get("merged", {})
    labels = read_external_labels(
        request.labels,
        [str(name) for name in profiles.table.index],
        renamed=renamed,
        merged=merged,
        **request.take("sample_column", "label_column", "patient_column"),
    )
    rows = labels.table
    by_sample = pd.Series(name_patients(rows.index), rows.index)
    rows = rows.assign(patient=rows["patient"].where(rows["patient"] != "", by_sample))
    trained = footprint.recognise(rows["patient"]) | footprint.recognise(rows.index)
    tested = footprint.recognise_tested(rows["patient"]) | footprint.recognise_tested(rows.index)
    columns = ", ".join(f"{what} from {column!r}" for what, column in labels.columns.items())
    said = [
        profiles.said,
        f"{request.labels.name}: {columns}; {len(rows):,} samples with a label, {labels.n_unlabelled:,} "
        f"without, {labels.n_without_expression:,} labels without expression.",
    ]
    if merged:
        told = ", ".join(f"{' and '.join(of)} as {name}" for name, of in merged.items())
        said.append(f"The version's merged types count together: {told}.")
    warnings = []
    n_trained = int(trained.sum())
    if n_trained and request.exclude_trained:
        said.append(f"{n_trained:,} samples of patients who trained the version are left out.")
        rows, n_trained = rows[~trained], 0
    elif n_trained:
        warnings.append(
            f"{n_trained:,} of {len(rows):,} samples are of patients who trained the version, so that scores "
            "flatter it. Leave them out by --exclude-trained."
        )
    if n_tested := int(tested.sum()):
        warnings.append(
            f"{n_tested:,} of {len(rows):,} samples are of the version's own test patients: on these it was "
            "scored before, and they are no other cohort."
        )
    table = profiles.table.loc[~profiles.table.index.duplicated()]
    return _Found(table.loc[rows.index], rows, said, warnings, n_trained, n_tested)


def _describe(version: Version, served: Served, request: Request, found: _Found) -> dict[str, Any]:
    """Say what was validated, on what."""
    model = {"name": version.name, "version": version.number, "cohort": served.cohort}
    tested = served.about["tested"] | served.about.get("tested_again", {})
    model |= {"backbone": served.about["backbone"], "tested": tested}
    model["merged"] = served.about.get("merged", {})
    return {
        "model": model | {"tumour_types": served.tumour_types},
        "cohort": _name(request.table),
        "said": found.said,
        "warnings": found.warnings,
        "align": request.align,
        "n_trained": found.n_trained,
        "n_tested": found.n_tested,
    }


def _name(table: Path) -> str:
    return table.name.partition(".")[0] or table.resolve().name


def name_folder(table: Path) -> Path:
    """Name the folder for a validation that is asked for without one."""
    return Path("validation") / _name(table)


def _publish(
    store: Store,
    version: Version,
    served: Served,
    request: Request,
    evaluation: EvaluationParams,
    facts: Mapping[str, Any],
    out: Path,
    root: Path,
) -> str:
    given = request.take("table", "labels", "renaming", "gene_lengths", "nomenclature")
    files = [path for path in given.values() if path is not None]
    params = {**asdict(request), "evaluation": asdict(evaluation)}
    made = json.dumps([[md5(path) for path in files], params], default=str, sort_keys=True)
    return publish_validation(
        store,
        version,
        cohort=served.cohort,
        key=hashlib.sha256(made.encode()).hexdigest()[:32],
        dataset=Dataset(facts["cohort"], md5(request.table), str(request.table)),
        params=params,
        metrics={**flatten_external(facts), "n_trained": facts["n_trained"]},
        tags={
            **read_provenance(root),
            "synthetic": "SYNTHETIC" if served.synthetic else "no",
            "weights": served.weights,
            "backbone": served.about["backbone"],
        },
        files=[out / name for name in ("validation.html", "validation.json", "predictions.tsv")],
    )


def _summarise(facts: Mapping[str, Any]) -> Iterator[str]:
    """Say the scores in a few lines."""
    for model, told in facts["models"].items():
        name = facts["model"]["backbone"] if model == "network" else model
        low, high = told["intervals"]["accuracy"]
        scores = told["scores"]
        tested = facts["model"]["tested"].get(name, {}).get("accuracy")
        own = "" if tested is None else f"; on its own test samples {tested:.3f}"
        yield (
            f"{name}: accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}), macro-F1 "
            f"{scores['f1_macro']:.3f}, log-loss {scores['log_loss']:.3f}, ECE {scores['ece']:.3f}{own}."
        )
    for row in facts["flagged"]:
        yield (
            f"{row['type'] or 'all'} ({row['kind']}), n = {row['n_samples']:,}: {row['share_unlike']:.1%} "
            f"flagged, {row['share_abstain']:.1%} abstained, {row['share_either']:.1%} either."
        )
