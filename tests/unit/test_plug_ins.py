"""What can be named in params.yaml: read off the files, it is what loading them gives."""

from expressionist.backbones import BACKBONES
from expressionist.baselines import OPPONENTS
from expressionist.layouts import find_layout
from expressionist.plug_ins import (
    layout_defines,
    list_backbones,
    list_layouts,
    list_opponents,
    list_sources,
)
from expressionist.sources import find_source


def test_rows_are_those_of_the_tables():
    assert list_backbones() == list(BACKBONES)
    assert list_opponents() == list(OPPONENTS)


def test_files_are_those_that_can_be_loaded():
    for name in list_sources():
        assert find_source(name).read
    for name in list_layouts():
        layout = find_layout(name)
        assert layout.place
        for definition in ("embed", "Options", "place"):
            assert layout_defines(name, definition) == hasattr(layout, definition)
