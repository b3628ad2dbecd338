"""A figure on disk: the same drawing is the same file."""

from pathlib import Path

import matplotlib.pyplot as plt

from expressionist.report.figures.drawing import write_figure


def test_the_same_figure_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        figure, axes = plt.subplots()
        axes.plot([0, 1])
        write_figure(tmp_path / name, figure)
        plt.close(figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
