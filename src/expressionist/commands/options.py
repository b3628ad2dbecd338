"""Options of the command line that several commands have, and where the project's params are."""

from pathlib import Path
from typing import Any

import click

PARAMS = Path("params.yaml")
PATH = click.Path(path_type=Path)
# Types as the stages write them.
_KINDS = {"Path": PATH, "Path | None": PATH, "str": str, "str | None": str, "float": float}


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


# What dvc.yaml gives the stages, each name for the same thing in all of them.
_PATHS = {
    "ablation": "Folder of the winner without its picture.",
    "attributions": "Folder of the explanations.",
    "backbone": "Name of the backbone, as in params.yaml.",
    "baselines": "Folder of the baseline models.",
    "cache": "Folder of what may be computed again, such as frozen activations.",
    "cohort": "Folder of the cohort.",
    "cohort_folder": "Folder of the cohort.",
    "comparison": "Folder of the comparison, or its comparison.json.",
    "evaluations": "Folder with the scores of each backbone.",
    "fitted": "Folder of the baseline models.",
    "images": "Folder of the painted samples.",
    "layout": "Folder of the genes, their scale and their pixels.",
    "layout_folder": "Folder of the genes, their scale and their pixels.",
    "lists": "Folder of the lists of genes.",
    "metrics": "File to write what `dvc metrics show` shows.",
    "model": "Folder of the trained network.",
    "models": "Folder with the trained network of each backbone.",
    "novelty": "Folder of the score of what is unlike the training cohort, or its novelty.json.",
    "out": "File or folder to write.",
    "package": "Folder of the package's code; that which runs if not given.",
    "quality": "Folder of the cohort, which holds its quality.json.",
    "raw": "Folder of the raw files.",
    "refit": "Folder of the winner, trained on all patients but those of the test.",
    "repeats": "Table of the scores on further splits.",
    "report": "Page of the report.",
    "search": "Folder with the search of each backbone, or the file of one.",
    "served": "Folder of the packed winner.",
    "split": "Table of the samples' subsets.",
    "split_table": "Table of the samples' subsets.",
    "trained": "Folder with the trained network of each backbone, before the winner's last training.",
}


def make_option(name: str, kind: str, default: Path | None = None) -> click.Option:
    """Make an option by its name and the name of its type; some are the environment's."""
    flag, of_type = [f"--{name.replace('_', '-')}"], _KINDS[kind]
    if name not in _ENVIRONMENT:
        needed = default is None and "None" not in kind
        usual: dict[str, Any] = {"required": True} if needed else {"default": default, "show_default": True}
        return click.Option(flag, type=of_type, help=_PATHS.get(name), **usual)
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
