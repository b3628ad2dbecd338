"""Figures as the page holds them: PNG in base64, small."""

import base64
import io
import struct
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from expressionist.report.figures import PADDING

# Above this size a palette of 256 colours is tried; an image drawn with one colour map hardly needs more.
_BIG_PNG = 60_000
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PADDING = np.array(ImageColor.getrgb(PADDING), np.uint8)


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture as the page holds it.

    Parameters
    ----------
    source : str
        A data: address with the PNG in base64.
    width, height : int
        In pixels.
    """

    source: str
    width: int
    height: int


def embed_png(image: Figure | bytes) -> EmbeddedImage:
    """Turn a figure or a PNG into what an `<img>` needs; a big one gets a palette if that makes it smaller.

    Parameters
    ----------
    image : matplotlib.figure.Figure or bytes
        Figure, drawn at its own dpi, or PNG.

    Returns
    -------
    EmbeddedImage
        Its address and size.

    Raises
    ------
    ValueError
        If bytes are given that are no PNG.
    """
    png = image if isinstance(image, bytes) else _draw(image)
    if not png.startswith(_PNG_MAGIC):
        raise ValueError(
            f"A picture must be a PNG, but got bytes that start with {png[:8]!r}. Save it as PNG."
        )
    if len(png) > _BIG_PNG:
        png = min(png, _reduce_colours(png), key=len)
    width, height = struct.unpack(">II", png[16:24])
    return EmbeddedImage(f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height)


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
    # Few pixels are padding, so it would be merged with a similar colour that stands for a value.
    # It gets a place of its own.
    index, palette = np.array(coarse), np.zeros((256, 3), np.uint8)
    used = np.array(coarse.getpalette(), np.uint8).reshape(-1, 3)[:255]
    palette[: len(used)] = used
    palette[255] = _PADDING
    index[(np.asarray(flat) == _PADDING).all(axis=-1)] = 255
    reduced = Image.fromarray(index)
    reduced.putpalette(palette.tobytes())
    reduced.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
