"""The few ways the package refuses to go on.

Every refusal is one sentence that states what must hold and what came instead, followed by what to do. The
command line prints it as one line and exits with 2; any other exception is a bug and keeps its traceback.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

_N_NAMED = 5
_LONGEST_NAME = 100
# In a URL; a slash of it may be lost where it was taken for a path, and what follows a port is a path.
_PASSWORD = re.compile(r"(:/+[^\s/:@]*:)(?!\d+/)\S+(?=@)|([?&]password=)[^\s&]+")
# What the extras of pyproject.toml bring, as it is imported: how people call it, and which extras those are.
_BROUGHT = {
    "PIL": ("Pillow", "train", "serve"),
    "jinja2": ("Jinja", "train", "serve"),
    "keras": ("Keras", "train", "serve"),
    "matplotlib": ("Matplotlib", "train", "serve"),
    "mlflow": ("MLflow", "track", "serve"),
    "openTSNE": ("openTSNE", "layouts"),
    "optuna": ("Optuna", "train"),
    "orjson": ("orjson", "serve"),
    "rich": ("Rich", "train"),
    "shap": ("SHAP", "train"),
    "starlette": ("Starlette", "serve"),
    "tensorflow": ("TensorFlow", "train", "serve"),
    "umap": ("umap-learn", "layouts"),
}
_USES = {
    "all": "to run the pipeline",
    "layouts": "for this layout method",
    "serve": "to predict and to serve",
    "track": "to keep runs and models",
    "train": "to train",
}


class Refusal(Exception):
    """Base of all refusals: the input cannot be used as it is, and the message says why and what to do."""

    def __str__(self) -> str:
        return make_printable(hide_passwords(super().__str__()))


class ParamsError(Refusal):
    """A value in params.yaml (or on the command line) is unknown, missing or out of range."""


class CohortError(Refusal):
    """Expression, sample table or gene table break a rule that the rest of the package relies on."""


class NoSamplesError(CohortError):
    """No sample is of the types asked for."""


class WeightsError(Refusal):
    """Pretrained weights are required and cannot be had."""


class RegistryError(Refusal):
    """A model cannot be found, does not fit its input, or does not pass the gate."""


class DiskError(Refusal):
    """A disk has no room for what must be written."""


class ClusterError(Refusal):
    """The machines that are to share the work cannot be reached, or cannot do it."""


class PackageError(Refusal, ModuleNotFoundError):
    """A package that an extra brings must be installed for what was asked, but is not."""


@contextmanager
def name_extra(wanted: str = "") -> Iterator[None]:
    """Refuse to import what is not installed, and name the extra that brings it: `wanted`, if that does."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _BROUGHT:
            raise
        package, *extras = _BROUGHT[error.name]
        extra = wanted if wanted in {"all", *extras} else extras[0]
        told = f"{package} must be installed {_USES[extra]}, but is not there."
        raise PackageError(f"{told} Run: pip install 'expressionist[{extra}]'.", name=error.name) from error


def name_some(names: Iterable[object]) -> str:
    """Join at most five names for a message, and count the rest.

    >>> name_some(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    every = list(names)
    shown = ", ".join(_shorten(make_printable(str(name), keep="")) for name in every[:_N_NAMED])
    rest = len(every) - _N_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def hide_passwords(text: str) -> str:
    """Put stars for the passwords of URLs in a text.

    >>> hide_passwords("http://me:secret@host")
    'http://me:***@host'
    """
    return _PASSWORD.sub(r"\1\2***", text)


def holds_password(url: str) -> bool:
    """Tell whether the URL of a server, a database or a file holds a password.

    >>> [holds_password(url) for url in ("http://me:secret@host", "postgresql://h/d?password=x", "http://h:80/a@b")]
    [True, True, False]
    """
    return _PASSWORD.search(unquote(url)) is not None


def make_printable(text: str, keep: str = "\n\t") -> str:
    r"""Write what a terminal would obey instead of show, such as escape sequences, as Python does.

    >>> print(make_printable("\x1b[2J red"))
    \x1b[2J red
    """
    return "".join(
        letter if letter.isprintable() or letter in keep else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
