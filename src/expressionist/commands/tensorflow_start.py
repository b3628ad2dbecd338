"""How TensorFlow and Keras are imported: quietly, and without what is not used."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hush() -> Iterator[None]:
    """Keep what TensorFlow's C++ says about this machine, before any log level holds, off the terminal."""
    import logging

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def spare(*names: str) -> Iterator[None]:
    """Make libraries that would import these for what is not used here find them not installed.

    Keras imports matplotlib for plots and scikit-learn for wrappers: a third of the time that it takes.
    """
    # None is how Python marks what must not be imported.
    absent: dict[str, Any] = dict.fromkeys(name for name in names if name not in sys.modules)
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
