"""From YAML's objects to dataclasses: what is taken, and the sentence for whatever is not."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated

import pytest

from expressionist.errors import ParamsError
from expressionist.params.parsing import Must, OneOf, Within, find_faults, key, parse

_FRUITS = ("apple", "pear")


@dataclass(frozen=True)
class Inner:
    share: float = key("A share.", ge=0, le=1)


@dataclass(frozen=True)
class Outer:
    count: int = key("A count.", ge=1, le=2**32 - 1)
    flag: bool
    word: Annotated[str, OneOf(lambda: _FRUITS)]
    words: tuple[Annotated[str, OneOf(lambda: _FRUITS)], ...]
    depths: tuple[Annotated[int, Within(0, 9)], ...] | None
    name: Annotated[str, Must("begin with a", lambda name: name.startswith("a"), "Rename it.")]
    inner: Inner
    more: Mapping[str, list[str]] = field(default_factory=dict)


GOOD = {"count": 3, "flag": True, "word": "pear", "words": ["apple"], "depths": [0, 2], "name": "ada"}
GOOD["inner"] = {"share": 1}


def refuse(message):
    return pytest.raises(ParamsError, match=f"^{re.escape(message)}")


def test_what_fits_is_taken_and_lists_become_tuples():
    found = parse(Outer, GOOD, "it")
    assert found == Outer(**{**GOOD, "words": ("apple",), "depths": (0, 2), "inner": Inner(1.0)})
    assert isinstance(found.inner.share, float), "whole numbers do for fractions"
    assert asdict(replace(found, count=4))["inner"] == {"share": 1.0}


@pytest.mark.parametrize(("depths", "parsed"), [(None, None), ([], ()), ([0, 3], (0, 3))])
def test_a_list_that_may_be_left_open(depths, parsed):
    assert parse(Outer, GOOD | {"depths": depths}, "it").depths == parsed


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"count": "3"}, "it: count must be a whole number, but got '3'. Correct it."),
        ({"count": 3.0}, "it: count must be a whole number, but got 3.0. Correct it."),
        ({"count": True}, "it: count must be a whole number, but got True. Correct it."),
        ({"count": 0}, "it: count must be at least 1, but got 0. Raise it."),
        ({"count": 2**32}, "it: count must be at most 4294967295, but got 4294967296. Lower it."),
        ({"flag": "yes"}, "it: flag must be true or false, but got 'yes'. Correct it."),
        ({"flag": 1}, "it: flag must be true or false, but got 1. Correct it."),
        ({"word": "plum"}, "it: word must be one of apple, pear, but got 'plum'. Choose one."),
        ({"word": None}, "it: word must be one of apple, pear, but got None. Give one."),
        ({"words": "apple"}, "it: words must be a list, but got 'apple'. Write [a, b]."),
        ({"words": ["apple", 7]}, "it: words: entry 2 must be one of apple, pear, but got 7. Choose one."),
        ({"depths": 3}, "it: depths must be a list, but got 3. Write [a, b]."),
        ({"depths": [0, 10]}, "it: depths: entry 2 must be at most 9, but got 10. Lower it."),
        ({"depths": [-1]}, "it: depths: entry 1 must be at least 0, but got -1. Raise it."),
        ({"name": 7}, "it: name must be text, but got 7. Put it in quotes."),
        ({"name": "bob"}, "it: name must begin with a, but got 'bob'. Rename it."),
        ({"inner": 3}, "it: inner must be a mapping of keys to values, but got 3. Write `key: value` lines."),
        ({"inner": {}}, "it: inner must have the key 'share'. Add it."),
        ({"inner": {"share": "0.1"}}, "it: inner: share must be a number, but got '0.1'. Correct it."),
        ({"inner": {"share": float("nan")}}, "it: inner: share must be at most 1, but got nan. Lower it."),
        ({"inner": {"share": 1, "shrae": 1}}, "it: inner has no key 'shrae'. Its keys are share."),
        ({"more": [6]}, "it: more must be a mapping of keys to values, but got [6]."),
        ({"more": {"SKCM": "06"}}, "it: more: SKCM must be a list, but got '06'. Write [a, b]."),
        ({"more": {"SKCM": [6]}}, "it: more: SKCM: entry 1 must be text, but got 6. Put it in quotes."),
        ({"colour": 1}, "it has no key 'colour'. Its keys are count, flag, word, words, depths, name,"),
        ({"name": datetime.date(2020, 1, 1)}, "it must hold text, numbers, lists and mappings only, but got"),
    ],
)
def test_each_fault_is_one_sentence(changed, sentence):
    with refuse(sentence) as refusal:
        parse(Outer, GOOD | changed, "it")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [None, 3, "a: 1", [1]])
def test_what_is_no_mapping(content):
    with refuse(f"it must be a mapping of keys to values, but got {content!r}."):
        parse(Outer, content, "it")


def test_all_faults_are_told_at_once():
    with pytest.raises(ParamsError) as refusal:
        parse(Outer, GOOD | {"count": 0, "word": "plum", "inner": {"share": 2}, "colour": 1}, "it")
    lines = str(refusal.value).splitlines()
    assert [line.partition(" must")[0] for line in lines[:3]] == ["it: count", "it: word", "it: inner: share"]
    assert len(lines) == 4
    with pytest.raises(ParamsError) as refusal:
        parse(Outer, {}, "it")
    assert len(str(refusal.value).splitlines()) == 7, "one for each key without a default"


def test_a_long_value_is_not_shown_whole():
    with pytest.raises(ParamsError) as refusal:
        parse(Outer, GOOD | {"words": "x" * 5000}, "it")
    assert len(str(refusal.value)) < 200


def test_a_secret_is_not_shown():
    @dataclass(frozen=True)
    class Login:
        url: Annotated[str, Must("hold no password", lambda url: "@" not in url, got="one")]

    with refuse("it: url must hold no password, but got one. Correct it.") as refusal:
        parse(Login, {"url": "me:secret@host"}, "it")
    assert "secret" not in str(refusal.value)


@dataclass(frozen=True)
class Ordered:
    low: int
    high: int

    def __post_init__(self):
        if self.high < self.low:
            raise ParamsError(f"high must be at least low ({self.low}), but got {self.high}. Raise it.")


def test_what_a_dataclass_says_of_keys_that_go_together():
    with refuse("it: high must be at least low (3), but got 2. Raise it."):
        parse(Ordered, {"low": 3, "high": 2}, "it")


def test_a_section_that_is_not_in_use_may_lack_keys_but_has_no_wrong_ones():
    assert find_faults(Ordered, {"low": 3}, "it", whole=False) == (None, [])
    assert find_faults(Ordered, {"low": 3, "high": 2}, "it", whole=False) == (None, [])
    assert find_faults(Ordered, {"low": "3", "hihg": 4}, "it", whole=False)[1] == [
        "it: low must be a whole number, but got '3'. Correct it.",
        "it has no key 'hihg'. Its keys are low, high.",
    ]


def test_a_kind_of_fault_without_a_sentence_of_ours_is_told_in_pydantics_words():
    @dataclass(frozen=True)
    class Even:
        number: int = key("Even.", multiple_of=2)

    with refuse("it: number must be a multiple of 2, but got 3. Correct it."):
        parse(Even, {"number": 3}, "it")
