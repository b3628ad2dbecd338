"""Names of every kind, on every page: text, in the table and in the figure, and nothing else."""

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.report.test_page import Outline
from tests.report.test_quality_page import QUALITY
from tests.report.test_sample_page import N_GENES, explain
from tests.report.test_validation_page import TYPES, finish
from tests.toy import make_cohort

from expressionist.report.figures.drawing import add_key, cut, new_axes
from expressionist.report.quality_page import build_quality_page
from expressionist.report.sample_page import build_sample_page
from expressionist.report.validation_page import build_validation_page
from hostile_names import KEPT

# Each holds a fifth of them: a page takes seconds to draw.
JOINED = [" ".join(KEPT[place::5]) for place in range(5)]


def show_quality(names) -> str:
    cohort = make_cohort()
    types = cohort.samples["tumour_type"]
    renamed = types.map(dict(zip(sorted(types.unique()), names, strict=False)))
    plates = np.resize(names, len(types))
    samples = cohort.samples.assign(tumour_type=renamed, patient=cohort.samples.index, plate=plates)
    counts = dict.fromkeys(renamed.unique(), 20)
    quality = QUALITY | {
        "types": {"read": counts, "kept": counts},
        "genes": {"read": 40, "kept": 40, "rules": []},
    }
    return build_quality_page(replace(cohort, name=names[0], samples=samples), quality)


def show_validation(names) -> str:
    found = finish([*TYPES, *names], cohort=names[0], said=list(names), warnings=list(names))
    genes = np.resize(names, len(found.shift))
    return build_validation_page(replace(found, shift=found.shift.assign(gene=genes, symbol=genes)))


def show_sample(names) -> str:
    told, types = explain(), tuple(names[:3])
    genes = np.resize(names, N_GENES)
    chances = {f"p_{name}": 0.3 for name in types}
    prediction = pd.Series({**told.prediction, "tumour_type": types[0], **chances})
    listed = [
        table.assign(gene=np.resize(names, len(table)), symbol=np.resize(names, len(table)))
        for table in (told.genes, told.rival_genes)
    ]
    about = told.about | {name: names[0] for name in ("sample", "table", "said", "cohort")}
    return build_sample_page(
        replace(
            told,
            about=about,
            tumour_types=types,
            prediction=prediction,
            rival=types[1],
            genes=listed[0],
            rival_genes=listed[1],
            gene_table=pd.DataFrame({"symbol": genes}, index=told.gene_table.index),
            answers=told.answers.assign(predicted=np.resize(types, len(told.answers))),
        )
    )


def list_markup(page: str) -> tuple[set[str], set[str]]:
    """List the tags of a page, and the names of their attributes."""
    outline = Outline(page)
    assert (outline.open, outline.unbalanced) == ([], [])
    return {tag for tag, _ in outline.tags}, {name for _, attributes in outline.tags for name in attributes}


@pytest.mark.parametrize("show", [show_quality, show_validation, show_sample])
def test_no_name_becomes_markup(show) -> None:
    page = show(JOINED)
    for found, expected in zip(list_markup(page), list_markup(show(list("ABCDE"))), strict=True):
        assert found <= expected
    hrefs = re.findall(r'href="([^"]*)"', page)
    assert all(href.startswith(("#", "data:", "https://www.")) for href in hrefs)


def test_a_legend_shows_every_name_and_computes_none() -> None:
    figure, axes = new_axes(12, 20)
    handles = [axes.scatter([0], [0]) for _ in KEPT]
    add_key(axes, handles=handles, labels=KEPT)
    figure.savefig(io.BytesIO())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == cut(KEPT)
