"""Bring the raw files of the chosen source into the checkout."""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from expressionist.data import (
    Patience,
    RawFile,
    download,
    find_source,
    forget_download,
    refuse_disk_trouble,
    verify_file,
)
from expressionist.errors import CohortError
from expressionist.files import lock_file, md5, read_json, write_json, write_whole
from expressionist.params import CohortParams, parse


def run(cohort: CohortParams, *, raw: Path, cache: Path) -> None:
    """Copy the files that a source needs from the incoming folder or download them, and list their md5.

    Parameters
    ----------
    cohort : CohortParams
        Source, incoming folder and the source's options.
    raw : pathlib.Path
        Folder to write; each file is called after its option, with its own suffixes. A downloaded file that
        already stands there, with the right md5, is not downloaded again.
    cache : pathlib.Path
        Folder of the cache, whose `downloads` hold what has come so far; may be deleted at any time.

    Raises
    ------
    CohortError
        If a file is not there, cannot be downloaded, or is not the one it must be.
    """
    source = find_source(cohort.source)
    options = parse(source.Options, cohort.options, f"params.yaml: cohort: {cohort.source}")
    files: tuple[RawFile, ...] = source.list_files(options)
    found = {file: _find_given(file, cohort) for file in files if not file.is_remote}
    remote = [file for file in files if file.is_remote]
    downloads = cache / "downloads"
    with _lock(downloads / "lock" if remote else None):
        found |= _bring(remote, raw, downloads)
        with refuse_disk_trouble(raw), write_whole(raw) as folder:
            folder.mkdir()
            manifest = {file.name: _place(file, found[file], folder) for file in files}
            write_json(
                folder / "manifest.json",
                {"source": cohort.source, "options": asdict(options), "files": manifest},
            )
        for file in remote:
            forget_download(file, downloads)


def _find_given(file: RawFile, cohort: CohortParams) -> Path:
    path = Path(cohort.folder) / file.address
    if not path.is_file():
        raise CohortError(
            f"cohort.{cohort.source}.{file.option} must be a file in {cohort.folder}, but got "
            f"{file.address}, which is not there. Put the file there, or correct cohort.folder."
        )
    return path


def _bring(files: list[RawFile], raw: Path, downloads: Path) -> dict[RawFile, Path]:
    """Say for each remote file where it lies: kept from an earlier run, or downloaded now."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    patience = Patience(sleep=time.sleep, draw=random.random)
    found = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for file in files:
            kept = _find_kept(file, raw)
            if kept is None:
                console.out(f"{file.option}: {file.called} from {file.address}", highlight=False)
                task = progress.add_task(file.option, total=file.size)
                show = partial(_show, progress, task)
                kept = download(file, downloads, patience=patience, show=show)
            found[file] = kept
    return found


def _show(progress: Progress, task: TaskID, n_bytes: int, total: int | None) -> None:
    progress.update(task, completed=n_bytes, total=total)


def _find_kept(file: RawFile, raw: Path) -> Path | None:
    """Find a remote file among those of an earlier run: options change more often than what is published."""
    path = raw / file.name
    if not (path.is_file() and (raw / "manifest.json").is_file()):
        return None
    entry = read_json(raw / "manifest.json")["files"].get(file.name, {})
    known = file.md5 or (entry.get("md5") if entry.get("from") == file.address else None)
    return path if known is not None and md5(path) == known else None


def _place(file: RawFile, path: Path, folder: Path) -> dict[str, str | int]:
    """Put a file into the raw folder, verify it there, and make its entry of the manifest.

    What a person has given is copied: a link would share its bytes with DVC's cache, which makes them
    read-only, and with whoever edits the original. What was downloaded is linked, and leaves its old place
    only once the raw folder is whole.
    """
    placed = folder / file.name
    if file.is_remote:
        _link(path, placed)
    else:
        shutil.copyfile(path, placed)
    origin = file.address if file.is_remote else path.name
    return {"from": origin, "bytes": placed.stat().st_size, "md5": verify_file(placed, file)}


def _link(path: Path, placed: Path) -> None:
    try:
        placed.hardlink_to(path)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(path, placed)


@contextmanager
def _lock(path: Path | None) -> Iterator[None]:
    """Let one process at a time download; a second one waits, and then finds what the first has brought."""
    if path is None:
        yield
        return
    with ExitStack() as stack:
        with refuse_disk_trouble(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            is_free = stack.enter_context(lock_file(path, wait=False))
        if not is_free:
            Console().out(f"Waiting for another fetch, which holds {path}.", highlight=False)
            stack.enter_context(lock_file(path))
        yield
