"""The command line: one command per stage, and those that a person uses on models.

Whatever takes long to import is imported by the command that needs it, when it runs: help does not wait for
it.
"""

import atexit
import getpass
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
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
# What is asked for by these names is known to the environment, not to dvc.yaml.
_ENVIRONMENT = {
    "root": ("DVC_ROOT", Path(), "Checkout that holds mlruns/."),
    "tracking_uri": ("MLFLOW_TRACKING_URI", None, "MLflow server to use instead."),
    "cache_gigabytes": ("EXPRESSIONIST_CACHE_GIGABYTES", 50.0, "Room for frozen activations."),
    "scheduler": ("EXPRESSIONIST_SCHEDULER", None, "Dask scheduler whose workers help."),
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
    return click.Option(
        flag, type=of_type, default=default, help=told, envvar=variable, show_envvar=True, show_default=True
    )


def _read_params() -> Any:  # noqa: ANN401  what it gives is imported here only
    from expressionist.commands.params_file import read_params

    return read_params(PARAMS)


@click.group(cls=_Commands, help=_SUMMARY)
def app() -> None:
    """Take a command."""


def _list_store_options() -> list[click.Parameter]:
    return [_make_option("root", "Path"), _make_option("tracking_uri", "str")]


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
def promote(to: str, root: Path, tracking_uri: str | None, **waivers: bool) -> None:
    """Promote the challenger if it passes the gate of params.yaml."""
    from expressionist.tracking import Waivers, open_store
    from expressionist.tracking import promote as promote_version

    params = _read_params().registry
    outcome = promote_version(
        open_store(root, tracking_uri),
        params.name,
        to=to,
        gate=params.gate,
        who=getpass.getuser(),
        when=datetime.now(UTC),
        waivers=Waivers(**waivers),
    )
    for reason in outcome.reasons:
        click.echo(reason)
    if not outcome.passed:
        click.echo(f"Version {outcome.version} of {params.name} is not promoted; {to} stays as it was.")
        click.echo("What a person can allow: expressionist promote --help")
        sys.exit(1)
    click.echo(
        f"Version {outcome.version} of {params.name} is {to} (before: {outcome.from_version or 'none'})."
    )


@app.command(params=_list_store_options())
def models(root: Path, tracking_uri: str | None) -> None:
    """List the versions of the registered model and their aliases."""
    from expressionist.tracking import list_versions, open_store

    versions = list_versions(open_store(root, tracking_uri), _read_params().registry.name)
    click.echo(versions.to_string(index=False))


@app.command(params=[_make_option("cache_gigabytes", "float"), _make_option("scheduler", "str")])
@click.argument("backbones", nargs=-1)
@click.option("--patience", default=10.0, show_default=True, help="Minutes to wait for a search to begin.")
@click.option("--split", type=_PATH, default=Path("data/split.tsv"), show_default=True)
@click.option("--layout", type=_PATH, default=Path("data/layout"), show_default=True)
@click.option("--images", type=_PATH, default=Path("data/images"), show_default=True)
@click.option("--cache", type=_PATH, default=Path("data/cache"), show_default=True)
def worker(backbones: tuple[str, ...], patience: float, **options: Any) -> None:  # noqa: ANN401
    """Run trials of a search that `dvc repro` has begun, on this machine or another.

    BACKBONES are whose searches to join, in turn; all of params.yaml by default.
    """
    params = _read_params()
    with _hush():
        from expressionist.stages.tune import join
        from expressionist.training import Workspace
    sections = (params.weights, params.network, params.training, params.search)
    for backbone in backbones or params.backbones:
        n_trials = join(*sections, Workspace(**options), backbone=backbone, patience=60 * patience)
        click.echo(f"{backbone}: no trial is left to begin; {n_trials} were run here.")


@app.command(params=_list_store_options())
@click.argument("table", type=_PATH)
@click.option("--model", required=True, help="Version, such as models:/tumour-type@staging.")
@click.option("--out", type=_PATH, help="Table to write; printed if not given.")
@click.option(
    "--genes-in", default="columns", show_default=True, help="columns | rows: where the table has its genes."
)
def predict(
    table: Path, model: str, out: Path | None, genes_in: str, root: Path, tracking_uri: str | None
) -> None:
    """Predict the tumour types of a table's samples.

    TABLE is samples × genes (tsv or csv, also packed), ids in the first column.
    """
    from expressionist.data import read_user_table
    from expressionist.files import write_table
    from expressionist.tracking import open_store, predict_with

    with _hush(), _spare("matplotlib", "sklearn"):
        importlib.import_module("expressionist.network.assembly")
    predictions = predict_with(open_store(root, tracking_uri), model, read_user_table(table, genes_in))
    if out is None:
        click.echo(predictions.to_csv(sep="\t", index=False), nl=False)
    else:
        write_table(out, predictions, index=False)


@app.command()
@click.argument("file", type=_PATH)
@click.option("--labels", type=_PATH, help="A second table with the tumour types.")
def inspect(file: Path, labels: Path | None) -> None:
    """Say what is in a user's files, what would be refused, and what to write into params.yaml.

    FILE is a matrix of expression, of any format that is read.
    """
    from expressionist.data import describe_inspection, inspect_files

    found = inspect_files(file, labels)
    for line in describe_inspection(found):
        click.echo(line)
    if found.problems:
        sys.exit(1)


@app.command()
@click.option("--since", type=float, default=0, envvar=_BEGAN, show_envvar=True, help="Seconds since 1970.")
def times(since: float) -> None:
    """Say what stages took when they last ran."""
    from expressionist.commands.timing import lay_out, read_times

    for line in lay_out(read_times(since=since).values()):
        click.echo(line)


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    # Errors of the libraries come as exceptions; what else they log is about the machine.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Processors without AVX-512 have these kernels too, but TensorFlow uses them there only if told to.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        # Whatever a library could not write; what the package writes itself is named by its own path.
        with explain_full_disk(Path("data")):
            app(prog_name="expressionist")
    except Refusal as refusal:
        click.echo(f"expressionist: {refusal}", err=True)
        sys.exit(2)


def run() -> None:
    """Do as `main` in a process of its own, which ends at once.

    Python would take TensorFlow's objects apart first, two seconds in every stage that trains or predicts.
    """
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
