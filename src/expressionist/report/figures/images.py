"""Figures of the images themselves: the mean image of every tumour type, and what lies where."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from expressionist.report.figures.drawing import add_key, cut, new_axes
from expressionist.report.figures.sheet import Sheet, colour_map, find_spread, hide_padding
from expressionist.report.figures.style import BLUE, INK, MUTED, PADDING, QUALITATIVE, VERMILION

_GENE, _OTHER = "#eceff2", "#97a3ad"


def draw_preview(means: np.ndarray, tumour_types: Sequence[str], overlap: np.ndarray) -> Figure:
    """Draw one mean image per tumour type on one colour scale.

    Parameters
    ----------
    means : numpy.ndarray of shape (n_types, height, width)
        Mean scaled expression, 0 to 1.
    tumour_types : sequence of str of length n_types
        Titles, in the order in which they are shown.
    overlap : numpy.ndarray of shape (height, width)
        Genes per pixel; where it is 0 the pixel is grey, so that padding is not taken for expression 0.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet.
    """
    shown = hide_padding(means, overlap)
    sheet = Sheet(len(means), overlap.shape)
    return _fill(sheet, shown, tumour_types, colour_map("magma"), (0, 1), "mean scaled expression")


def draw_differences(
    differences: np.ndarray, pairs: Sequence[tuple[str, str]], overlap: np.ndarray
) -> Figure:
    """Draw how the mean images of two tumour types differ, pair by pair on one colour scale.

    Parameters
    ----------
    differences : numpy.ndarray of shape (n_pairs, height, width)
        Mean scaled expression of the first type less that of the second, -1 to 1.
    pairs : sequence of tuple of str of length n_pairs
        The two types, for the titles.
    overlap : numpy.ndarray of shape (height, width)
        Genes per pixel; grey where it is 0, so that padding is not taken for no difference.

    Returns
    -------
    matplotlib.figure.Figure
        The sheet; red where the first type is higher. The scale ends at the 99.5th percentile of all.
    """
    shown = hide_padding(differences, overlap)
    spread = find_spread(shown)
    sheet = Sheet(len(pairs), overlap.shape, cell=300, n_columns=min(3, len(pairs)))
    titles = [_name_pair(pair, sheet.longest) for pair in pairs]
    return _fill(sheet, shown, titles, colour_map("RdBu_r"), (-spread, spread), "difference of means")


def _name_pair(pair: tuple[str, str], longest: int) -> str:
    """Write both names, each cut to half of the room where both together have none.

    >>> _name_pair(("ACC", "UVM"), 28), _name_pair(("adrenocortical carcinoma", "uveal melanoma"), 28)
    ('ACC − UVM', 'adrenocorti… − uveal melan…')
    """
    minus = " \N{MINUS SIGN} "
    whole = minus.join(pair)
    return whole if len(whole) <= longest else minus.join(cut(pair, (longest - len(minus)) // 2))


def _fill(
    sheet: Sheet,
    images: np.ma.MaskedArray,
    titles: Sequence[str],
    colours: Colormap,
    scale: tuple[float, float],
    label: str,
) -> Figure:
    """Show images on one colour scale, and say what grey means where there is padding."""
    for cell, (title, image) in enumerate(zip(titles, images, strict=True)):
        sheet.place(cell, image, title, cmap=colours, vmin=scale[0], vmax=scale[1])
    sheet.add_scale(colours, *scale, label)
    if np.ma.getmaskarray(images).any():
        sheet.add_keys({"no gene": PADDING})
    return sheet.figure


def draw_chromosomes(pixel: np.ndarray, chromosomes: np.ndarray, shape: tuple[int, int]) -> Figure:
    """Draw the chromosome of every gene (empty or NaN where not known) on its flat pixel index."""
    names = name_chromosomes(chromosomes)
    order = sorted(set(names) - {""}, key=_natural)
    keys = {"": _GENE} | dict(zip(order, _shade(len(order)), strict=True))
    return _draw_groups(pixel, names, keys, shape, "Chromosome", "not known")


def name_chromosomes(chromosomes: np.ndarray) -> np.ndarray:
    """Write chromosomes as one, whether they came as chr3 or 3; empty where not known (NaN, None).

    >>> name_chromosomes(np.array(["chr3", "3", "chrX", "MT", None], object)).tolist()
    ['3', '3', 'X', 'M', '']
    """
    known = ["" if name is None or name != name else str(name) for name in chromosomes]
    plain = [name.removeprefix("chr").removeprefix("Chr").upper() for name in known]
    return np.array(["M" if name == "MT" else name for name in plain])


def share_alike(pixel: np.ndarray, names: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    """Find which share of neighbouring pixels bears one name, and which would by chance; NaN without pairs.

    Pixels (flat, one gene's name each) whose name is empty do not take part; of genes that share a pixel the
    last one counts.
    """
    codes = np.full(shape[0] * shape[1], -1)
    codes[pixel] = np.where(names == "", -1, np.unique(names, return_inverse=True)[1])
    grid = codes.reshape(shape)
    pairs = np.concatenate(
        [
            np.stack([grid[:, 1:].ravel(), grid[:, :-1].ravel()]),
            np.stack([grid[1:].ravel(), grid[:-1].ravel()]),
        ],
        axis=1,
    )
    pairs = pairs[:, (pairs >= 0).all(axis=0)]
    counts = np.bincount(codes[codes >= 0])
    n = counts.sum()
    if not pairs.size or n < 2:
        return np.nan, np.nan
    return float((pairs[0] == pairs[1]).mean()), float((counts * (counts - 1)).sum() / (n * (n - 1)))


def draw_clusters(pixel: np.ndarray, clusters: np.ndarray, shape: tuple[int, int]) -> Figure:
    """Draw the cluster, from 1, of every gene on its flat pixel index; 0 for constant genes, in none."""
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
    shown = np.ma.masked_invalid(canvas.reshape(shape))
    colours = ListedColormap(list(colour_of.values()), name="groups").with_extremes(bad=PADDING)
    figure, axes = new_axes(7.6, 5.6, grid="", title=title, x="column (pixel)", y="row (pixel)")
    axes.imshow(shown, cmap=colours, vmin=-0.5, vmax=len(colour_of) - 0.5, interpolation="nearest")
    keys = [(name, colour) for name, colour in colour_of.items() if name]
    keys += [(nameless, colour_of[""])] * bool("" in names)
    keys += [("no gene", PADDING)] * bool(np.isnan(canvas).any())
    add_key(
        axes,
        handles=[Rectangle((0, 0), 1, 1, facecolor=colour) for _, colour in keys],
        labels=[label for label, _ in keys],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        ncols=1 + (len(keys) > 14),
        borderaxespad=0,
    )
    return figure


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdigit() else (1, 0, name)


def _shade(n_colours: int) -> list[str]:
    # Neighbouring chromosomes take neighbouring hues of the palette; each further round through it is
    # paler, so that hue and lightness together name a chromosome.
    n_hues = len(QUALITATIVE)
    last = max(-(-n_colours // n_hues) - 1, 1)
    return [_mix(QUALITATIVE[n % n_hues], 0.6 * (n // n_hues) / last) for n in range(n_colours)]


def _mix(colour: str, white: float) -> str:
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)


def draw_markers(
    pixel: np.ndarray, markers: Mapping[str, np.ndarray], tumour_types: Sequence[str], shape: tuple[int, int]
) -> Figure:
    """Draw where each type's `markers`, positions of genes, lie: large on its own map, small on others."""
    overlap = np.bincount(pixel, minlength=shape[0] * shape[1]).reshape(shape)
    ground = hide_padding(np.zeros(shape), overlap)
    colours = ListedColormap([_GENE], name="ground").with_extremes(bad=PADDING)
    every = np.unique(np.concatenate([np.empty(0, int), *markers.values()]))
    sheet = Sheet(len(tumour_types), shape)
    for cell, tumour_type in enumerate(tumour_types):
        own = markers.get(tumour_type, every[:0])
        axes = sheet.place(cell, ground, f"{tumour_type}  {len(own)}", cmap=colours).axes
        for chosen, size, colour in ((np.setdiff1d(every, own), 4, _OTHER), (own, 46, VERMILION)):
            rows, columns = np.divmod(pixel[chosen], shape[1])
            axes.scatter(columns, rows, s=size, color=colour, linewidths=0)
    sheet.add_keys({"marker of the type": VERMILION, "marker of another type": _OTHER})
    return sheet.figure


def draw_overlap(overlap: np.ndarray) -> Figure:
    """Draw how many pixels hold how many genes, a bar per number of genes."""
    n_pixels = np.bincount(overlap.ravel())
    places = np.arange(len(n_pixels))
    figure, axes = new_axes(6.4, 2.2, x="genes on the pixel", y="pixels")
    bars = axes.bar(places, n_pixels, color=[PADDING] + [BLUE] * (len(n_pixels) - 1), width=0.7)
    axes.bar_label(bars, labels=[f"{count:,}" for count in n_pixels], fontsize=8.5, color=INK, padding=2)
    axes.set_xticks(places)
    axes.margins(y=0.15)
    return figure
