"""The command line: one command per stage, and those that a person uses on models.

Whatever takes long to import is imported by the command that needs it, when it runs: help does not wait for
it.
"""

import atexit
import importlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from expressionist import __doc__ as _SUMMARY
from expressionist import __version__
from expressionist.commands import doctor, models, projects, tables
from expressionist.commands.options import (
    find_root,
    list_store_options,
    make_option,
    read_project_params,
)
from expressionist.commands.tensorflow_start import hush
from expressionist.commands.terminal import say
from expressionist.errors import ParamsError, Refusal, name_extra
from expressionist.files import explain_disk
from expressionist.stages import list_stages, read_signature

_STAGES = "Stages, as dvc.yaml runs them"
# The headings of help, in the order in which people work: the extra that commands need, and their names.
PANELS = {
    "Begin": ("", ("init", "inspect", "doctor")),
    "Predict and judge": ("serve", ("predict", "report-sample", "validate", "drift", "export")),
    "Registered versions": (
        "track",
        ("models", "promote", "demote", "rollback", "history", "verify", "compare-explanations"),
    ),
    "Run the pipeline (dvc repro)": ("all", ("worker", "times")),
    _STAGES: (
        "all",
        (
            *("code", "fetch", "prepare", "lists", "quality", "split", "layout", "images", "baselines"),
            *("tune", "train", "novelty", "evaluate", "repeats", "compare", "ablation", "refit", "explain"),
            *("report", "pack", "register"),
        ),
    ),
}
_HEADINGS = {name: heading for heading, (_, names) in PANELS.items() for name in names}
_EXTRAS = {name: extra for extra, names in PANELS.values() for name in names}
# Where the stages leave what a worker needs.
_WORKED_ON = {"split": Path("data/split.tsv")} | {
    name: Path("data") / name for name in ("layout", "images", "cache")
}
# When `make repro` began, in seconds since 1970.
_BEGAN = "EXPRESSIONIST_BEGAN"


class _Commands(click.Group):
    """Knows the stages beside its own commands, and shows all of them under headings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        # What has no place in the table comes last.
        order = [*_HEADINGS, *self.commands, *list_stages()]
        return sorted({*list_stages(), *self.commands}, key=order.index)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _make_stage_command(cmd_name) if cmd_name in list_stages() else self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in groupby(self.list_commands(ctx), lambda name: _HEADINGS.get(name, _STAGES)):
            with formatter.section(heading):
                formatter.write_dl([(name, _sum_up(self.get_command(ctx, name))) for name in names])


def _sum_up(command: click.Command | None) -> str:
    """Take what a command does out of its help: as far as the first colon, semicolon or stop."""
    return re.split(r"[:;.](?:\s|$)", " ".join(str(command and command.help).split()))[0]


@contextmanager
def _follow_time() -> Iterator[None]:
    """Say what DVC begins and how long it will take, and note how long it took."""
    stage, begun, clock = os.environ.get("DVC_STAGE"), time.time(), time.monotonic()
    if stage is None:
        yield
        return
    from expressionist.commands.timing import announce, measure, note, read_plan, read_times

    plan = read_plan(Path())
    if stage in plan:
        ran = read_times(since=float(os.environ.get(_BEGAN, begun)))
        say(announce(stage, plan, read_times(), ran))
    yield
    # A clock may be set meanwhile.
    note(measure(stage, time.monotonic() - clock))


@contextmanager
def _name_absent(options: Mapping[str, Any]) -> Iterator[None]:
    """Refuse an input of a stage that is not there, by the option that names it."""
    try:
        yield
    except FileNotFoundError as error:
        for name, path in options.items():
            if isinstance(path, Path) and not path.exists() and str(path) in str(error):
                flag = name.replace("_", "-")
                raise ParamsError(
                    f"--{flag} must be there, but got {path}. Run the stage that makes it."
                ) from error
        raise


def _make_stage_command(stage: str) -> click.Command:
    """Turn a stage's `run` into a command: its sections come from params.yaml, its paths are options."""
    taken = read_signature(stage)

    def command(**options: Any) -> None:  # noqa: ANN401
        # First, so that a refusal does not wait for TensorFlow.
        params = read_project_params() if taken.sections else None
        with _follow_time():
            with hush():
                run = importlib.import_module(f"expressionist.stages.{stage}").run
            with _name_absent(options):
                run(*(getattr(params, section) for section in taken.sections), **options)

    options: list[click.Parameter] = [make_option(name, kind) for name, kind in taken.options.items()]
    return click.Command(stage, callback=command, params=options, help=taken.summary)


@click.group(cls=_Commands, help=_SUMMARY)
@click.version_option(__version__)
def app() -> None:
    """Take a command."""


@click.command(
    params=[
        *(make_option(name, "Path", path) for name, path in _WORKED_ON.items()),
        make_option("cache_gigabytes", "float"),
        make_option("scheduler", "str"),
        *list_store_options(),
    ]
)
@click.argument("backbones", nargs=-1)
@click.option("--patience", default=10.0, show_default=True, help="Minutes to wait for a search to begin.")
def worker(
    backbones: tuple[str, ...],
    patience: float,
    cache_gigabytes: float,
    scheduler: str | None,
    root: Path,
    tracking_uri: str | None,
    **paths: Path,
) -> None:
    """Run trials of a search that `dvc repro` has begun, on this machine or another.

    BACKBONES are whose searches to join, in turn; all of params.yaml by default.
    """
    # What is not given lies in the project, wherever the worker is started.
    given = {name: path if path == _WORKED_ON[name] else path.absolute() for name, path in paths.items()}
    root = root.absolute()
    # The folder of weights, too, is named from there.
    os.chdir(find_root())
    params = read_project_params()
    with hush():
        from expressionist.stages.tune import join
        from expressionist.training import Workspace
    workspace = Workspace(**given, cache_gigabytes=cache_gigabytes, scheduler=scheduler)
    sections = (params.weights, params.network, params.training, params.search)
    for backbone in backbones or params.backbones:
        store: dict[str, Any] = {"root": root, "tracking_uri": tracking_uri}
        n_trials = join(*sections, workspace, backbone=backbone, patience=60 * patience, **store)
        say(f"{backbone}: no trial is left to begin; {n_trials} were run here.")


@click.command()
@click.option("--since", type=float, default=0, envvar=_BEGAN, show_envvar=True, help="Seconds since 1970.")
def times(since: float) -> None:
    """Say what stages took when they last ran."""
    from expressionist.commands.timing import TIMES, lay_out, read_times

    for line in lay_out(read_times(find_root() / TIMES, since).values()):
        say(line)


for _each in (*projects.COMMANDS, *doctor.COMMANDS, *tables.COMMANDS, *models.COMMANDS, worker, times):
    app.add_command(_each)


def _settle_home() -> None:
    """Do what libraries need where a user has no home or may not write there, as in containers."""
    if (home := os.path.expanduser("~")) == "~":  # noqa: PTH111  Path's raises an error
        # MLflow cannot be imported so.
        os.environ["HOME"] = home = tempfile.gettempdir()
    if not os.access(home, os.W_OK) and "NUMBA_CACHE_DIR" not in os.environ:
        # Numba would not compile UMAP. What it keeps are pickles: no folder that others could have made.
        os.environ["NUMBA_CACHE_DIR"] = folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    # Errors of the libraries come as exceptions; what else they log is about the machine.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Processors without AVX-512 have these kernels too, but TensorFlow uses them there only if told to.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _settle_home()
    wanted = _EXTRAS.get("".join(sys.argv[1:2]), "")
    try:
        # Whatever a library could not write; what the package writes itself is named by its own path.
        with explain_disk(Path("data"), Path("mlruns")), name_extra(wanted):
            app(prog_name="expressionist")
    except Refusal as refusal:
        say(f"expressionist: {refusal}", err=True)
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
