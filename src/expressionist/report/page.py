"""The page: its content → one self-contained HTML page that escapes every name."""

import base64
import hashlib
import html
import io
import re
import struct
from collections.abc import Mapping
from functools import partial
from importlib import resources

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from expressionist.report.content import ReportContent
from expressionist.report.figures.style import PADDING
from expressionist.report.tables import lay_out_table

# Above this size a palette of 256 colours is tried; an image drawn with one colour map hardly needs more.
_BIG_PNG = 60_000
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_REGISTRATION = re.compile(r'(<span id="registration">)[^<]*(</span>)')
_PADDING = np.array(ImageColor.getrgb(PADDING), np.uint8)


def build_page(content: ReportContent) -> str:
    """Build an HTML page that refers to nothing outside itself; the same content gives the same page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals |= {"embed": embed_png, "lay_out": lay_out_table, "digest": _digest_script}
    environment.filters["gloss"] = partial(gloss, names=content.tumour_types)
    source = (resources.files(__package__) / "report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(content=content).strip() + "\n"


def gloss(text: object, names: Mapping[str, str]) -> str:
    """Escape a text, and let every code in it say on hover what it stands for.

    >>> gloss("READ < COAD", {"READ": "Rectum adenocarcinoma"})
    '<abbr title="Rectum adenocarcinoma">READ</abbr> &lt; COAD'
    """
    escaped = html.escape(str(text))
    if not names:
        return escaped
    codes = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    return codes.sub(lambda code: f'<abbr title="{html.escape(names[code[0]])}">{code[0]}</abbr>', escaped)


def state_registration(page: str, words: str) -> str:
    """Say on a page, once that is known, what became of its model.

    Parameters
    ----------
    page : str
        From `build_report`, which says that the model was not registered yet.
    words : str
        What to say instead.

    Returns
    -------
    str
        The page, otherwise the same; one that says nothing of the model stays as it is.
    """
    return _REGISTRATION.sub(lambda found: f"{found[1]}{html.escape(words)}{found[2]}", page)


def _digest_script(script: str) -> str:
    return base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()


def embed_png(image: Figure | bytes) -> tuple[str, int, int]:
    """Turn a figure or a PNG into the address, width and height of an `<img>`; a big one has a palette."""
    png = image if isinstance(image, bytes) else _draw(image)
    if not png.startswith(_PNG_MAGIC):
        raise ValueError(
            f"A picture must be a PNG, but got bytes that start with {png[:8]!r}. Save it as PNG."
        )
    if len(png) > _BIG_PNG:
        png = min(png, _reduce_colours(png), key=len)
    width, height = struct.unpack(">II", png[16:24])
    return f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height


def _draw(figure: Figure) -> bytes:
    stream = io.BytesIO()
    # Without the software's version the bytes depend on the picture alone.
    figure.savefig(stream, format="png", dpi=figure.dpi, metadata={"Software": None})
    return stream.getvalue()


def _reduce_colours(png: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        flat = image.convert("RGB")
    coarse = flat.quantize(255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE, kmeans=1)
    # Few pixels are padding: it gets a place of its own, lest it is merged with a colour of values.
    index, palette = np.array(coarse), np.zeros((256, 3), np.uint8)
    used = np.array(coarse.getpalette(), np.uint8).reshape(-1, 3)[:255]
    palette[: len(used)] = used
    palette[255] = _PADDING
    index[(np.asarray(flat) == _PADDING).all(axis=-1)] = 255
    reduced = Image.fromarray(index)
    reduced.putpalette(palette.tobytes())
    reduced.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
