"""Marks: what every figure of a run must say wherever it is copied to."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.figure import Figure

from expressionist.report.content import Picture
from expressionist.report.figures import stamp


@dataclass(frozen=True)
class Marks:
    """Where a run's numbers come from, if not from patients and pretrained networks.

    Parameters
    ----------
    synthetic : bool
        Whether the cohort was simulated.
    random_weights : frozenset of str
        Backbones that started from random weights.
    """

    synthetic: bool = False
    random_weights: frozenset[str] = frozenset()

    def show(self, figure: Figure, alt: str, caption: str = "", *, backbones: Iterable[str] = ()) -> Picture:
        """Stamp a figure and turn it into a picture of the page.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            Changed in place.
        alt, caption : str
            What it shows, and how to read it.
        backbones : iterable of str
            Networks whose results are in it.
        """
        random = not self.random_weights.isdisjoint(backbones)
        return Picture(stamp(figure, synthetic=self.synthetic, random_weights=random), alt, caption)
