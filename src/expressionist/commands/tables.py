"""Commands on a person's tables: what is in them, and what a registered version says of their samples."""

import importlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from expressionist.commands.options import PATH, list_store_options, read_project_params
from expressionist.commands.tensorflow_start import hush, spare
from expressionist.commands.terminal import say


def _list_reading_options() -> list[click.Parameter]:
    """List how a table is read for a model."""
    told = {
        "genes-in": ("auto", "columns | rows | auto: told by the genes."),
        "replicates": ("first", "first | mean | refuse: of one sample."),
        "align": ("none", "none | rank: give a sample's genes, by rank, values of training samples."),
    }
    lengths = "Table of gene ids and lengths, by which counts become TPM, such as featureCounts's own."
    return [
        click.Option(
            ["--unit"], help="Unit of TABLE, such as counts or log2(TPM+1); the model's if not given."
        ),
        *(
            click.Option([f"--{name}"], default=default, show_default=True, help=text)
            for name, (default, text) in told.items()
        ),
        click.Option(["--gene-lengths"], type=PATH, help=lengths),
        _make_nomenclature_option(),
    ]


def _make_nomenclature_option() -> click.Option:
    told = "HGNC's complete set, to translate gene ids by; the package's own copy if not given."
    return click.Option(["--nomenclature"], type=PATH, help=told)


@click.command(params=[*list_store_options(), *_list_reading_options()])
@click.argument("table", type=PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging, or data/served.")
@click.option("--out", type=PATH, help="Table to write; printed if not given.")
@click.option("--explain", type=PATH, help="Table to write: the genes for and against every prediction.")
@click.option("--log", type=PATH, help="Folder of a log that `expressionist drift` reads; without names.")
def predict(table: Path, root: Path, tracking_uri: str | None, **options: Any) -> None:  # noqa: ANN401
    """Predict the tumour types of a table's samples.

    TABLE is any file that a cohort can be read from, either way round, a file of GDC's STAR counts, or a
    folder of these. What was decided about it is said in one line. The same command after a break goes on
    where it was.
    """
    from expressionist.tracking import find_store

    is_folder = (Path(options["model"]) / "model.json").is_file()
    store = None if is_folder else find_store(root, tracking_uri)
    with hush(), spare("matplotlib", "sklearn"):
        importlib.import_module("expressionist.network.assembly")
        from expressionist.commands.prediction import Prediction, PredictionRequest
    request = PredictionRequest(table, **options)
    prediction = Prediction(store, request)
    # Only now: a refusal is to be the one line that is said.
    for line in prediction.said:
        say(line, err=True)
    label = f"Samples {'predicted' if request.explain is None else 'explained'}"
    is_quick = request.explain is None and not prediction.is_long
    with prediction.keep() as folder:
        shown: Any = {"label": label, "file": sys.stderr, "hidden": is_quick}
        with click.progressbar(length=prediction.n_samples, **shown) as bar:
            prediction.work(folder, bar.update)
        for line in prediction.finish(folder):
            say(line, err=True)
        for part in prediction.show(folder) if request.out is None else ():
            click.echo(part, nl=False)


@click.command("report-sample", params=[*list_store_options(), *_list_reading_options()])
@click.argument("table", type=PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging, or data/served.")
@click.option("--sample", required=True, help="Name of the sample in TABLE.")
@click.option("--rival", help="Type to set against the one predicted; the second most probable if not given.")
@click.option("--out", type=PATH, help="Page to write; <sample>.html if not given.")
def report_sample(
    table: Path,
    out: Path | None,
    root: Path,
    tracking_uri: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Put what a model says of one sample, and why, on one page.

    TABLE is what `predict` takes. The page is for research use only.
    """
    from expressionist.tracking import find_model

    version = find_model(root, tracking_uri, options["model"])
    with hush():
        importlib.import_module("expressionist.network.assembly")
        from expressionist.commands.sample_page import SampleRequest, write_sample_page
    request = SampleRequest(table, **options)
    for line in write_sample_page(version, request, datetime.now(UTC), out):
        say(line)


@click.command(params=[*list_store_options(), *_list_reading_options()])
@click.argument("table", type=PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--labels", type=PATH, required=True, help="Table with a row per sample and its tumour type.")
@click.option("--sample-column", help="Of the labels; guessed by the samples if not given.")
@click.option("--label-column", help="Of the labels; guessed by its name if not given.")
@click.option("--patient-column", help="Of the labels; guessed by its name, or told by TCGA barcodes.")
@click.option("--map", "renaming", type=PATH, help="Two columns: a label, and what the model calls it.")
@click.option("--exclude-trained", is_flag=True, help="Leave out patients who trained the version.")
@click.option("--out", type=PATH, help="Folder of the page; validation/<name of TABLE> if not given.")
def validate(
    table: Path,
    out: Path | None,
    root: Path,
    tracking_uri: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Score a registered version on another labelled cohort, and say what shifts there.

    TABLE is what `predict` takes. The page, validation.html, stands in a folder with validation.json and
    predictions.tsv, and hangs on a run in MLflow. Labels that are no type of the model are foreign types.
    """
    from expressionist.tracking import find_store

    store, evaluation = find_store(root, tracking_uri), read_project_params(root).evaluation
    with hush():
        importlib.import_module("expressionist.network.assembly")
        from expressionist.commands.validation import Request, name_folder, validate
    request = Request(table, **options)
    for line in validate(store, request, evaluation, out or name_folder(table), root):
        say(line)


@click.command(params=[_make_nomenclature_option()])
@click.argument("file", type=PATH)
@click.option("--labels", type=PATH, help="A second table with the tumour types.")
@click.option("--label-column", help="Where the tumour types are; guessed if not given.")
def inspect(file: Path, labels: Path | None, label_column: str | None, nomenclature: Path | None) -> None:
    """Say what is in your files, what would be refused, and what to write into params.yaml.

    FILE is a matrix of expression for a cohort, of any format that is read.
    """
    from expressionist.data import describe_inspection, inspect_files

    found = inspect_files(file, labels, nomenclature, label_column=label_column)
    for line in describe_inspection(found):
        say(line)
    if found.problems or found.lacking:
        sys.exit(1)


@click.command(params=list_store_options())
@click.argument("log", type=PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--out", type=PATH, default=Path("drift"), show_default=True, help="Folder of the page.")
def drift(log: Path, model: str, out: Path, root: Path, tracking_uri: str | None) -> None:
    """Say how what a version was asked, and answered, shifts against its own samples.

    LOG is the folder that `predict --log` or the server has written. The page, drift.html, stands in a folder
    with drift.json.
    """
    from expressionist.commands.drift import write_drift
    from expressionist.tracking import find_store

    store, evaluation = find_store(root, tracking_uri), read_project_params(root).evaluation
    for line in write_drift(store, log, model, evaluation, out):
        say(line)


COMMANDS = (drift, inspect, predict, report_sample, validate)
