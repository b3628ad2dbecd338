"""Figures: arrays and tables in, a `matplotlib.figure.Figure` of its own out; no pyplot, files or screens."""
