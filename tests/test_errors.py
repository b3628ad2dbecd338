"""Refusals and the naming in their messages."""

import pytest

from expressionist.errors import (
    ClusterError,
    CohortError,
    ParamsError,
    Refusal,
    RegistryError,
    WeightsError,
    name_some,
)


@pytest.mark.parametrize("kind", [ParamsError, CohortError, WeightsError, RegistryError, ClusterError])
def test_every_refusal_is_caught_as_one(kind):
    with pytest.raises(Refusal, match="^why$"):
        raise kind("why")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["TP53"], "TP53"),
        (range(5), "0, 1, 2, 3, 4"),
        (range(6), "0, 1, 2, 3, 4 and 1 more"),
        ((name for name in "abcdefg"), "a, b, c, d, e and 2 more"),
    ],
)
def test_at_most_five_names(names, text):
    assert name_some(names) == text
