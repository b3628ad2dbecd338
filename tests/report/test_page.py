"""The page escapes every name, refers to nothing outside itself, and says loudly what the numbers are not."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from expressionist.report.content import Part, Picture, ReportContent, Table, TypePart, Verdict
from expressionist.report.figures import PADDING
from expressionist.report.page import build_report
from expressionist.report.pictures import embed_png
from expressionist.report.tables import format_value, lay_out_table, rank_confusions

EVIL = "<script>alert(1)</script>\"'&"


class Outline(HTMLParser):
    """Every tag with its attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.unbalanced.append(tag)


def make_png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture
def picture() -> Picture:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    return Picture(figure, EVIL, EVIL)


@pytest.fixture
def evil(picture: Picture) -> ReportContent:
    table = Table(
        pd.DataFrame({"symbol": [EVIL], EVIL: [1.0]}, index=["a"]),
        title=EVIL,
        caption=EVIL,
        best="a",
        headings={EVIL: EVIL},
    )
    part = Part([EVIL], {EVIL: EVIL}, [picture], [table, Table(table.rows, EVIL, folded=True)])
    return ReportContent(
        title=EVIL,
        run=part,
        synthetic=True,
        random_weights=[EVIL],
        verdict=Verdict(EVIL, {EVIL: EVIL}, part),
        cohort=part,
        images=part,
        comparison=part,
        search=part,
        errors=part,
        training=part,
        attributions=part,
        types=[TypePart(EVIL, EVIL, part)],
        cross_check=part,
        limits=[EVIL],
    )


def test_every_name_is_escaped(evil: ReportContent) -> None:
    page = build_report(evil)
    outline = Outline(page)
    assert "<script>alert" not in page
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 50
    assert not any("alert" in name for _, attributes in outline.tags for name in attributes)


def test_the_page_is_well_formed(evil: ReportContent) -> None:
    outline = Outline(build_report(evil))
    assert (outline.open, outline.unbalanced) == ([], [])
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in outline.tags if tag == "a"}
    assert links <= {f"#{name}" for name in names}


def test_nothing_outside_is_referred_to(evil: ReportContent) -> None:
    page = build_report(evil)
    for _, attributes in Outline(page).tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?\s*(?:https?:)?//", page)
    assert not re.search(r"@import|url\(", page)


def test_only_the_pages_own_script_may_run(evil: ReportContent) -> None:
    page = build_report(evil)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [
        tag["content"] for _, tag in Outline(page).tags if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    assert f"script-src 'sha256-{digest}'" in str(policy)
    assert "default-src 'none'" in str(policy)


@pytest.mark.parametrize(
    ("flags", "word"), [({"synthetic": True}, "SYNTHETIC"), ({"random_weights": ["vgg19"]}, "RANDOM WEIGHTS")]
)
def test_banners_stand_above_everything_and_only_when_due(flags: dict[str, object], word: str) -> None:
    plain = build_report(ReportContent("t", Part()))
    marked = build_report(ReportContent("t", Part(), **flags))
    assert word not in plain
    assert marked.index(f"<strong>{word}</strong>") < marked.index("<section")


def test_a_missing_section_is_missing_from_the_navigation_too() -> None:
    page = build_report(ReportContent("t", Part(), training=Part(["curves"])))
    ids = re.findall(r'<section id="([^"]+)"', page)
    assert ids == ["run", "training", "limits"]
    assert re.findall(r'<li><a href="#([^"]+)"', page) == ids


def test_limits_are_always_stated() -> None:
    assert "not a diagnostic" in build_report(ReportContent("t", Part()))


def test_the_same_content_gives_the_same_page(evil: ReportContent) -> None:
    assert build_report(evil) == build_report(evil)


def test_every_picture_has_its_alt_text_and_size(evil: ReportContent) -> None:
    images = [attributes for tag, attributes in Outline(build_report(evil)).tags if tag == "img"]
    assert len(images) == 11
    assert {(image["alt"], image["width"], image["height"]) for image in images} == {(EVIL, "100", "100")}


def test_the_best_row_is_marked() -> None:
    page = build_report(ReportContent("t", Part(tables=[Table(pd.DataFrame({"model": ["a", "b"]}), best=1)])))
    assert re.findall(r'<tr class="best"><td>(\w)</td>', page) == ["b"]


def test_standard_deviations_stand_with_their_value() -> None:
    scores = pd.DataFrame({"accuracy_lead": [-0.25], "accuracy_lead_sd": [0.125]})
    laid_out = lay_out_table(Table(scores, formats={"accuracy_lead": "+.2f"}))
    assert laid_out.headings == [("Accuracy lead", True)]
    assert [(cell.text, cell.aside) for cell in laid_out.rows[0][1]] == [("\u22120.25", "± 0.12")]


def test_intervals_stand_with_their_value_and_missing_values_as_a_dash() -> None:
    scores = pd.DataFrame(
        {
            "model": ["a", "b"],
            "f1_macro": [0.5, np.nan],
            "f1_macro_low": [0.4, np.nan],
            "f1_macro_high": [0.6, np.nan],
            "too_low": [1, 2],
        }
    )
    laid_out = lay_out_table(Table(scores))
    assert laid_out.headings == [("Model", False), ("Macro-F1", True), ("Too low", True)]
    assert [(cell.text, cell.aside, cell.key) for cell in (row[1][1] for row in laid_out.rows)] == [
        ("0.500", "0.400–0.600", "0.5"),
        ("–", "", ""),
    ]


@pytest.mark.parametrize(
    ("value", "column", "spec", "text"),
    [
        (None, "", None, "–"),
        (np.float64("nan"), "", None, "–"),
        (pd.NA, "", None, "–"),
        (np.True_, "marker", None, "yes"),
        (False, "marker", None, "no"),
        (np.int64(20531), "n_genes", None, "20,531"),
        (3.0, "n_samples", None, "3"),
        (100130426.0, "gene", None, "100130426"),
        (-1.5, "attribution", None, "\u22121.500"),
        (0.25, "share_positive", None, "25%"),
        (0.0004, "p_value", None, "< 0.001"),
        (0.04, "p_value", None, "0.040"),
        (0.00012, "loss", None, "0.00012"),
        (0.0, "loss", None, "0.000"),
        (123456.7, "seconds", None, "123,457"),
        (0.123, "value", ".1%", "12.3%"),
        (3.0, "depth", None, "3"),
        ("NA", "symbol", None, "NA"),
    ],
)
def test_values_are_written_as_their_column_asks(
    value: object, column: str, spec: str | None, text: str
) -> None:
    assert format_value(value, column, spec) == text


def test_a_big_picture_gets_a_palette_and_keeps_its_padding_exactly() -> None:
    rng = np.random.default_rng(0)
    padding = np.array(ImageColor.getrgb(PADDING), np.uint8)
    pixels = padding + rng.integers(-9, 10, (300, 300, 3)).astype(np.uint8)
    pixels[5, 7] = padding
    png = make_png(pixels)
    image = embed_png(png)
    data = base64.b64decode(image.source.removeprefix("data:image/png;base64,"))
    assert (image.width, image.height) == (300, 300)
    assert len(data) < len(png)
    with Image.open(io.BytesIO(data)) as drawn:
        assert (np.asarray(drawn.convert("RGB"))[5, 7] == padding).all()


def test_a_small_picture_is_kept_byte_for_byte() -> None:
    png = make_png(np.zeros((3, 4, 3), np.uint8))
    image = embed_png(png)
    assert base64.b64decode(image.source.partition(",")[2]) == png
    assert (image.width, image.height) == (4, 3)


def test_bytes_that_are_no_png_are_refused() -> None:
    with pytest.raises(ValueError, match="must be a PNG, but got"):
        embed_png(b"GIF89a..")


def test_confusions_are_ranked_and_the_diagonal_is_none() -> None:
    counts = np.array([[9, 1, 3], [0, 4, 0], [3, 0, 0]])
    ranked = rank_confusions(counts, ["A", "B", "C"], n_shown=2)
    assert ranked.to_numpy().tolist() == [["A", "C", 3, 3 / 13], ["C", "A", 3, 1.0]]


def test_no_confusions_give_an_empty_table() -> None:
    ranked = rank_confusions(np.eye(2, dtype=int), ["A", "B"])
    assert ranked.empty
    assert list(ranked) == ["type", "predicted", "n_samples", "share_of_type"]
