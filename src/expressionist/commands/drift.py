"""Drift of a registered version: its log read, held against its own samples, and put on a page."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from expressionist.errors import RegistryError
from expressionist.evaluation import OwnSamples, judge_drift
from expressionist.files import read_arrays, read_table, write_json, write_whole
from expressionist.params import EvaluationParams
from expressionist.report import build_drift_page, tell_drift
from expressionist.tracking import (
    ANSWERS_FILE,
    FOOTPRINT_FILE,
    Served,
    Store,
    Version,
    find_version,
    name_logged,
    read_log,
    read_served,
)


def write_drift(
    store: Store, log: Path, model: str, evaluation: EvaluationParams, out: Path
) -> Iterator[str]:
    """Write how a version's predictions drift into a folder, and say it.

    Parameters
    ----------
    store : Store
        Where the version is registered.
    log : pathlib.Path
        Folder of the log.
    model : str
        As `find_version` takes it.
    evaluation : EvaluationParams
        Level and seed.
    out : pathlib.Path
        Folder for drift.html and drift.json, replaced as a whole.

    Yields
    ------
    str
        A line at a time.

    Raises
    ------
    RegistryError
        If the log has no predictions of the version, or this keeps nothing to compare with.
    """
    version = find_version(store, model)
    served = read_served(version.folder)
    own = _read_own(version, served)
    rows, n_broken = read_log(log)
    mine = rows[rows["model"] == name_logged(version.folder)]
    if mine.empty:
        raise RegistryError(
            f"{log} must have predictions of version {version.number} of {version.name}, but has "
            f"{len(rows):,} of others only. Name the version that made them."
        )
    said = [f"{len(mine):,} predictions of this version, {len(rows) - len(mine):,} of others left out."]
    if n_broken:
        said.append(f"{n_broken:,} lines were not written to their end, and are left out.")
    facts = judge_drift(mine, own, level=evaluation.level, seed=evaluation.seed) | {
        "level": evaluation.level,
        "log": log.resolve().name,
        "said": said,
        "model": {
            "name": version.name,
            "version": version.number,
            "backbone": served.about["backbone"],
            "cohort": served.cohort,
            "synthetic": served.synthetic,
            "random_weights": served.weights == "RANDOM",
        },
    }
    sentences = list(tell_drift(facts))
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "drift.html").write_text(build_drift_page(facts), encoding="utf-8")
        write_json(partial / "drift.json", facts | {"sentences": sentences})
    yield from (*said, *sentences)
    yield f"Page: {out / 'drift.html'}."


def _read_own(version: Version, served: Served) -> OwnSamples:
    """Read what the version keeps of its test and training samples."""
    paths = [version.folder / name for name in (ANSWERS_FILE, FOOTPRINT_FILE)]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise RegistryError(
            f"A version must have {' and '.join(missing)} to be compared with, but version {version.number} "
            f"of {version.name} was registered without. Run the pipeline again: it registers a new one."
        )
    answers, types = read_table(paths[0]), read_arrays(paths[1])["types"]
    counts = np.bincount(types, minlength=len(served.tumour_types)).tolist()
    flagged = served.about.get("flagged")
    return OwnSamples(
        answers=answers,
        n_flagged=None if flagged is None else flagged["test"][0],
        abstain_below=served.abstain_below,
        trained=dict(zip(served.tumour_types, counts, strict=True)),
    )
