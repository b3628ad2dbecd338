"""Figures of a cohort's quality: what was kept, what was missing, library sizes, principal components."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expressionist.report.figures.drawing import (
    BLUE,
    INK,
    QUALITATIVE,
    QUIET,
    RULE,
    VERMILION,
    add_key,
    name_bars,
    new_figure,
    tidy,
    write_above,
)

_WIDTH = 8.6
# More groups than there are colours are named in the plot itself, unless the names would cover it.
_MOST_KEYS, _MOST_NAMES = len(QUALITATIVE), 40


def draw_kept(read: Mapping[str, int], kept: Mapping[str, int]) -> Figure:
    """Draw the number of samples per tumour type before and after the rules.

    Parameters
    ----------
    read, kept : mapping of str to int
        Tumour type → number of samples.

    Returns
    -------
    matplotlib.figure.Figure
        Two bars per type, the larger behind; largest type first.
    """
    names = sorted(read, key=lambda name: (-read[name], name))
    figure = new_figure(_WIDTH, 3.1)
    axes = tidy(figure.add_subplot(), y="samples")
    places = np.arange(len(names))
    axes.bar(places, [read[name] for name in names], width=0.74, color=RULE, label="read")
    axes.bar(places, [kept.get(name, 0) for name in names], width=0.74, color=BLUE, label="kept")
    for place, name in enumerate(names):
        write_above(axes, place, read[name], str(kept.get(name, 0)))
    name_bars(axes, names)
    add_key(axes, loc="upper right")
    return figure


def draw_missing(by_type: Mapping[str, int], n_genes: int) -> Figure:
    """Draw how many genes have no value in some sample of each tumour type.

    Parameters
    ----------
    by_type : mapping of str to int
        Tumour type → number of genes; types that lack none as 0.
    n_genes : int
        Number of genes read.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per type, most first.
    """
    names = sorted(by_type, key=lambda name: (-by_type[name], name))
    figure = new_figure(_WIDTH, 2.9)
    axes = tidy(figure.add_subplot(), y=f"genes of {n_genes:,} missing")
    axes.bar(range(len(names)), [by_type[name] for name in names], width=0.74, color=VERMILION)
    for place, name in enumerate(names):
        write_above(axes, place, by_type[name], str(by_type[name]))
    name_bars(axes, names)
    return figure


def draw_library_sizes(sizes: np.ndarray, types: np.ndarray, unit: str) -> Figure:
    """Draw the sum of expression of every sample, by tumour type.

    Parameters
    ----------
    sizes : numpy.ndarray of shape (n_samples,)
        Sums, above 0.
    types : numpy.ndarray of shape (n_samples,)
        Tumour types, as text.
    unit : str
        Unit of the sums.

    Returns
    -------
    matplotlib.figure.Figure
        A box per type in alphabetical order: quartiles, and whiskers from the 5th to the 95th percentile.
    """
    names = sorted(set(types.tolist()))
    figure = new_figure(_WIDTH, 3.1)
    axes = tidy(figure.add_subplot(), y=f"sum over genes ({unit})")
    axes.boxplot(
        [sizes[types == name] for name in names],
        positions=range(len(names)),
        widths=0.6,
        whis=(5, 95),
        patch_artist=True,
        boxprops={"facecolor": RULE, "edgecolor": QUIET},
        medianprops={"color": BLUE, "linewidth": 1.6},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
        flierprops={"marker": ".", "markersize": 2.5, "markerfacecolor": QUIET, "markeredgecolor": "none"},
    )
    axes.set_yscale("log")
    name_bars(axes, names)
    return figure


def draw_components(
    points: np.ndarray, shares: Sequence[float], groupings: Mapping[str, np.ndarray]
) -> Figure:
    """Draw samples on their first two principal components, once per way of grouping them.

    Parameters
    ----------
    points : numpy.ndarray of shape (n_samples, 2 or more)
        Coordinates.
    shares : sequence of float
        Share of variance of each component.
    groupings : mapping of str to numpy.ndarray of shape (n_samples,)
        Title → group of each sample, as text.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per grouping. Few groups have a key, more are named at their medians, very many not at all.
    """
    n_panels = len(groupings)
    figure = new_figure(_WIDTH, 4.6 * n_panels)
    for number, (title, groups) in enumerate(groupings.items(), start=1):
        axes = tidy(
            figure.add_subplot(n_panels, 1, number),
            grid="",
            title=title,
            x=f"component 1 ({shares[0]:.0%} of variance)",
            y=f"component 2 ({shares[1]:.0%})",
        )
        _scatter(axes, points, groups)
    return figure


def _scatter(axes: Axes, points: np.ndarray, groups: np.ndarray) -> None:
    # Small groups last, so that large ones do not cover them.
    names = [name for name, _ in Counter(groups.tolist()).most_common()]
    for place, name in enumerate(names):
        mine = points[groups == name]
        colour = QUALITATIVE[place % len(QUALITATIVE)]
        axes.scatter(mine[:, 0], mine[:, 1], s=5, color=colour, alpha=0.55, linewidths=0, label=name)
    if len(names) <= _MOST_KEYS:
        add_key(axes, loc="best", markerscale=2.5)
    for name in names if _MOST_KEYS < len(names) <= _MOST_NAMES else ():
        across, up = np.median(points[groups == name, :2], axis=0)
        axes.annotate(
            name,
            (across, up),
            ha="center",
            va="center",
            fontsize=7.5,
            color=INK,
            fontweight="bold",
            parse_math=False,
            bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8},
        )
