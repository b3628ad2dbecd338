"""Colours that any eye tells apart, and what else all figures share."""

from typing import Any

DPI = 120
# Figure pixels that stay free at the lower edge of figures placed by hand, for `stamp`.
STRIP = 18
DASHES = (0, (4, 3))

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): told apart with any colour vision.
# Its purple is darkened here, to stand out on white.
BLUE, VERMILION, GREEN, AMBER = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE = "#56B4E9", "#AA5D8F"
QUALITATIVE = (BLUE, VERMILION, GREEN, AMBER, PURPLE, SKY)
# Paul Tol's muted scheme (https://personal.sron.nl/~pault/): nine areas side by side, likewise.
MUTED = (
    "#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255", "#999933", "#AA4499"
)  # fmt: skip
# Rankings of genes look the same in every figure, colour and line: the network's blue, its branches purple,
# its controls vermilion, and what needs no network green and amber.
LOOKS: dict[str, tuple[str, Any]] = {
    "integrated_gradients": (BLUE, "-"),
    "test_samples": (BLUE, DASHES),
    "maps": (PURPLE, "-"),
    "genes": (PURPLE, DASHES),
    "ranks": (PURPLE, ":"),
    "random_weights": (VERMILION, "-"),
    "shuffled_types": (VERMILION, ":"),
    "fold_change": (GREEN, "-"),
    "t_statistic": (GREEN, ":"),
    "logistic_regression": (AMBER, "-"),
}
INK, QUIET, RULE = "#1f2a33", "#66737d", "#dde3e8"
STAMP = "#9a5200"
# A grey that neither of the two colour maps of images contains: no gene is painted there.
PADDING = "#b4bbc2"
