"""The page of one sample: a registered version reads it, explains itself, and all of it is written down."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.commands.table_request import TableRequest
from expressionist.data import read_nomenclature, to_log2
from expressionist.errors import RegistryError, name_some
from expressionist.evaluation import Footprint
from expressionist.files import read_arrays, read_table, write_whole
from expressionist.painting import Layout
from expressionist.report import ExplainedSample, build_sample_page
from expressionist.tracking import (
    ANSWERS_FILE,
    FOOTPRINT_FILE,
    Loaded,
    Version,
    find_profile,
    load_model,
    make_explainer,
    predict,
    prepare_table,
    state_scope,
    tabulate_genes,
)

# Genes for and against the type, and the same for its rival.
_N_GENES, _N_RIVAL = 10, 6


@dataclass(frozen=True)
class SampleRequest(TableRequest):
    """Which sample of which file a version is to explain, and how the file is read: as for `predict`.

    The `rival` is the type that the one predicted is set against: the second most probable if not given.
    """

    sample: str
    rival: str | None


def write_sample_page(
    version: Version, request: SampleRequest, made: datetime, out: Path | None
) -> Iterator[str]:
    """Write the page of one sample, and say where it is.

    Parameters
    ----------
    version : Version
        From `find_model`.
    request : SampleRequest
        What to explain.
    made : datetime.datetime
        Stands on the page.
    out : pathlib.Path, optional
        The page; called like the sample, in the working folder, if not given.

    Yields
    ------
    str
        A line at a time.
    """
    footprint, answers = _read_beside(version)
    loaded = served, network, _ = load_model(version.folder)
    names = read_nomenclature(request.nomenclature)
    profiles = request.read(served, names)
    own = _take(profiles.table, request)
    prepared, counts, filled = prepare_table(served, own, find_profile(version.folder, request.align), names)
    prediction = predict(*loaded, prepared, once=True).assign(**counts).iloc[0]
    about = {
        "sample": request.sample,
        "table": request.table.name,
        "said": profiles.said,
        "align": request.align,
        "made": f"{made:%Y-%m-%d}",
        "model": version.title,
    }
    about["scope"] = state_scope(served, loaded[2])
    about["own"] = _state_own(footprint, request.sample)
    rival = _find_rival(request.rival, prediction, served.tumour_types)
    found = _explain(loaded, footprint, prediction, rival, prepared.to_numpy(np.float32), filled[0])
    page = build_sample_page(_describe(about, loaded, footprint, answers, prediction, found))
    out = out or name_page(request.sample)
    with write_whole(out) as whole:
        whole.write_text(page, encoding="utf-8")
    yield profiles.said
    yield f"Page: {out}"


def _state_own(footprint: Footprint, sample: str) -> str:
    """Say what the version already knows of this sample's patient, if that can be told."""
    if footprint.recognise([sample])[0]:
        return (
            "The version was trained or chosen on a sample of this patient, so that its answer is surer than "
            "it would be on others."
        )
    if footprint.tested is None:
        return "If this sample is one of them, its own answer is counted."
    if footprint.recognise_tested([sample])[0]:
        return "This patient is one of the version's test samples: the counts hold this answer, too."
    return ""


def name_page(sample: str) -> Path:
    """Name the page of a sample that is asked for without one: in the working folder, whatever it is called.

    >>> name_page("../../S1"), len(str(name_page("S" * 1000)))
    (PosixPath('.._.._S1.html'), 205)
    """
    letters = sample.replace("/", "_").encode()[:200]
    return Path(f"{letters.decode(errors='ignore')}.html")


def _read_beside(version: Version) -> tuple[Footprint, pd.DataFrame]:
    """Read what was registered beside the network to judge a sample by."""
    path = version.folder / FOOTPRINT_FILE
    footprint = Footprint(**read_arrays(path)) if path.is_file() else None
    answers = version.folder / ANSWERS_FILE
    if footprint is None or footprint.by_type is None or not answers.is_file():
        raise RegistryError(
            "A version must have its genes' quantiles by tumour type and its answers on test samples to put "
            f"a sample on a page, but {version.title} was made without. Run the pipeline again, so that a "
            "new one is made."
        )
    return footprint, read_table(answers)


def _take(table: pd.DataFrame, request: SampleRequest) -> pd.DataFrame:
    rows = table[table.index.astype(str) == request.sample]
    if rows.empty:
        raise RegistryError(
            f"{request.table.name} must have the sample {request.sample!r}, but has "
            f"{name_some(table.index)}. Name one of its samples."
        )
    return rows.head(1)


def _find_rival(asked: str | None, prediction: pd.Series, tumour_types: Sequence[str]) -> str:
    """Find the type that the one predicted is set against."""
    others = [name for name in tumour_types if name != prediction["tumour_type"]]
    if asked is None:
        return max(others, key=lambda name: float(prediction[f"p_{name}"]))
    if asked not in others:
        raise RegistryError(
            f"The rival must be a type of the model that is not predicted, but got {asked!r}. Choose one of "
            f"{name_some(others)}."
        )
    return asked


def _explain(
    loaded: Loaded,
    footprint: Footprint,
    prediction: pd.Series,
    rival: str,
    expression: np.ndarray,
    filled: np.ndarray,
) -> dict[str, Any]:
    """Explain the type predicted, and what speaks for it rather than for its rival, from whose mean."""
    served, explainer = loaded[0], make_explainer(loaded)
    first, second = (served.tumour_types.index(name) for name in (prediction["tumour_type"], rival))
    log2 = to_log2(expression, served.unit)
    means = np.where(np.isfinite(footprint.means), footprint.means, explainer.reference)
    found = explainer.explain(log2, np.array([first]))
    apart = explainer.explain(log2, np.array([[first, second]]), means[second])
    tables = [
        tabulate_genes(served, each.values[0], expression[0], filled, n_top=n_top)
        for each, n_top in ((found, _N_GENES), (apart, _N_RIVAL))
    ]
    return {
        "log2": log2[0],
        "scaled": explainer.scale(np.stack([log2[0], means[first]])),
        "values": found.values[0],
        "genes": tables[0],
        "gap": float(found.gap[0]),
        "rival": rival,
        "rival_genes": tables[1],
        "rival_gap": float(apart.gap[0]),
        "rise": float(apart.rise[0]),
    }


def _describe(
    about: dict[str, Any],
    loaded: Loaded,
    footprint: Footprint,
    answers: pd.DataFrame,
    prediction: pd.Series,
    found: dict[str, Any],
) -> ExplainedSample:
    """Put together what the page shows."""
    served, network, _ = loaded
    paint, ids = network.get_layer("paint"), served.genes.index.to_numpy(dtype=str)
    facts = {
        **about,
        "backbone": served.about["backbone"],
        "merged": served.about.get("merged", {}),
        **{name: getattr(served, name) for name in ("cohort", "unit", "abstain_below")},
    }
    return ExplainedSample(
        about=facts,
        tumour_types=served.tumour_types,
        gene_table=served.genes,
        layout=Layout(ids, paint.pixel.numpy(), paint.shape, "registered"),
        footprint=footprint,
        answers=answers,
        prediction=prediction,
        synthetic=served.synthetic,
        random_weights=served.weights == "RANDOM",
        **found,
    )
