"""The folder of a layout: what was fitted on training rows before painting."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import Scale
from expressionist.files import read_json, read_table, write_json, write_table, write_whole
from expressionist.painting.layout import Layout


def write_layout(
    folder: Path, layout: Layout, scale: Scale, genes: pd.DataFrame, about: Mapping[str, Any]
) -> None:
    """Write what was fitted on training rows before painting into a folder, replaced as a whole.

    `genes.tsv` is the cohort's gene table for these genes, in the order of the layout, with scale and pixel;
    `layout.json` says the rest `about` it, such as the unit of the expression.
    """
    table = genes.assign(
        low=scale.low, span=scale.span, pixel=layout.pixel, row=layout.row, column=layout.column
    )
    with write_whole(folder) as partial:
        partial.mkdir()
        write_table(partial / "genes.tsv", table.rename_axis("gene"))
        write_json(partial / "layout.json", {"method": layout.method, "shape": layout.shape, **about})


def read_layout(folder: Path) -> tuple[Layout, Scale, pd.DataFrame, dict[str, Any]]:
    """Read what `write_layout` wrote: layout, scale, gene table and the rest."""
    genes = read_table(folder / "genes.tsv", index="gene")
    about = read_json(folder / "layout.json")
    pixel, (height, width) = genes["pixel"].to_numpy(np.intp), about["shape"]
    layout = Layout(genes.index.to_numpy(dtype=str), pixel, (height, width), about["method"])
    scale = Scale(low=genes["low"].to_numpy(np.float32), span=genes["span"].to_numpy(np.float32))
    return layout, scale, genes, about
