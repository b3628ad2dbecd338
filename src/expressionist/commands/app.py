"""The command line: one command per stage, and those that a person uses on models.

Whatever takes long to import is imported by the command that needs it, when it runs: help does not wait for
it.
"""

import atexit
import getpass
import importlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from expressionist import __doc__ as _SUMMARY
from expressionist.errors import Refusal
from expressionist.files import explain_full_disk
from expressionist.stages import list_stages, read_signature

PARAMS = Path("params.yaml")
_PATH = click.Path(path_type=Path)
# Types as the stages write them.
_KINDS = {"Path": _PATH, "str": str, "str | None": str, "float": float}


def _find_root() -> Path:
    """Find the project as git does: the nearest folder, from here up, with params.yaml and dvc.yaml."""
    above = () if PARAMS.is_file() else Path.cwd().parents
    whole = (folder for folder in above if all((folder / name).is_file() for name in (PARAMS, "dvc.yaml")))
    return next(whole, Path())


# What is asked for by these names is known to the environment, not to dvc.yaml.
_ENVIRONMENT: dict[str, tuple[str, Any, str]] = {
    "root": ("DVC_ROOT", _find_root, "Project that holds mlruns/; found from here up."),
    "tracking_uri": ("MLFLOW_TRACKING_URI", None, "MLflow server to use instead."),
    "cache_gigabytes": ("EXPRESSIONIST_CACHE_GIGABYTES", 50.0, "Room for frozen activations."),
    "scheduler": ("EXPRESSIONIST_SCHEDULER", None, "Dask scheduler whose workers help."),
}


# First genes of a tumour type that two versions are compared in.
_N_COMPARED = 20

# Where the stages leave what a worker needs.
_WORKED_ON = {"split": Path("data/split.tsv")} | {
    name: Path("data") / name for name in ("layout", "images", "cache")
}
# When `make repro` began, in seconds since 1970.
_BEGAN = "EXPRESSIONIST_BEGAN"


class _Commands(click.Group):
    """Knows the stages beside its own commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*list_stages(), *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _make_stage_command(cmd_name) if cmd_name in list_stages() else self.commands.get(cmd_name)


@contextmanager
def _hush() -> Iterator[None]:
    """Keep what TensorFlow's C++ says about this machine, before any log level holds, off the terminal."""
    import logging

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _spare(*names: str) -> Iterator[None]:
    """Make libraries that would import these for what is not used here find them not installed.

    Keras imports matplotlib for plots and scikit-learn for wrappers: a third of the time that it takes.
    """
    # None is how Python marks what must not be imported.
    absent: dict[str, Any] = dict.fromkeys(name for name in names if name not in sys.modules)
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextmanager
def _follow_time() -> Iterator[None]:
    """Say what DVC begins and how long it will take, and note how long it took."""
    stage, begun = os.environ.get("DVC_STAGE"), time.time()
    if stage is None:
        yield
        return
    from expressionist.commands.timing import announce, measure, note, read_plan, read_times

    plan = read_plan(Path())
    if stage in plan:
        ran = read_times(since=float(os.environ.get(_BEGAN, begun)))
        click.echo(announce(stage, plan, read_times(), ran))
    yield
    note(measure(stage, begun))


def _make_stage_command(stage: str) -> click.Command:
    """Turn a stage's `run` into a command: its sections come from params.yaml, its paths are options."""
    taken = read_signature(stage)

    def command(**options: Any) -> None:  # noqa: ANN401
        # First, so that a refusal does not wait for TensorFlow.
        params = _read_params() if taken.sections else None
        with _follow_time():
            with _hush():
                run = importlib.import_module(f"expressionist.stages.{stage}").run
            run(*(getattr(params, section) for section in taken.sections), **options)

    options: list[click.Parameter] = [_make_option(name, kind) for name, kind in taken.options.items()]
    return click.Command(stage, callback=command, params=options, help=taken.summary)


def _make_option(name: str, kind: str) -> click.Option:
    flag, of_type = [f"--{name.replace('_', '-')}"], _KINDS[kind]
    if name not in _ENVIRONMENT:
        return click.Option(flag, type=of_type, required=True)
    variable, default, told = _ENVIRONMENT[name]
    shown = not callable(default)
    return click.Option(
        flag, type=of_type, default=default, help=told, envvar=variable, show_envvar=True, show_default=shown
    )


def _read_params(root: Path = Path()) -> Any:  # noqa: ANN401  what it gives is imported here only
    from expressionist.commands.params_file import read_params

    return read_params(root / PARAMS)


@click.group(cls=_Commands, help=_SUMMARY)
def app() -> None:
    """Take a command."""


def _list_store_options() -> list[click.Parameter]:
    return [_make_option("root", "Path"), _make_option("tracking_uri", "str")]


_REASON = click.option("--reason", default="", help="Why, in a line, for the history.")


@app.command(params=_list_store_options())
@click.option("--to", default="staging", show_default=True, help="Alias to set.")
@click.option(
    "--allow-synthetic", "synthetic", is_flag=True, help="Promote although the samples were simulated."
)
@click.option(
    "--allow-random-weights",
    "random_weights",
    is_flag=True,
    help="Promote although no weights were pretrained.",
)
@click.option(
    "--across-data", is_flag=True, help="Promote although the present version was tested on other samples."
)
@click.option("--dry-run", is_flag=True, help="Show the gate's checks and promote nothing.")
@_REASON
def promote(
    to: str, root: Path, tracking_uri: str | None, reason: str, *, dry_run: bool, **waivers: bool
) -> None:
    """Promote the challenger, or to production what is staging, if it passes the gate of params.yaml."""
    from expressionist.tracking import Waivers, find_store
    from expressionist.tracking import promote as promote_version

    store, params = find_store(root, tracking_uri), _read_params(root).registry
    outcome = promote_version(
        store,
        params.name,
        to=to,
        gate=params.gate,
        who=_name_user(),
        when=datetime.now(UTC),
        why=reason,
        waivers=Waivers(**waivers),
        dry_run=dry_run,
    )
    version = f"Version {outcome.version} of {params.name}"
    if not outcome.checks:
        click.echo(f"{version} is {to} already.")
        return
    _show_checks(outcome.checks)
    if not outcome.passed:
        click.echo(f"{version} is not promoted; {to} stays as it was.")
        click.echo("What a person can allow: expressionist promote --help")
        sys.exit(1)
    before = f"(before: {outcome.from_version or 'none'})"
    click.echo(f"{version} passes; {to} stays as it was." if dry_run else f"{version} is {to} {before}.")


def _show_checks(checks: Sequence[Any]) -> None:
    """Print the gate's table, and what speaks against the version in words."""
    rows = [["check", "found", "asked", "held"]]
    for check in checks:
        held = "yes" if check.held else "allowed" if check.waived else "NO"
        rows.append([check.what, check.found, check.asked, held])
    _show_table(rows)
    for check in checks:
        if not check.passed:
            click.echo(check.said)


def _show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of which are the headings, in columns as wide as what they hold."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command(params=_list_store_options())
@click.option("--from", "alias", default="staging", show_default=True, help="Alias to take away.")
@_REASON
def demote(alias: str, root: Path, tracking_uri: str | None, reason: str) -> None:
    """Take an alias away from the version that has it."""
    _move_back(root, tracking_uri, alias, None, reason)


@app.command(params=_list_store_options())
@click.option("--to", required=True, help="Version that had the alias before.")
@click.option("--alias", default="staging", show_default=True, help="Alias to set.")
@_REASON
def rollback(to: str, alias: str, root: Path, tracking_uri: str | None, reason: str) -> None:
    """Give an alias back to a version that had it before."""
    _move_back(root, tracking_uri, alias, to, reason)


def _move_back(root: Path, tracking_uri: str | None, alias: str, to: str | None, reason: str) -> None:
    from expressionist.tracking import find_store, move_back

    store, name = find_store(root, tracking_uri), _read_params(root).registry.name
    by: dict[str, Any] = {"who": _name_user(), "when": datetime.now(UTC), "why": reason}
    move = move_back(store, name, alias=alias, to=to, **by)
    click.echo(f"{alias} of {name}: from version {move.from_version} to {move.to_version}.")


@app.command(params=_list_store_options())
@click.option("--alias", help="Whose moves; of all aliases if not given.")
def history(alias: str | None, root: Path, tracking_uri: str | None) -> None:
    """List every move of an alias: when, by whom, from which version to which, and why."""
    from expressionist.tracking import find_store, list_history

    moves = list_history(find_store(root, tracking_uri), _read_params(root).registry.name, alias)
    _show_table([[*map(str, moves)], *moves.to_numpy().tolist()])


def _name_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that nobody has a name for
        return f"uid {os.getuid()}"


@app.command(params=_list_store_options())
def models(root: Path, tracking_uri: str | None) -> None:
    """List the versions of the registered model and their aliases."""
    from expressionist.tracking import find_store, list_versions

    versions = list_versions(find_store(root, tracking_uri), _read_params(root).registry.name)
    click.echo(versions.to_string(index=False))


@app.command(params=[_make_option("cache_gigabytes", "float"), _make_option("scheduler", "str")])
@click.argument("backbones", nargs=-1)
@click.option("--patience", default=10.0, show_default=True, help="Minutes to wait for a search to begin.")
@click.option("--split", type=_PATH, default=_WORKED_ON["split"], show_default=True)
@click.option("--layout", type=_PATH, default=_WORKED_ON["layout"], show_default=True)
@click.option("--images", type=_PATH, default=_WORKED_ON["images"], show_default=True)
@click.option("--cache", type=_PATH, default=_WORKED_ON["cache"], show_default=True)
def worker(
    backbones: tuple[str, ...],
    patience: float,
    cache_gigabytes: float,
    scheduler: str | None,
    **paths: Path,
) -> None:
    """Run trials of a search that `dvc repro` has begun, on this machine or another.

    BACKBONES are whose searches to join, in turn; all of params.yaml by default.
    """
    # What is not given lies in the project, wherever the worker is started.
    given = {name: path if path == _WORKED_ON[name] else path.absolute() for name, path in paths.items()}
    # The folder of weights, too, is named from there.
    os.chdir(_find_root())
    params = _read_params()
    with _hush():
        from expressionist.stages.tune import join
        from expressionist.training import Workspace
    workspace = Workspace(**given, cache_gigabytes=cache_gigabytes, scheduler=scheduler)
    sections = (params.weights, params.network, params.training, params.search)
    for backbone in backbones or params.backbones:
        n_trials = join(*sections, workspace, backbone=backbone, patience=60 * patience)
        click.echo(f"{backbone}: no trial is left to begin; {n_trials} were run here.")


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
        click.Option(["--gene-lengths"], type=_PATH, help=lengths),
        _make_nomenclature_option(),
    ]


def _make_nomenclature_option() -> click.Option:
    told = "HGNC's complete set, to translate gene ids by; the package's own copy if not given."
    return click.Option(["--nomenclature"], type=_PATH, help=told)


@app.command(params=[*_list_store_options(), *_list_reading_options()])
@click.argument("table", type=_PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--out", type=_PATH, help="Table to write; printed if not given.")
@click.option("--explain", type=_PATH, help="Table to write: the genes for and against every prediction.")
def predict(
    table: Path,
    model: str,
    out: Path | None,
    explain: Path | None,
    align: str,
    nomenclature: Path | None,
    root: Path,
    tracking_uri: str | None,
    **reading: Any,  # noqa: ANN401
) -> None:
    """Predict the tumour types of a table's samples.

    TABLE is any file that a cohort can be read from, either way round, a file of GDC's STAR counts, or a
    folder of these. What was decided about it is said in one line.
    """
    from expressionist.data import read_nomenclature, read_profiles
    from expressionist.files import write_table
    from expressionist.tracking import find_profile, find_store, find_version, load_model, prepare_table
    from expressionist.tracking import predict as predict_types

    folder = find_version(find_store(root, tracking_uri), model).folder
    with _hush(), _spare("matplotlib", "sklearn"):
        importlib.import_module("expressionist.network.assembly")
    profile = find_profile(folder, align)
    loaded = served, *_ = load_model(folder)
    names = read_nomenclature(nomenclature)
    knows = partial(served.knows, nomenclature=names)
    profiles = read_profiles(table, knows, served.unit, nomenclature=names, **reading)
    prepared, counts, filled = prepare_table(served, profiles.table, profile, names)
    predictions = predict_types(*loaded, prepared, once=True).assign(**counts)
    # Only now: a refusal is to be the one line that is said.
    click.echo(profiles.said, err=True)
    if explain is not None:
        write_table(explain, _explain(loaded, prepared, filled, predictions), index=False)
    if out is None:
        click.echo(predictions.to_csv(sep="\t", index=False), nl=False)
    else:
        write_table(out, predictions, index=False)


def _explain(loaded: Any, table: Any, filled: Any, predictions: Any) -> Any:  # noqa: ANN401  imported there only
    """Explain predictions, show how far that is, and say how complete they are."""
    import numpy as np

    from expressionist.tracking import explain_predictions, lengthen, make_explainer

    with click.progressbar(length=len(table), label="Samples explained", file=sys.stderr) as bar:
        explainer = make_explainer(loaded)
        found = list(
            explain_predictions(loaded[0], explainer, table, filled, predictions, on_progress=bar.update)
        )
    median, p95 = np.percentile([gap for _, gap in found], [50, 95])
    click.echo(f"Completeness gap: median {median:.2%}, 95th percentile {p95:.2%}.", err=True)
    return lengthen(predictions, found)


@app.command(params=_list_store_options())
@click.argument("model")
@click.argument("out", type=_PATH)
@click.option("--onnx", is_flag=True, help="Write model.onnx as well.")
def export(model: str, out: Path, root: Path, tracking_uri: str | None, *, onnx: bool) -> None:
    """Write a version as a SavedModel, which TensorFlow runs without this package.

    MODEL is a version, such as models:/tumour-type@staging; OUT the folder to make.
    """
    from expressionist.tracking import export_version, find_store, find_version

    version = find_version(find_store(root, tracking_uri), model)
    with _hush(), _spare("matplotlib", "sklearn"):
        importlib.import_module("expressionist.network.assembly")
    export_version(version, out, onnx=onnx)
    click.echo(f"{out}: {version.name} version {version.number} as a SavedModel, genes.tsv and about.json")


@app.command("report-sample", params=[*_list_store_options(), *_list_reading_options()])
@click.argument("table", type=_PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--sample", required=True, help="Name of the sample in TABLE.")
@click.option("--rival", help="Type to set against the one predicted; the second most probable if not given.")
@click.option("--out", type=_PATH, help="Page to write; <sample>.html if not given.")
def report_sample(
    table: Path,
    out: Path | None,
    root: Path,
    tracking_uri: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Put what a registered version says of one sample, and why, on one page.

    TABLE is what `predict` takes. The page is for research use only.
    """
    from expressionist.tracking import find_store

    store = find_store(root, tracking_uri)
    with _hush():
        importlib.import_module("expressionist.network.assembly")
        from expressionist.commands.sample_page import SampleRequest, write_sample_page
    request = SampleRequest(table, **options)
    for line in write_sample_page(store, request, datetime.now(UTC), out):
        click.echo(line)


@app.command("compare-explanations", params=_list_store_options())
@click.argument("first")
@click.argument("second")
def compare_explanations(first: str, second: str, root: Path, tracking_uri: str | None) -> None:
    """Say how far two versions agree on the genes that mark a tumour type.

    FIRST and SECOND are versions, such as models:/tumour-type@staging and models:/tumour-type/7. Compared are
    the genes that both have: how many of a type's first 20 are shared, and the rank correlation of all.
    """
    from expressionist.explain import compare_rankings
    from expressionist.tracking import find_store, find_version, read_ranking

    store = find_store(root, tracking_uri)
    rankings = [read_ranking(find_version(store, model)) for model in (first, second)]
    found = compare_rankings(*rankings, n_top=_N_COMPARED)
    click.echo(found.to_string(index=False, float_format="%.3f"))
    means = found.mean(numeric_only=True)
    n_genes = len(rankings[0].columns.intersection(rankings[1].columns))
    click.echo(
        f"Mean over {len(found)} types: {means['n_shared']:.1f} of the first {_N_COMPARED} genes, rank "
        f"correlation {means['correlation']:.3f}; {n_genes:,} genes are in both."
    )


@app.command(params=[*_list_store_options(), *_list_reading_options()])
@click.argument("table", type=_PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--labels", type=_PATH, required=True, help="Table with a row per sample and its tumour type.")
@click.option("--sample-column", help="Of the labels; guessed by the samples if not given.")
@click.option("--label-column", help="Of the labels; guessed by its name if not given.")
@click.option("--patient-column", help="Of the labels; guessed by its name, or told by TCGA barcodes.")
@click.option("--map", "renaming", type=_PATH, help="Two columns: a label, and what the model calls it.")
@click.option("--exclude-trained", is_flag=True, help="Leave out patients who trained the version.")
@click.option("--out", type=_PATH, help="Folder of the page; validation/<name of TABLE> if not given.")
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

    store, evaluation = find_store(root, tracking_uri), _read_params(root).evaluation
    with _hush():
        importlib.import_module("expressionist.network.assembly")
        from expressionist.commands.validation import Request, name_folder, validate
    request = Request(table, **options)
    for line in validate(store, request, evaluation, out or name_folder(table), root):
        click.echo(line)


@app.command(params=[_make_nomenclature_option()])
@click.argument("file", type=_PATH)
@click.option("--labels", type=_PATH, help="A second table with the tumour types.")
def inspect(file: Path, labels: Path | None, nomenclature: Path | None) -> None:
    """Say what is in a user's files, what would be refused, and what to write into params.yaml.

    FILE is a matrix of expression, of any format that is read.
    """
    from expressionist.data import describe_inspection, inspect_files

    found = inspect_files(file, labels, nomenclature)
    for line in describe_inspection(found):
        click.echo(line)
    if found.problems:
        sys.exit(1)


@app.command()
@click.option("--since", type=float, default=0, envvar=_BEGAN, show_envvar=True, help="Seconds since 1970.")
def times(since: float) -> None:
    """Say what stages took when they last ran."""
    from expressionist.commands.timing import TIMES, lay_out, read_times

    for line in lay_out(read_times(_find_root() / TIMES, since).values()):
        click.echo(line)


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    # Errors of the libraries come as exceptions; what else they log is about the machine.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Processors without AVX-512 have these kernels too, but TensorFlow uses them there only if told to.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # In a container, a user may have no home: MLflow cannot be imported so.
    if os.path.expanduser("~") == "~":  # noqa: PTH111  Path's raises an error
        os.environ["HOME"] = tempfile.gettempdir()
    try:
        # Whatever a library could not write; what the package writes itself is named by its own path.
        with explain_full_disk(Path("data")):
            app(prog_name="expressionist")
    except Refusal as refusal:
        click.echo(f"expressionist: {refusal}", err=True)
        sys.exit(2)


def _run_code_of_stage() -> None:
    """Begin anew with the code in src/ where DVC runs a stage, if that is other code than this.

    A stage hangs on the src/ of the folder that it runs in. Where an experiment or another worktree uses this
    environment, what is installed in it is the src/ of the checkout that it was made for.
    """
    own, here = Path(__file__).parents[2], Path("src").absolute()
    code = here / "expressionist" / "__main__.py"
    if "DVC_STAGE" not in os.environ or not code.is_file() or here.samefile(own):
        return
    paths = [str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    os.execve(sys.executable, [sys.executable, "-m", "expressionist", *sys.argv[1:]], environment)


def run() -> None:
    """Do as `main` in a process of its own, which ends at once.

    Python would take TensorFlow's objects apart first, two seconds in every stage that trains or predicts.
    """
    _run_code_of_stage()
    try:
        main()
    except SystemExit as ended:
        others = [thread for thread in threading.enumerate() if not thread.daemon]
        if len(others) > 1 or not isinstance(ended.code, int):
            raise
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code)


if __name__ == "__main__":
    run()
