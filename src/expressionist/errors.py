"""The few ways the package refuses to go on.

Every refusal is one sentence that states what must hold and what came instead, followed by what to do. The
command line prints it as one line and exits with 2; any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable

_N_NAMED = 5


class Refusal(Exception):
    """Base of all refusals: the input cannot be used as it is, and the message says why and what to do."""


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


def name_some(names: Iterable[object]) -> str:
    """Join at most five names for a message, and count the rest.

    >>> name_some(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    every = [str(name) for name in names]
    shown = ", ".join(every[:_N_NAMED])
    rest = len(every) - _N_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
