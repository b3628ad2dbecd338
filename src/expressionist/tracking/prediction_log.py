"""A log of predictions, for who asks for it: when, by which version, and how sure, but not of whom.

A process appends to a file of its own, a line per sample, so that no other can tear it. Neither expression
nor the names of samples are kept, nor digests of these: whoever can guess a name could find its digest.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import pandas as pd

from expressionist.errors import RegistryError
from expressionist.files import digest_file, write_whole
from expressionist.tracking.model_folder import find_digests

# Of what `predict` gives, what is kept, with the kind it is read back as.
_KEPT = {
    "tumour_type": str,
    "probability": float,
    "abstain": bool,
    "novelty": float,
    "unlike_training": bool,
    "n_missing_genes": int,
}
_N_DIGITS = 16
_LOCK = Lock()


def name_logged(folder: Path) -> str:
    """Name the model of a folder as the log does: by the digest of its list of digests."""
    return digest_file(find_digests(folder))[:_N_DIGITS]


def append_log(folder: Path, model: str, predictions: pd.DataFrame) -> None:
    """Append predictions, as `predict` gives them, to this process's file of the day.

    Parameters
    ----------
    folder : pathlib.Path
        Of the log; made if it is not there.
    model : str
        From `name_logged`.
    predictions : pandas.DataFrame
        From `predict`.

    Raises
    ------
    OSError
        If nothing can be written; then nothing was.
    """
    now = datetime.now(UTC)
    content = _lay_out(model, predictions, now)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%d}-{_name_process(os.getpid())}.jsonl"
    # Not buffered: what did not fit must not be written later, when there is room again.
    with _LOCK, path.open("ab", buffering=0) as stream:
        before = stream.tell()
        try:
            if stream.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            os.truncate(path, before)
            raise


def log_once(folder: Path, key: str, model: str, parts: Iterable[pd.DataFrame]) -> None:
    """Log the predictions of one table as a file of their own, unless one of that `key` is there.

    Parameters
    ----------
    folder, model
        As for `append_log`.
    key : str
        Digest of the table, the model and the options.
    parts : iterable of pandas.DataFrame
        Predictions, as `predict` gives them, some samples at a time.
    """
    path = folder / f"table-{key}.jsonl"
    if path.exists():
        return
    now = datetime.now(UTC)
    with write_whole(path) as partial, partial.open("wb") as stream:
        stream.writelines(_lay_out(model, predictions, now) for predictions in parts)


def read_log(folder: Path) -> tuple[pd.DataFrame, int]:
    """Read a log.

    Parameters
    ----------
    folder : pathlib.Path
        Of the log.

    Returns
    -------
    log : pandas.DataFrame of length n_samples
        ``time`` (UTC), ``model``, and what is kept of predictions, the earliest first.
    n_broken : int
        Lines that a process did not write to their end.

    Raises
    ------
    RegistryError
        If the folder holds no log.
    """
    rows, n_broken = [], 0
    for path in sorted(folder.glob("[!.]*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = _read_line(line)
            n_broken += row is None
            rows += [] if row is None else [row]
    if not rows:
        raise RegistryError(
            f"A log must have predictions in files *.jsonl, but {folder} has none. Set "
            "EXPRESSIONIST_PREDICTION_LOG where the model is served, or use `expressionist predict --log`."
        )
    table = pd.DataFrame(rows).sort_values("time", kind="stable", ignore_index=True)
    return table, n_broken


@cache
def _name_process(pid: int) -> str:
    """Name a process so that none on another machine, or after it, is called the same."""
    return f"{pid}-{uuid4().hex[:8]}"


def _lay_out(model: str, predictions: pd.DataFrame, now: datetime) -> bytes:
    about = {"time": f"{now:%Y-%m-%dT%H:%M:%SZ}", "model": model}
    kept = predictions[list(_KEPT)].astype(_KEPT)
    return "".join(f"{json.dumps(about | row)}\n" for row in kept.to_dict("records")).encode()


def _read_line(line: bytes) -> Mapping[str, Any] | None:
    """Read a line; None if it is not whole."""
    try:
        row = json.loads(line)
        kept = {name: row[name] for name in ("model", *_KEPT)}
        return {"time": datetime.fromisoformat(row["time"]), **kept}
    except (ValueError, KeyError, TypeError):
        return None
