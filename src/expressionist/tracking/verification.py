"""Whether all that made a run or a version is still there, and still what it was."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from expressionist.errors import RegistryError
from expressionist.files import digest_code, digest_file, md5, read_json
from expressionist.tracking.experiments import ask_git
from expressionist.tracking.model_folder import DIGESTS_FILE
from expressionist.tracking.provenance import ENVIRONMENT, LOCK, PACKAGE, read_environment
from expressionist.tracking.registry import find_entry, find_files
from expressionist.tracking.store import Store, import_mlflow

PRESENT, DIFFERS, GONE = "present", "differs", "gone"
_NOT_RECORDED = "not recorded with the run"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_FOLDER = ".dir"


@dataclass(frozen=True)
class Finding:
    """What was looked for, whether it is present, differs or is gone, and where it was looked for."""

    what: str
    state: str
    where: str


def verify(
    store: Store, asked: str, *, root: Path, places: Mapping[str, str], weights: Path
) -> list[Finding]:
    """Look for everything that a run or a version says it was made from.

    Parameters
    ----------
    store : Store
        From `find_store`.
    asked : str
        A run id, or ``models:/<name>@<alias>`` or ``models:/<name>/<version>``.
    root : pathlib.Path
        The checkout: its files, the cache of its DVC and its git are looked through.
    places : mapping of str to str
        Kind of output, as in the tags ``dvc.<kind>``, to its path there; ``{backbone}`` stands for the run's.
    weights : pathlib.Path
        Folder of pretrained weights.

    Returns
    -------
    list of Finding
        Of data, weights, code and environment, and of a version's files.

    Raises
    ------
    RegistryError
        If there is no such run or version.
    """
    files: list[Finding] = []
    if asked.startswith("models:/"):
        name, entry = find_entry(store, asked)
        run_id = store.client.get_model_version(name, entry.number).run_id
        tags = {**(_read_tags(store, run_id) if run_id else {}), **entry.tags}
        files = list(_check_files(find_files(store, name, entry), entry.tags.get("sealed", "")))
    else:
        tags = _read_tags(store, asked)
    cache, backbone = _find_cache(root), tags.get("backbone", "")
    kinds = {key.removeprefix("dvc."): value for key, value in tags.items() if _is_output(key, value)}
    data = [
        _look_for(kind, digest, root, places.get(kind, "").format(backbone=backbone), cache)
        for kind, digest in sorted(kinds.items())
    ]
    own = [_check_code(tags, root)]
    if backbone != "none":  # as that of a baseline model
        own.insert(0, _check_weights(tags.get("weights.digest", ""), backbone, weights))
    return [*data, *own, *_check_environment(tags, root), *files]


def _read_tags(store: Store, run_id: str) -> dict[str, str]:
    try:
        return dict(store.client.get_run(run_id).data.tags)
    except import_mlflow().exceptions.MlflowException as error:
        raise RegistryError(
            "What is verified must be a run that is there, or a version such as models:/tumour-type@staging, "
            f"but got no run {run_id!r}. See `expressionist models`, or MLflow's UI."
        ) from error


def _is_output(key: str, value: str) -> bool:
    return key.startswith("dvc.") and _MD5.fullmatch(value) is not None


def _find_cache(root: Path) -> Path:
    """Ask DVC for its cache, which its settings may put anywhere."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    asked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    known = asked.stdout.strip() if asked.returncode == 0 else ".dvc/cache"
    return root / known / "files" / "md5"


def _look_for(what: str, digest: str, root: Path, place: str, cache: Path) -> Finding:
    """Look for an output where its stage leaves it, then in the cache of DVC."""
    here = root / place
    found = md5(here) if place and here.exists() else None
    if found == digest:
        return Finding(what, PRESENT, place)
    there = f"{place} is {found[:12]}" if found else f"no {place}"
    if _is_cached(cache, digest):
        return Finding(what, PRESENT, f"DVC cache; {there}")
    lock = root / "dvc.lock"
    locked = lock.is_file() and digest in lock.read_text(encoding="utf-8")
    hint = "; dvc.lock names it: dvc pull" if locked else ""
    return Finding(what, DIFFERS if found else GONE, f"{there}, not in the DVC cache{hint}")


def _is_cached(cache: Path, digest: str) -> bool:
    """Tell whether DVC's cache holds a file, or a folder with all its files, as they were."""
    path = cache / digest[:2] / digest[2:]
    if not path.is_file() or md5(path) != digest.removesuffix(_FOLDER):
        return False
    if not digest.endswith(_FOLDER):
        return True
    listed: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return all(_is_cached(cache, each["md5"]) for each in listed)


def _check_weights(digest: str, backbone: str, folder: Path) -> Finding:
    """Look for the file of pretrained weights; random ones are drawn from their seed again."""
    from expressionist.network import list_weights

    if not digest:
        return Finding("weights", GONE, _NOT_RECORDED)
    if digest.startswith("random-"):
        return Finding("weights", PRESENT, f"drawn from the seed {digest.removeprefix('random-')}")
    paths = list_weights(backbone, folder)
    there = [path for path in paths if path.is_file()]
    same = next((path for path in there if digest_file(path) == digest), None)
    if same is not None:
        return Finding("weights", PRESENT, str(same))
    looked = ", ".join(sorted({str(path.parent) for path in paths}))
    return Finding("weights", DIFFERS if there else GONE, looked)


def _check_code(tags: Mapping[str, str], root: Path) -> Finding:
    """Hold the code that trains against this package, and else look for a commit without changes on top."""
    digest, commit = tags.get("code"), tags.get("git_commit", "")
    if digest is not None and digest == digest_code("training.finetuner"):
        return Finding("code", PRESENT, "this package")
    # A project's commits hold none of it.
    known = commit and ask_git(root, "cat-file", "-t", f"{commit}:./src/{PACKAGE}") == "tree"
    clean = tags.get("git_dirty") == "false"
    if known and clean:
        return Finding("code", PRESENT, f"git commit {commit[:12]}; this package is other code")
    if known:
        return Finding("code", DIFFERS, f"this package; git commit {commit[:12]} had changes on top")
    place = f"no git commit {commit[:12]} with it is here" if commit else "no git commit was recorded"
    version = tags.get(f"{ENVIRONMENT}{PACKAGE}")
    told = f"it was {PACKAGE} {version}; {place}" if version else place
    return Finding("code", GONE if digest is None else DIFFERS, f"this package; {told}")


def _check_environment(tags: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """Hold versions and the lock against what is installed and lies here."""
    here = read_environment(root)
    for name in ("lock", "python", "tensorflow", "keras"):
        was, now = tags.get(f"{ENVIRONMENT}{name}"), here.get(name)
        place = LOCK if name == "lock" else f"installed: {now}"
        if was is now is None:
            continue  # no checkout need have a lock
        if was is None:
            yield Finding(name, GONE, _NOT_RECORDED)
        elif was == now:
            yield Finding(name, PRESENT, place)
        else:
            yield Finding(name, DIFFERS if now else GONE, f"{place}; it was {was[:12]}")


def _check_files(folder: Path, sealed: str) -> Iterator[Finding]:
    """Hold every file of a version against its list of digests, and the list against the version's tag."""
    listed = next(folder.glob(f"artifacts/*/{DIGESTS_FILE}"), None)
    if listed is None:
        yield Finding(DIGESTS_FILE, GONE, str(folder))
        return
    yield Finding(DIGESTS_FILE, PRESENT if digest_file(listed) == sealed else DIFFERS, str(listed.parent))
    for name, digest in read_json(listed).items():
        path = listed.parent / name
        state = GONE if not path.is_file() else PRESENT if digest_file(path) == digest else DIFFERS
        yield Finding(name, state, str(listed.parent))
