"""Options of the command line that several commands have, and where the project's params are."""

from pathlib import Path
from typing import Any

import click

PARAMS = Path("params.yaml")
PATH = click.Path(path_type=Path)
# Types as the stages write them.
_KINDS = {"Path": PATH, "str": str, "str | None": str, "float": float}


def find_root() -> Path:
    """Find the project as git does: the nearest folder, from here up, with params.yaml and dvc.yaml."""
    above = () if PARAMS.is_file() else Path.cwd().parents
    whole = (folder for folder in above if all((folder / name).is_file() for name in (PARAMS, "dvc.yaml")))
    return next(whole, Path())


# What is asked for by these names is known to the environment, not to dvc.yaml.
_ENVIRONMENT: dict[str, tuple[str, Any, str]] = {
    "root": ("DVC_ROOT", find_root, "Project that holds mlruns/; found from here up."),
    "tracking_uri": ("MLFLOW_TRACKING_URI", None, "MLflow server to use instead."),
    "cache_gigabytes": ("EXPRESSIONIST_CACHE_GIGABYTES", 50.0, "Room for frozen activations."),
    "scheduler": ("EXPRESSIONIST_SCHEDULER", None, "Dask scheduler whose workers help."),
}


def make_option(name: str, kind: str) -> click.Option:
    """Make an option by its name and the name of its type; some are the environment's."""
    flag, of_type = [f"--{name.replace('_', '-')}"], _KINDS[kind]
    if name not in _ENVIRONMENT:
        return click.Option(flag, type=of_type, required=True)
    variable, default, told = _ENVIRONMENT[name]
    shown = not callable(default)
    return click.Option(
        flag, type=of_type, default=default, help=told, envvar=variable, show_envvar=True, show_default=shown
    )


def list_store_options() -> list[click.Parameter]:
    """List the options that say where runs and versions are kept."""
    return [make_option("root", "Path"), make_option("tracking_uri", "str")]


def read_project_params(root: Path = Path()) -> Any:  # noqa: ANN401  what it gives is imported here only
    """Read params.yaml of a project."""
    from expressionist.commands.params_file import read_params

    return read_params(root / PARAMS)
