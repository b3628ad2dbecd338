"""Expressionist reads a tumour's type off its RNA-Seq profile by painting the profile as a picture."""

from importlib import import_module
from typing import Any

__all__ = ["ExpressionImager", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401
    # On first use only, and by a name put together here: `import expressionist` stays light, and no stage of
    # the pipeline comes to hang on the imager's code.
    if name == "ExpressionImager":
        return import_module(f"{__name__}.imager").ExpressionImager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
