"""Refusals and the naming in their messages."""

import pytest

from expressionist import errors
from expressionist.errors import Refusal, name_some

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)]


@pytest.mark.parametrize("kind", KINDS)
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
