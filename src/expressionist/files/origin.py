"""The checkout that an experiment of DVC was begun in, and files that git does not carry from there."""

from pathlib import Path

_EXPERIMENTS = (".dvc", "tmp", "exps")


def find_origin(folder: Path) -> Path | None:
    """Find the checkout whose experiment runs in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where to look from. `dvc exp run --temp` and `--queue` run below ``.dvc/tmp/exps`` of the checkout,
        and remove that folder when they are done.

    Returns
    -------
    pathlib.Path or None
        The checkout; None in a checkout itself, and wherever else no such experiment runs.
    """
    for above in folder.resolve().parents:
        if above.parts[-len(_EXPERIMENTS) :] == _EXPERIMENTS:
            return above.parents[len(_EXPERIMENTS) - 1]
    return None


def find_given(path: Path) -> Path:
    """Find what a person has put into a checkout, also from the folder of one of its experiments.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder, relative to the working directory or absolute.

    Returns
    -------
    pathlib.Path
        The path itself, unless it is missing in an experiment's folder, which DVC removes: then that of the
        checkout, which is where to put what is missing in both.
    """
    origin = find_origin(Path())
    return path if origin is None or path.exists() else origin / path
