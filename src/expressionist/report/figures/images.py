"""Figures of the images themselves: the mean image of every tumour type, and what lies where."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from expressionist.report.figures.drawing import (
    BLUE,
    INK,
    MUTED,
    PADDING,
    QUALITATIVE,
    VERMILION,
    Sheet,
    add_key,
    colour_map,
    find_spread,
    hide_padding,
    new_figure,
    tidy,
)

_GENE, _OTHER = "#eceff2", "#97a3ad"


def draw_preview(means: np.ndarray, tumour_types: Sequence[str], crowding: np.ndarray) -> Figure:
    """Draw one mean image per tumour type on one colour scale.

    Parameters
    ----------
    means : numpy.ndarray of shape (n_types, height, width)
        Mean scaled expression, 0 to 1.
    tumour_types : sequence of str of length n_types
        Titles, in the order in which they are shown.
    crowding : numpy.ndarray of shape (height, width)
        Genes per pixel; where it is 0 the pixel is grey, so that padding is not taken for expression 0.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet.
    """
    sheet = Sheet(len(means), crowding.shape)
    colours = colour_map("magma")
    for cell, (tumour_type, mean) in enumerate(zip(tumour_types, hide_padding(means, crowding), strict=True)):
        sheet.place(cell, mean, tumour_type, cmap=colours, vmin=0, vmax=1)
    sheet.add_scale(colours, 0, 1, "mean scaled expression")
    if (crowding == 0).any():
        sheet.add_keys([PADDING], ["no gene"])
    return sheet.figure


def draw_differences(
    differences: np.ndarray, pairs: Sequence[tuple[str, str]], crowding: np.ndarray
) -> Figure:
    """Draw how the mean images of two tumour types differ, pair by pair on one colour scale.

    Parameters
    ----------
    differences : numpy.ndarray of shape (n_pairs, height, width)
        Mean scaled expression of the first type less that of the second, -1 to 1.
    pairs : sequence of tuple of str of length n_pairs
        The two types, for the titles.
    crowding : numpy.ndarray of shape (height, width)
        Genes per pixel; grey where it is 0, so that padding is not taken for no difference.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet; red where the first type is higher. The scale ends at the 99.5th percentile of all.
    """
    shown = hide_padding(differences, crowding)
    spread = find_spread(shown)
    sheet = Sheet(len(pairs), crowding.shape, cell=300, n_columns=min(3, len(pairs)))
    colours = colour_map("RdBu_r")
    for cell, ((first, second), difference) in enumerate(zip(pairs, shown, strict=True)):
        title = f"{first} \N{MINUS SIGN} {second}"
        sheet.place(cell, difference, title, cmap=colours, vmin=-spread, vmax=spread)
    sheet.add_scale(colours, -spread, spread, "difference of means")
    if (crowding == 0).any():
        sheet.add_keys([PADDING], ["no gene"])
    return sheet.figure


def draw_chromosomes(pixel: np.ndarray, chromosomes: np.ndarray, shape: tuple[int, int]) -> Figure:
    """Draw which chromosome the genes of every pixel come from.

    Parameters
    ----------
    pixel : numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene.
    chromosomes : numpy.ndarray of shape (n_genes,)
        Name of each gene's chromosome; empty or NaN where it is not known.
    shape : tuple of int
        (height, width) in pixels.

    Returns
    -------
    matplotlib.figure.Figure
        The map, with one key per chromosome in natural order.
    """
    names = np.array(["" if name != name or name is None else str(name) for name in chromosomes])
    order = sorted(set(names) - {""}, key=_natural)
    keys = {"": _GENE} | dict(zip(order, _shade(len(order)), strict=True))
    return _draw_groups(pixel, names, keys, shape, "Chromosome", "not known")


def draw_clusters(pixel: np.ndarray, clusters: np.ndarray, shape: tuple[int, int]) -> Figure:
    """Draw which cluster of co-expressed genes the genes of every pixel belong to.

    Parameters
    ----------
    pixel : numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene.
    clusters : numpy.ndarray of shape (n_genes,)
        Number of each gene's cluster, from 1; 0 for genes that are constant, and so in none.
    shape : tuple of int
        (height, width) in pixels.

    Returns
    -------
    matplotlib.figure.Figure
        The map, with one key per cluster.
    """
    sizes = np.bincount(clusters)
    names = np.array(["", *(f"{number}  ({size:,} genes)" for number, size in enumerate(sizes[1:], start=1))])
    keys = {"": _GENE} | {name: MUTED[number % len(MUTED)] for number, name in enumerate(names[1:])}
    return _draw_groups(pixel, names[clusters], keys, shape, "Cluster of co-expressed genes", "constant")


def _draw_groups(
    pixel: np.ndarray,
    names: np.ndarray,
    colour_of: Mapping[str, str],
    shape: tuple[int, int],
    title: str,
    nameless: str,
) -> Figure:
    """Draw the group of every pixel's gene; genes without a name belong to none."""
    canvas = np.full(shape[0] * shape[1], np.nan)
    positions = {name: number for number, name in enumerate(colour_of)}
    canvas[pixel] = [positions[name] for name in names]
    colours = ListedColormap(list(colour_of.values()), name="groups").with_extremes(bad=PADDING)
    figure = new_figure(7.6, 5.6)
    axes = figure.add_subplot()
    axes.imshow(
        np.ma.masked_invalid(canvas.reshape(shape)),
        cmap=colours,
        vmin=-0.5,
        vmax=len(colour_of) - 0.5,
        interpolation="nearest",
    )
    tidy(axes, grid="", title=title, x="column (pixel)", y="row (pixel)")
    keys = [(colour, name) for name, colour in colour_of.items() if name]
    keys += [(colour_of[""], nameless)] * bool("" in names)
    keys += [(PADDING, "no gene")] * bool(np.isnan(canvas).any())
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour, _ in keys]
    add_key(
        axes,
        handles=handles,
        labels=[label for _, label in keys],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        ncols=1 + (len(keys) > 14),
        borderaxespad=0,
    )
    return figure


def _natural(name: str) -> tuple[int, int, str]:
    plain = name.lower().removeprefix("chr")
    return (0, int(plain), "") if plain.isdigit() else (1, 0, plain)


def _shade(n_colours: int) -> list[str]:
    # Neighbouring chromosomes take neighbouring hues of the palette; each further round through it is
    # paler, so that hue and lightness together name a chromosome.
    rounds = -(-n_colours // len(QUALITATIVE))
    return [
        _mix(QUALITATIVE[number % len(QUALITATIVE)], 0.6 * (number // len(QUALITATIVE)) / max(rounds - 1, 1))
        for number in range(n_colours)
    ]


def _mix(colour: str, white: float) -> str:
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)


def draw_markers(
    pixel: np.ndarray, marker_of: np.ndarray, tumour_types: Sequence[str], shape: tuple[int, int]
) -> Figure:
    """Draw where the marker genes of every tumour type lie, one small map per type.

    Parameters
    ----------
    pixel : numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene.
    marker_of : numpy.ndarray of shape (n_genes,)
        Tumour types that the gene is a marker of, comma separated; empty or NaN where it is none.
    tumour_types : sequence of str
        Types to show, in this order.
    shape : tuple of int
        (height, width) in pixels.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet; a type's own markers are large dots, those of the other types small ones.
    """
    listed = [
        set() if of != of or of is None else set(str(of).replace(" ", "").split(",")) for of in marker_of
    ]
    crowding = np.bincount(pixel, minlength=shape[0] * shape[1]).reshape(shape)
    ground = hide_padding(np.zeros(shape), crowding)
    colours = ListedColormap([_GENE], name="ground").with_extremes(bad=PADDING)
    marked = np.array([bool(of - {""}) for of in listed])
    sheet = Sheet(len(tumour_types), shape, cell=170)
    for cell, tumour_type in enumerate(tumour_types):
        own = np.array([tumour_type in of for of in listed])
        axes = sheet.place(cell, ground, f"{tumour_type}  {own.sum()}", cmap=colours).axes
        for chosen, size, colour in ((marked & ~own, 4, _OTHER), (own, 46, VERMILION)):
            axes.scatter(
                pixel[chosen] % shape[1], pixel[chosen] // shape[1], s=size, color=colour, linewidths=0
            )
    sheet.add_keys([VERMILION, _OTHER], ["marker of the type", "marker of another type"])
    return sheet.figure


def draw_crowding(crowding: np.ndarray) -> Figure:
    """Draw how many pixels hold how many genes.

    Parameters
    ----------
    crowding : numpy.ndarray of shape (height, width)
        Genes per pixel.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per number of genes.
    """
    n_pixels = np.bincount(crowding.ravel())
    figure = new_figure(6.4, 2.2)
    axes = tidy(figure.add_subplot(), x="genes on the pixel", y="pixels")
    colours = [PADDING] + [BLUE] * (len(n_pixels) - 1)
    bars = axes.bar(np.arange(len(n_pixels)), n_pixels, color=colours, width=0.7)
    axes.bar_label(bars, labels=[f"{count:,}" for count in n_pixels], fontsize=8.5, color=INK, padding=2)
    axes.set_xticks(np.arange(len(n_pixels)))
    axes.margins(y=0.15)
    return figure
