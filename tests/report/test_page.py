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
from expressionist.report.figures.style import PADDING
from expressionist.report.page import build_page, embed_png

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


@pytest.fixture(scope="module")
def evil() -> ReportContent:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    rows = pd.DataFrame({"symbol": [EVIL], EVIL: [1.0]}, index=["a"])
    table = Table(rows, title=EVIL, caption=EVIL, best="a", headings={EVIL: EVIL})
    part = Part([EVIL], {EVIL: EVIL}, [Picture(figure, EVIL, EVIL)], [table, Table(rows, EVIL, folded=True)])
    sections = (
        "run cohort images comparison search errors training attributions rankings siblings cross_check"
    )
    return ReportContent(
        EVIL,
        **dict.fromkeys(sections.split(), part),
        synthetic=True,
        random_weights=[EVIL],
        verdict=Verdict(EVIL, {EVIL: EVIL}, part),
        types=[TypePart(EVIL, EVIL, part)],
        limits=[EVIL],
    )


@pytest.fixture(scope="module")
def page(evil: ReportContent) -> str:
    return build_page(evil)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_every_name_is_escaped(page: str, outline: Outline) -> None:
    assert "<script>alert" not in page
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 50
    assert not any("alert" in name for _, attributes in outline.tags for name in attributes)


def test_the_page_is_well_formed(outline: Outline) -> None:
    assert (outline.open, outline.unbalanced) == ([], [])
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in outline.tags if tag == "a"}
    assert links <= {f"#{name}" for name in names}


def test_nothing_outside_is_referred_to(page: str, outline: Outline) -> None:
    for _, attributes in outline.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?\s*(?:https?:)?//", page)
    assert not re.search(r"@import|url\(", page)


def test_only_the_pages_own_script_may_run(page: str, outline: Outline) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [tag for _, tag in outline.tags if tag.get("http-equiv") == "Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}'" in str(policy["content"])
    assert "default-src 'none'" in str(policy["content"])


@pytest.mark.parametrize(
    ("flags", "word"), [({"synthetic": True}, "SYNTHETIC"), ({"random_weights": ["vgg19"]}, "RANDOM WEIGHTS")]
)
def test_banners_stand_above_everything_and_only_when_due(flags: dict[str, object], word: str) -> None:
    plain = build_page(ReportContent("t", Part()))
    marked = build_page(ReportContent("t", Part(), **flags))
    assert word not in plain
    assert marked.index(f"<strong>{word}</strong>") < marked.index("<section")


def test_codes_say_what_they_stand_for_on_hover_and_once_in_a_list() -> None:
    names = {"COAD": 'Colon "adenocarcinoma"'}
    rows = pd.DataFrame({"type": ["COAD", "COADX"], "symbol": ["<b>", "x"]})
    content = ReportContent(
        "t",
        tumour_types=names,
        verdict=Verdict("COAD won."),
        rankings=Part(["No sample of COAD."], tables=[Table(rows)]),
        types=[TypePart("COAD")],
    )
    page = build_page(content)
    hover = '<abbr title="Colon &quot;adenocarcinoma&quot;">COAD</abbr>'
    assert page.count(hover) == 5, "verdict, sentence, cell, chip, heading"
    assert "<td>COADX</td>" in page
    assert "&lt;b&gt;" in page
    assert page.index("Tumour types spelled out") < page.index('<section id="rankings"')
    assert "<abbr" not in build_page(ReportContent("COAD", Part(["COAD"])))


def test_genes_link_to_what_is_known_of_them_and_the_page_asks_for_nothing_itself() -> None:
    genes = pd.DataFrame({"symbol": ["TYR", "SYN1"], "gene": ["7299", "SYN1"]})
    links = {"7299": "https://www.ncbi.nlm.nih.gov/gene/7299"}
    page = build_page(ReportContent("t", Part(tables=[Table(genes)]), links=links))
    assert re.findall(r'<a href="https:[^"]*"[^>]*>(\w+)</a>', page) == ["TYR"]
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|srcset)="https?:|<link [^>]*href="https?:', page)


def test_a_missing_section_is_missing_from_the_navigation_too_but_limits_are_always_stated() -> None:
    page = build_page(ReportContent("t", Part(), training=Part(["curves"])))
    ids = re.findall(r'<section id="([^"]+)"', page)
    assert ids == ["run", "training", "limits"]
    assert re.findall(r'<li><a href="#([^"]+)"', page) == ids
    assert "not a diagnostic" in page


def test_the_same_content_gives_the_same_page(evil: ReportContent, page: str) -> None:
    assert build_page(evil) == page


def test_every_picture_has_its_alt_text_and_size(outline: Outline) -> None:
    images = [attributes for tag, attributes in outline.tags if tag == "img"]
    assert len(images) == 13
    assert {(image["alt"], image["width"], image["height"]) for image in images} == {(EVIL, "100", "100")}


def test_the_best_row_is_marked() -> None:
    page = build_page(ReportContent("t", Part(tables=[Table(pd.DataFrame({"model": ["a", "b"]}), best=1)])))
    assert re.findall(r'<tr class="best"><td>(\w)</td>', page) == ["b"]


def test_a_big_picture_gets_a_palette_and_keeps_its_padding_exactly() -> None:
    rng = np.random.default_rng(0)
    padding = np.array(ImageColor.getrgb(PADDING), np.uint8)
    pixels = padding + rng.integers(-9, 10, (300, 300, 3)).astype(np.uint8)
    pixels[5, 7] = padding
    png = make_png(pixels)
    source, *size = embed_png(png)
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert size == [300, 300]
    assert len(data) < len(png)
    with Image.open(io.BytesIO(data)) as drawn:
        assert (np.asarray(drawn.convert("RGB"))[5, 7] == padding).all()


def test_a_small_picture_is_kept_byte_for_byte_and_what_is_no_png_refused() -> None:
    png = make_png(np.zeros((3, 4, 3), np.uint8))
    source, *size = embed_png(png)
    assert base64.b64decode(source.partition(",")[2]) == png
    assert size == [4, 3]
    with pytest.raises(ValueError, match="must be a PNG, but got"):
        embed_png(b"GIF89a..")
