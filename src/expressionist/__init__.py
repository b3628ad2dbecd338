"""Expressionist reads a tumour's type off its RNA-Seq profile by painting the profile as a picture."""

__version__ = "0.1.0"
