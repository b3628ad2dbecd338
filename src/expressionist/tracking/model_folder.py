"""A registered model's folder: what lies in it beside the network, sealed by a list of digests."""

from pathlib import Path

from expressionist.errors import RegistryError, name_some
from expressionist.files import digest_file, read_json, write_json

NOVELTY_FILE = "novelty.npz"
# What judges other cohorts: summaries of training samples, and the linear baseline models.
FOOTPRINT_FILE, LINEAR_FILE = "training.npz", "linear.npz"
# What the network answered on its test samples, and whether it was right.
ANSWERS_FILE = "answers.tsv"
# What the files of a model folder were when it was registered; a tag of the version says what this one was.
DIGESTS_FILE = "digests.json"
# What a model cannot do without.
_LOADED = {"model.keras", "model.json", "genes.tsv", NOVELTY_FILE}


def seal(folder: Path) -> str:
    """Write down the digests of all files of a model folder, and return that of the list.

    Parameters
    ----------
    folder : pathlib.Path
        With everything in it that is to be registered.

    Returns
    -------
    str
        SHA-256 of ``digests.json``, as 64 hexadecimal digits.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != DIGESTS_FILE)
    write_json(folder / DIGESTS_FILE, {name: digest_file(folder / name) for name in names})
    return digest_file(folder / DIGESTS_FILE)


def find_digests(folder: Path) -> Path:
    """Find the list of digests in a model folder, or refuse the folder."""
    path = folder / DIGESTS_FILE
    if not path.is_file():
        raise RegistryError(
            f"A model folder must have {DIGESTS_FILE}, to show that it is unchanged, but {folder} has none. "
            "Run the stage register again."
        )
    return path


def check_list(folder: Path, sealed: str | None) -> None:
    """Refuse a model folder whose list of digests is not the one that `seal` returned, if that is known."""
    path = folder / DIGESTS_FILE
    if sealed is not None and _digest_present(path) != sealed:
        raise RegistryError(
            f"A version's {path.name} must be the one that was registered, but {path} is another. Put "
            "the folder back from a backup, or run the stage register again."
        )


def check_seal(folder: Path) -> None:
    """Refuse a model folder whose files are not those that `seal` found in it."""
    sealed = read_json(find_digests(folder))
    changed = [name for name, digest in sealed.items() if _digest_present(folder / name) != digest]
    changed += sorted(_LOADED - set(sealed))
    if changed:
        raise RegistryError(
            f"The files of a model must be as they were registered, but {name_some(changed)} in {folder} "
            "changed since. Put them back from a backup, or run the stage register again."
        )


def _digest_present(path: Path) -> str | None:
    return digest_file(path) if path.is_file() else None
