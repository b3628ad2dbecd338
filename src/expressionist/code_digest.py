"""A digest of the code that frozen activations and trainings depend on."""

import hashlib
from functools import cache
from pathlib import Path

_MODULES = (
    "backbones",
    "convolution",
    "cut",
    "finetuning",
    "frozen",
    "head",
    "layers",
    "metrics",
    "network",
    "optimiser",
    "prefix",
    "training",
)


@cache
def digest_code() -> str:
    """Digest the source of what activations and trainings depend on.

    What is kept on disk (activations, checkpoints, trials) carries it, so that nothing outlives a change of
    the code that made it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    code = hashlib.md5(usedforsecurity=False)
    for name in _MODULES:
        code.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return code.hexdigest()
