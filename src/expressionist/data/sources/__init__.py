"""Sources of cohorts: one dataset per file, whose name, with hyphens, is the word for it in params.yaml."""

from importlib import import_module
from types import ModuleType

from expressionist.errors import ParamsError
from expressionist.params import list_sources


def source_names() -> list[str]:
    """Return the names of all sources, in alphabetical order.

    Returns
    -------
    list of str
        The modules and packages here whose name does not begin with an underscore.

    Examples
    --------
    >>> "embedded" in source_names(), "pancan-mrna" in source_names()
    (True, True)
    """
    return list_sources()


def find_source(name: str) -> ModuleType:
    """Return the source of a name.

    Parameters
    ----------
    name : str
        What ``cohort.source`` holds.

    Returns
    -------
    module
        It has ``Options``, ``list_files(options)`` and ``read(options, raw)``, and ``read_normals(options,
        raw)`` if it knows normal tissue.

    Raises
    ------
    ParamsError
        If there is no such source.

    Examples
    --------
    >>> embedded = find_source("embedded")
    >>> embedded.list_files(embedded.Options())
    ()
    """
    if name not in source_names():
        raise ParamsError(
            f"cohort: source must be one of {', '.join(source_names())}, but got {name!r}. "
            "Choose one, or add a file of that name to expressionist/data/sources."
        )
    return import_module(f"{__name__}.{name.replace('-', '_')}")
