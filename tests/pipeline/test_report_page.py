"""The report in a real browser: no errors, pictures drawn, nothing too wide, tables that sort."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from expressionist.report.content import Part, Picture, ReportContent, Table, TypePart, Verdict
from expressionist.report.figures.attributions import draw_attribution
from expressionist.report.figures.images import draw_preview
from expressionist.report.figures.scores import draw_forest
from expressionist.report.page import build_page

WIDTHS = (1280, 400)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary on this machine")

# The page lets no foreign script run: it is opened in frames of several widths, and their parent measures it.
MEASURE = """
const measure = (frame) => {
  const page = frame.contentDocument, root = page.documentElement;
  const images = [...page.images];
  const button = page.querySelector("#comparison th.number button");
  const rows = () => [...page.querySelectorAll("#comparison tbody tr")];
  const read = () => rows().map((row) => row.cells[0].textContent);
  const orders = [read()];
  for (let click = 0; click < 2; click += 1) { if (button) button.click(); orders.push(read()); }
  const find = page.getElementById("find-gene");
  if (find) { find.value = "tyr"; find.dispatchEvent(new Event("input")); }
  const left = [...page.querySelectorAll("details.type:not([hidden]) summary")];
  return {
    width: root.clientWidth, content: root.scrollWidth, images: images.length,
    blank: images.filter((image) => !(image.complete && image.naturalWidth > 0)).map((image) => image.alt),
    missing_alt: images.filter((image) => !image.alt).length,
    orders, left: left.map((item) => item.textContent),
  };
};
addEventListener("load", () => {
  const seen = [...document.querySelectorAll("iframe")].map(measure);
  document.body.innerHTML = "<pre id=seen></pre>";
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
"""


def make_content() -> ReportContent:
    rng = np.random.default_rng(0)
    types = [f"T{number:02}" for number in range(12)]
    overlap = np.ones((20, 20), int)
    overlap[-1, 5:] = 0
    means = rng.random((len(types), 20, 20))
    rows = [("vgg19", "network", 0.9), ("linear_svm", "baseline", 0.7), ("resnet50", "network", 0.8)]
    scores = pd.DataFrame(rows, columns=["model", "kind", "f1_macro"])
    scores = scores.assign(f1_macro_low=scores["f1_macro"] - 0.05, f1_macro_high=scores["f1_macro"] + 0.05)
    preview = Picture(draw_preview(means, types, overlap), "Mean image of every tumour type", "Caption")
    image = Picture(draw_attribution(means[0], means[1] - 0.5, overlap, "T00"), "Attribution image")
    rows = [("TYR", 0.5, 7299), ("<script>alert(1)</script>", -0.1, 1)]
    genes = pd.DataFrame(rows, columns=["symbol", "attribution", "gene"])
    others = Part(tables=[Table(genes.iloc[1:])])
    return ReportContent(
        title="A made-up cohort",
        run=Part(facts={"git commit": "0123456789abcdef" * 4, "a name without any break" * 3: "x"}),
        synthetic=True,
        random_weights=["vgg19"],
        verdict=Verdict("vgg19 won.", {"Macro-F1": "0.900"}),
        images=Part(pictures=[preview]),
        comparison=Part(
            pictures=[Picture(draw_forest(scores, level=0.95), "Scores with intervals")],
            tables=[Table(scores.assign(**{f"n_{'x' * 20}_{n}": n for n in range(8)}), best=0)],
        ),
        rankings=Part(["Made up."]),
        types=[
            TypePart("T00", "TYR", Part(pictures=[image], tables=[Table(genes)])),
            TypePart("T01", part=others),
        ],
    )


def open_in_browser(path: Path, page: str) -> tuple[str, list[str]]:
    """Write and open a page; return its content after loading and what was written to the console."""
    path.write_text(page, encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-logging=stderr".split()
    options += [f"--user-data-dir={path.parent / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
    command = [str(CHROMIUM), *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measure(path: Path, page: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Open a page in frames of several widths; return what is seen in each, and the console."""
    frame = f'<iframe width="{{}}" height="900" srcdoc="{html.escape(page)}"></iframe>'
    frames = "".join(frame.replace("{}", str(width), 1) for width in WIDTHS)
    wrapped = f"<!doctype html><meta charset=utf-8><body>{frames}<script>{MEASURE}</script>"
    content, console = open_in_browser(path, wrapped)
    found = re.search(r'<pre id="seen">(.*?)</pre>', content, re.DOTALL)
    assert found, content[-2000:]
    return json.loads(html.unescape(found.group(1))), console


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    seen, console = measure(tmp_path_factory.mktemp("report") / "report.html", build_page(make_content()))
    assert console == [], "nothing is said while the page is used"
    return seen


def test_the_page_opens_by_itself_without_a_word_on_the_console(tmp_path: Path) -> None:
    content, console = open_in_browser(tmp_path / "report.html", build_page(make_content()))
    assert console == []
    assert "A made-up cohort" in content


def test_an_error_would_be_heard(tmp_path: Path) -> None:
    broken = build_page(make_content()).replace('"use strict";', '"use strict"; missing();')
    _, console = open_in_browser(tmp_path / "broken.html", broken)
    # The page's own policy refuses the changed script.
    assert any("Content Security Policy" in line for line in console)


def test_every_picture_is_drawn(opened: list[dict[str, Any]]) -> None:
    for seen in opened:
        assert (seen["images"], seen["blank"], seen["missing_alt"]) == (3, [], 0)


def test_nothing_is_wider_than_the_window(opened: list[dict[str, Any]]) -> None:
    for seen, width in zip(opened, WIDTHS, strict=True):
        assert width - 20 <= seen["width"] <= width
        assert seen["content"] <= seen["width"]


def test_tables_sort_by_number_both_ways(opened: list[dict[str, Any]]) -> None:
    best_first = ["vgg19", "resnet50", "linear_svm"]
    for seen in opened:
        assert seen["orders"] == [["vgg19", "linear_svm", "resnet50"], best_first, best_first[::-1]]


def test_a_gene_is_found_among_the_types(opened: list[dict[str, Any]]) -> None:
    for seen in opened:
        assert seen["left"] == ["T00TYR"]


def test_a_drawn_picture_is_told_from_a_blank_one(tmp_path: Path) -> None:
    page = '<img alt="broken" src="data:image/png;base64,AAAA"><p style="width: 3000px">wide'
    for seen in measure(tmp_path / "blank.html", page)[0]:
        assert seen["blank"] == ["broken"]
        assert seen["content"] > seen["width"]
