"""What an imager learnt, as one `.npz`: arrays and a JSON header, nothing that runs when read."""

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from expressionist.errors import CohortError
from expressionist.painting.sample_table import ImagerError

_KIND = "expressionist.ExpressionImager"
_FORMAT = 1
# What numpy, zip and JSON raise on bytes that are something else, and the layout and scale made of them.
_DAMAGE = (
    AttributeError,
    BadZipFile,
    CohortError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Put a header and arrays into one `.npz`.

    Parameters
    ----------
    header : mapping
        Numbers, text, lists and mappings of these; paths become text.
    arrays : mapping of str to numpy.ndarray
        Of numbers.

    Raises
    ------
    ImagerError
        If the header holds something else, such as a random generator.

    Examples
    --------
    >>> header, arrays = unpack(io.BytesIO(pack({"shape": (1, 2)}, {"pixel": np.array([1, 0])})))
    >>> header["shape"], arrays["pixel"].tolist()
    ([1, 2], [1, 0])
    """
    about = {"kind": _KIND, "format": _FORMAT, **header}
    text = np.frombuffer(json.dumps(about, default=_to_json).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, header=text, **arrays)  # type: ignore[arg-type]  # names are not options
    return stream.getvalue()


def unpack(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Take apart what `pack` made; to be called within `refuse_damage`.

    Parameters
    ----------
    stream : binary file
        Open for reading.

    Returns
    -------
    header : dict
        Tuples have become lists.
    arrays : dict of str to numpy.ndarray
        As they were.
    """
    with np.load(stream, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    header = json.loads(arrays.pop("header").tobytes())
    if (header["kind"], header["format"]) != (_KIND, _FORMAT):
        raise ValueError(f"{header['kind']}, format {header['format']}")
    return header, arrays


@contextmanager
def refuse_damage(path: str | PathLike[str]) -> Iterator[None]:
    """Turn whatever goes wrong over the bytes of a file into one refusal.

    Parameters
    ----------
    path : str or path-like
        The file, to be named.
    """
    try:
        yield
    except _DAMAGE as error:
        raise ImagerError(
            f"{path} must be an imager that ExpressionImager.save wrote, whole, but cannot be read as one "
            f"({type(error).__name__}). Save it again, or name another file."
        ) from error


def _to_json(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PathLike):
        return str(value)
    raise ImagerError(
        "Parameters must be numbers, text, lists and mappings of these to be saved, but got a "
        f"{type(value).__name__}. Set a whole number as random_state, say."
    )
