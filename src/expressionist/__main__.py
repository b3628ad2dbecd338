"""The command line: one command per stage, and those that a person uses on models."""

import ast
import getpass
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from expressionist import stages
from expressionist.disk import explain_full_disk
from expressionist.errors import Refusal
from expressionist.params import read_params

PARAMS = Path("params.yaml")
_STAGES = {module.name: module for module in pkgutil.iter_modules(stages.__path__)}
# What a stage asks for by these names is known to the environment, not to dvc.yaml.
_ENVIRONMENT = {
    "root": ("DVC_ROOT", Path()),
    "tracking_uri": ("MLFLOW_TRACKING_URI", None),
    "cache_gigabytes": ("EXPRESSIONIST_CACHE_GIGABYTES", 50.0),
    "scheduler": ("EXPRESSIONIST_SCHEDULER", None),
}


class _Commands(TyperGroup):
    """Loads a stage, with all it imports, only when it is run."""

    def list_commands(self, ctx: object) -> list[str]:
        return [*_STAGES, *self.commands]

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ANN401  typer does not export its type
        return _make_stage_command(cmd_name, None) if cmd_name in _STAGES else self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        if args[0] not in _STAGES:
            return super().resolve_command(ctx, args)
        with _hush():
            stage = importlib.import_module(f"expressionist.stages.{args[0]}")
        return args[0], _make_stage_command(args[0], stage.run), args[1:]


@contextmanager
def _hush() -> Iterator[None]:
    """Keep what TensorFlow's C++ says about this machine, before any log level holds, off the terminal."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=importlib.import_module("expressionist").__doc__,
)

Root = Annotated[Path, typer.Option(envvar="DVC_ROOT", help="Checkout that holds mlruns/.")]
Server = Annotated[
    str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow server to use instead.")
]


def _read_summary(stage: str) -> str:
    """Read the first line of a stage's docstring without importing it."""
    source = Path(stages.__path__[0], f"{stage}.py").read_text(encoding="utf-8")
    return str(ast.get_docstring(ast.parse(source))).splitlines()[0]


def _make_stage_command(stage: str, run: Callable[..., None] | None) -> Any:  # noqa: ANN401
    """Turn a stage's `run` into a command: its sections come from params.yaml, its paths are options.

    Without `run` the command can only be listed, which must not wait for TensorFlow.
    """
    parameters = list(signature(run).parameters.values()) if run else []
    sections = [item.name for item in parameters if item.kind is Parameter.POSITIONAL_OR_KEYWORD]
    paths = [_as_option(item) for item in parameters if item.kind is Parameter.KEYWORD_ONLY]

    def command(**options: Any) -> None:  # noqa: ANN401
        if run is not None:
            params = read_params(PARAMS) if sections else None
            run(*(getattr(params, section) for section in sections), **options)

    command.__signature__ = Signature(paths)  # type: ignore[attr-defined]
    command.__doc__ = _read_summary(stage)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(stage)(command)
    return typer.main.get_command(single)


def _as_option(item: Parameter) -> Parameter:
    if item.name in _ENVIRONMENT:
        variable, default = _ENVIRONMENT[item.name]
        hint = Annotated[item.annotation, typer.Option(envvar=variable)]  # type: ignore[name-defined]
        return item.replace(annotation=hint, default=default)
    return item.replace(annotation=Annotated[item.annotation, typer.Option()])


@app.command()
def promote(
    to: Annotated[str, typer.Option(help="Alias to set.")] = "staging",
    allow_synthetic: Annotated[  # noqa: FBT002  typer's way to declare a flag
        bool, typer.Option("--allow-synthetic", help="Promote although the samples were simulated.")
    ] = False,
    allow_random_weights: Annotated[  # noqa: FBT002
        bool, typer.Option("--allow-random-weights", help="Promote although no weights were pretrained.")
    ] = False,
    across_data: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--across-data", help="Promote although the present version was tested on other samples."
        ),
    ] = False,
    root: Root = Path(),
    tracking_uri: Server = None,
) -> None:
    """Promote the challenger if it passes the gate of params.yaml."""
    from expressionist.gate import Waivers
    from expressionist.mlruns import open_store
    from expressionist.registry import promote as promote_version

    params = read_params(PARAMS).registry
    outcome = promote_version(
        open_store(root, tracking_uri),
        params.name,
        to=to,
        gate=params.gate,
        who=getpass.getuser(),
        when=datetime.now(UTC),
        waivers=Waivers(allow_synthetic, allow_random_weights, across_data),
    )
    for reason in outcome.reasons:
        typer.echo(reason)
    if not outcome.passed:
        typer.echo(f"Version {outcome.version} of {params.name} is not promoted; {to} stays as it was.")
        typer.echo("What a person can allow: expressionist promote --help")
        raise typer.Exit(1)
    typer.echo(
        f"Version {outcome.version} of {params.name} is {to} (before: {outcome.from_version or 'none'})."
    )


@app.command()
def models(root: Root = Path(), tracking_uri: Server = None) -> None:
    """List the versions of the registered model and their aliases."""
    from expressionist.mlruns import open_store
    from expressionist.registry import list_versions

    versions = list_versions(open_store(root, tracking_uri), read_params(PARAMS).registry.name)
    typer.echo(versions.to_string(index=False))


@app.command()
def worker(
    backbones: Annotated[
        list[str] | None,
        typer.Argument(help="Whose searches to join, in turn; all of params.yaml by default."),
    ] = None,
    patience: Annotated[float, typer.Option(help="Minutes to wait for a search to begin.")] = 10,
    split: Path = Path("data/split.tsv"),
    layout: Path = Path("data/layout"),
    images: Path = Path("data/images"),
    cache: Path = Path("data/cache"),
    cache_gigabytes: Annotated[float, typer.Option(envvar="EXPRESSIONIST_CACHE_GIGABYTES")] = 50.0,
    scheduler: Annotated[str | None, typer.Option(envvar="EXPRESSIONIST_SCHEDULER")] = None,
) -> None:
    """Run trials of a search that `dvc repro` has begun, on this machine or another."""
    with _hush():
        join = importlib.import_module("expressionist.stages.tune").join
    params = read_params(PARAMS)
    for backbone in backbones or params.backbones:
        n_trials = join(
            *(params.weights, params.network, params.training, params.search),
            **{"backbone": backbone, "split": split, "layout": layout, "images": images, "cache": cache},
            cache_gigabytes=cache_gigabytes,
            scheduler=scheduler,
            patience=60 * patience,
        )
        typer.echo(f"{backbone}: no trial is left to begin; {n_trials} were run here.")


@app.command()
def predict(
    table: Annotated[
        Path, typer.Argument(help="Samples × genes (tsv or csv, also packed), ids in the first column.")
    ],
    model: Annotated[str, typer.Option(help="Version, such as models:/tumour-type@staging.")],
    out: Annotated[Path | None, typer.Option(help="Table to write; printed if not given.")] = None,
    genes_in: Annotated[str, typer.Option(help="columns | rows: where the table has its genes.")] = "columns",
    root: Root = Path(),
    tracking_uri: Server = None,
) -> None:
    """Predict the tumour types of a table's samples."""
    from expressionist.mlruns import open_store
    from expressionist.registry import predict_with
    from expressionist.store import write_table
    from expressionist.user_table import read_user_table

    with _hush():
        importlib.import_module("expressionist.layers")
    predictions = predict_with(open_store(root, tracking_uri), model, read_user_table(table, genes_in))
    if out is None:
        typer.echo(predictions.to_csv(sep="\t", index=False), nl=False)
    else:
        write_table(out, predictions, index=False)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A matrix of expression, of any format that is read.")],
    labels: Annotated[Path | None, typer.Option(help="A second table with the tumour types.")] = None,
) -> None:
    """Say what is in a user's files, what would be refused, and what to write into params.yaml."""
    from expressionist.inspection import describe_inspection, inspect_files

    found = inspect_files(file, labels)
    for line in describe_inspection(found):
        typer.echo(line)
    if found.problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a refusal is one line and exit code 2."""
    # Errors of the libraries come as exceptions; what else they log is about the machine.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        # Whatever a library could not write; what the package writes itself is named by its own path.
        with explain_full_disk(Path("data")):
            app()
    except Refusal as refusal:
        typer.echo(f"expressionist: {refusal}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
