"""Bring the raw files of the chosen source into the checkout."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

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
from expressionist.files import find_given, lock_file, md5, read_json, write_json, write_whole
from expressionist.params import CohortParams, parse


def run(cohort: CohortParams, *, raw: Path, cache: Path) -> None:
    """Copy the files that a source needs from `cohort.folder` or download them, and list their md5.

    Each is called after its option, with its own suffixes, or lies in a folder called so, if there are many.
    What was downloaded before and has the right md5 is not downloaded again. What has come so far lies in
    `cache`, which may be deleted at any time.
    """
    source = find_source(cohort.source)
    options = parse(source.Options, cohort.options, f"params.yaml: cohort: {cohort.source}")
    if _is_kept(cohort, options, source.list_files(options), raw):
        Console().out(f"{raw} is kept, as {cohort.folder} has none of the files in it.", highlight=False)
        return
    files: tuple[RawFile, ...] = source.list_files(options)
    if hasattr(source, "list_many"):
        files += source.list_many(options, Path(cohort.folder))
    found = {file: _find_given(file, cohort) for file in files if not file.is_remote}
    remote = [file for file in files if file.is_remote]
    downloads = cache / "downloads"
    with _lock(downloads / "lock" if remote else None):
        found |= _bring(remote, raw, downloads)
        with refuse_disk_trouble(raw), write_whole(raw) as folder:
            folder.mkdir()
            manifest = _place_all(found, files, folder)
            about = {"source": cohort.source, "options": asdict(options), "files": manifest}
            write_json(folder / "manifest.json", about)
        for file in remote:
            forget_download(file, downloads)


def _is_kept(cohort: CohortParams, options: Any, files: tuple[RawFile, ...], raw: Path) -> bool:  # noqa: ANN401
    """Whether the folder of a fresh clone lacks what was fetched there once, and DVC has given it back."""
    given = [file for file in files if not file.is_remote]
    if not given or any(find_given(Path(cohort.folder) / file.address).exists() for file in given):
        return False
    manifest = raw / "manifest.json"
    if not manifest.is_file():
        return False
    about = read_json(manifest)
    if (about["source"], about["options"]) != (cohort.source, json.loads(json.dumps(asdict(options)))):
        return False
    return all(
        (raw / name).is_file() and md5(raw / name) == entry["md5"] for name, entry in about["files"].items()
    )


def _find_given(file: RawFile, cohort: CohortParams) -> Path:
    path = find_given(Path(cohort.folder) / file.address)
    if not path.is_file():
        raise CohortError(
            f"cohort.{cohort.source}.{file.option} must be a file in {cohort.folder}, but got "
            f"{path}, which is not there. Put the file there, or correct cohort.folder."
        )
    return path


def _bring(files: list[RawFile], raw: Path, downloads: Path) -> dict[RawFile, Path]:
    """Say for each remote file where it lies: kept from an earlier run, or downloaded now."""
    patience = Patience(sleep=time.sleep, draw=random.random)
    entries = _read_entries(raw)
    found = {}
    with _open_bars() as progress:
        for option, group in groupby(files, lambda file: file.option):
            several = tuple(group)
            size = sum(file.size or 0 for file in several)
            task, before = progress.add_task(option, total=size or None), 0
            told = several[0].called if len(several) == 1 else f"{len(several):,} files, the first"
            for file in several:
                kept = _find_kept(file, raw, entries)
                if kept is None:
                    if told:
                        progress.console.out(f"{option}: {told} from {file.address}", highlight=False)
                    told = ""
                    show = partial(_show, progress, task, before, size)
                    kept = download(file, downloads, patience=patience, show=show)
                found[file] = kept
                before += kept.stat().st_size
                progress.update(task, completed=before)
    return found


def _open_bars() -> Progress:
    """Make bars of bytes, which show themselves to people only."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _show(progress: Progress, task: TaskID, before: int, size: int, n_bytes: int, total: int | None) -> None:
    progress.update(task, completed=before + n_bytes, total=size or total)


def _read_entries(raw: Path) -> dict[str, Any]:
    """Read what an earlier run has noted of its files."""
    path = raw / "manifest.json"
    return dict(read_json(path)["files"]) if path.is_file() else {}


def _find_kept(file: RawFile, raw: Path, entries: dict[str, Any]) -> Path | None:
    """Find a remote file among those of an earlier run: options change more often than what is published."""
    path, entry = raw / file.name, entries.get(file.name, {})
    if not (entries and path.is_file()):
        return None
    known = file.md5 or (entry.get("md5") if entry.get("from") == file.address else None)
    return path if known is not None and md5(path) == known else None


def _place_all(
    found: dict[RawFile, Path], files: tuple[RawFile, ...], folder: Path
) -> dict[str, dict[str, str | int]]:
    """Put all files into the raw folder, and make the entries of the manifest."""
    entries = {}
    with _open_bars() as progress:
        task = progress.add_task("verified", total=sum(path.stat().st_size for path in found.values()))
        for file in files:
            entries[file.name] = _place(file, found[file], folder)
            progress.advance(task, found[file].stat().st_size)
    return entries


def _place(file: RawFile, path: Path, folder: Path) -> dict[str, str | int]:
    """Put a file into the raw folder, verify it there, and make its entry of the manifest."""
    placed = folder / file.name
    placed.parent.mkdir(exist_ok=True)
    # What was downloaded leaves its old place only once the raw folder is whole. What a person has given is
    # no link: it would share its bytes with DVC's cache, which makes them read-only, and with their editor.
    if file.is_remote:
        with suppress(OSError):  # another file system, or one without links
            placed.hardlink_to(path)
    if not placed.exists():
        shutil.copyfile(path, placed)
    origin = file.address if file.is_remote else path.name
    return {"from": origin, "bytes": placed.stat().st_size, "md5": verify_file(placed, file)}


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
