"""Sources of cohorts: one dataset per file, whose name, with hyphens, is the word for it in params.yaml."""

from importlib import import_module
from types import ModuleType

from expressionist.errors import ParamsError
from expressionist.params import list_sources


def find_source(name: str) -> ModuleType:
    """Return the module of a source by its word, what ``cohort.source`` holds; refuse an unknown one.

    It has ``Options`` (a frozen dataclass: the keys below its word in params.yaml), ``list_files(options)``
    (the `RawFile` that `fetch` is to bring) and ``read(options, raw, merged)`` (from the folder of `fetch` to
    a `Cohort`, its types merged by `merge_types`, and the content of quality.json; it may take
    ``on_progress``, told how many of how many files have been read). It may have
    ``read_normals(options, raw)`` (a `Cohort` of normal tissue or None) and ``list_many(options, folder)``
    (the `RawFile` of a folder or list in the incoming folder). Each of them refuses what it cannot use with a
    `CohortError`.

    Examples
    --------
    >>> embedded = find_source("embedded")
    >>> embedded.list_files(embedded.Options())
    ()
    """
    if name not in list_sources():
        raise ParamsError(
            f"cohort: source must be one of {', '.join(list_sources())}, but got {name!r}. "
            "Choose one, or add a file of that name to expressionist/data/sources."
        )
    return import_module(f"{__name__}.{name.replace('-', '_')}")
