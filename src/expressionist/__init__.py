"""Expressionist reads a tumour's type off its RNA-Seq profile by painting the profile as a picture."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

__version__ = "0.2.0"

if TYPE_CHECKING:
    from expressionist.painting.imager import ExpressionImager
else:
    __getattr__ = lend(__name__, __file__)
