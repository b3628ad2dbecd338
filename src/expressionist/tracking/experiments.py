"""Which experiment of DVC a run belongs to, and what was changed for it."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from expressionist.tracking.runs import EXPERIMENT

_PARAMS = "params.yaml"
_ABSENT = object()


def describe_experiment(folder: Path) -> dict[str, str]:
    """Tell the tags of the experiment that runs in a folder; none where `dvc exp run` runs none.

    ``dvc.exp`` is its name, ``dvc.exp.baseline`` the commit that it was begun from, and ``dvc.exp.params``
    what differs from there in params.yaml, a line per key.
    """
    name, baseline = os.environ.get("DVC_EXP_NAME"), os.environ.get("DVC_EXP_BASELINE_REV")
    if not name:
        return {}
    tags = {EXPERIMENT: name}
    if baseline:
        tags["dvc.exp.baseline"] = baseline
        tags["dvc.exp.params"] = _name_changes(folder, baseline)
    return {key: value for key, value in tags.items() if value}


def ask_git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers in a folder; None where it does not."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _name_changes(folder: Path, baseline: str) -> str:
    written, path = ask_git(folder, "show", f"{baseline}:./{_PARAMS}"), folder / _PARAMS
    if written is None or not path.is_file():
        return ""
    before, now = (
        dict(_flatten(yaml.safe_load(text))) for text in (written, path.read_text(encoding="utf-8"))
    )
    changed = [key for key in now if now[key] != before.get(key, _ABSENT)]
    return "\n".join(f"{key}: {now[key]}" for key in changed)


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
