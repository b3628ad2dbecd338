"""What every source must have; new files in sources/ are picked up by themselves."""

import inspect
import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest
import yaml

from expressionist.data.cohort import Cohort
from expressionist.data.sources import find_source
from expressionist.errors import ParamsError
from expressionist.params import list_sources
from expressionist.params.parsing import parse

PARAMS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture(params=list_sources())
def source(request: pytest.FixtureRequest) -> ModuleType:
    return find_source(request.param)


def word(source: ModuleType) -> str:
    return source.__name__.rpartition(".")[2].replace("_", "-")


def shipped_options(source: ModuleType) -> dict:
    return yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["cohort"].get(word(source), {})


def test_options_are_a_frozen_dataclass(source):
    assert is_dataclass(source.Options)
    options = parse(source.Options, shipped_options(source), word(source))
    with pytest.raises(FrozenInstanceError):
        setattr(options, fields(options)[0].name, None)


def test_params_yaml_shows_every_option_or_none(source):
    # A new source may leave params.yaml alone, where its options have defaults.
    shown = set(shipped_options(source))
    assert shown in ({field.name for field in fields(source.Options)}, set())


def test_unknown_option_is_refused(source):
    with pytest.raises(ParamsError, match="no key 'colour'"):
        parse(source.Options, {**shipped_options(source), "colour": "red"}, word(source))


def test_files_are_options(source):
    options = parse(source.Options, shipped_options(source), word(source))
    files = source.list_files(options)
    assert isinstance(files, tuple)
    assert {file.option for file in files} <= {field.name for field in fields(source.Options)}
    assert len({file.name for file in files}) == len(files)


def test_what_is_downloaded_is_known_by_its_bytes(source):
    options = parse(source.Options, shipped_options(source), word(source))
    for file in source.list_files(options):
        assert not file.is_remote or (file.size and re.fullmatch("[0-9a-f]{32}", file.md5))


def test_read_has_the_signature(source):
    parameters = list(inspect.signature(source.read).parameters)
    assert parameters in (["options", "raw", "merged"], ["options", "raw", "merged", "on_progress"])
    hints = get_type_hints(source.read)
    assert hints["options"] is source.Options
    assert hints["raw"] is Path
    assert hints["return"].__args__[0] is Cohort


def test_module_is_documented(source):
    assert source.__doc__
    assert source.read.__doc__


def test_unknown_source_is_refused_by_name():
    with pytest.raises(ParamsError, match=r"one of .*embedded.*, but got 'geo'"):
        find_source("geo")


def test_embedded_is_a_source():
    assert "embedded" in list_sources()


def test_names_that_begin_with_an_underscore_are_no_sources():
    assert not [name for name in list_sources() if name.startswith("_")]
