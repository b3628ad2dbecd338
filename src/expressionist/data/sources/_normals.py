"""Normal tissue of a TCGA file: kept aside from the cohort, to tell samples that are unlike tumours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from expressionist.data.cohort import Cohort
from expressionist.data.sources._aliquots import AliquotRules
from expressionist.errors import NoSamplesError

Rules = TypeVar("Rules", bound=AliquotRules)


def read_aside(
    read: Callable[[Rules, Path], tuple[Cohort, dict[str, Any]]], options: Rules, raw: Path
) -> Cohort | None:
    """Read the normal tissue of a source as a cohort of its own.

    Parameters
    ----------
    read : callable
        The source's own ``read``.
    options : AliquotRules
        Its options; ``normal_types`` are kept in place of ``sample_types``.
    raw : pathlib.Path
        Folder of the stage `fetch`.

    Returns
    -------
    Cohort or None
        With the tumour type of the patient; None if no normal tissue is asked for or there.
    """
    if not options.normal_types:
        return None
    rules = replace(options, sample_types=options.normal_types, more_sample_types={}, smallest_type=0)
    try:
        return read(rules, raw)[0]
    except NoSamplesError:
        return None
