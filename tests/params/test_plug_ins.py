"""What can be named in params.yaml: read off the files, it is what loading them gives."""

from expressionist.data.sources import find_source
from expressionist.evaluation.baselines import BASELINES
from expressionist.network.backbones import BACKBONES
from expressionist.painting.layouts import find_layout
from expressionist.params import layout_defines, list_layouts, list_sources
from expressionist.params.plug_ins import list_backbones, list_baselines


def test_rows_are_those_of_the_tables():
    assert list_backbones() == list(BACKBONES)
    assert list_baselines() == list(BASELINES)


def test_files_are_those_that_can_be_loaded():
    for name in list_sources():
        assert find_source(name).read
    for name in list_layouts():
        layout = find_layout(name)
        assert hasattr(layout, "place") != hasattr(layout, "embed"), "one of the two"
        for definition in ("embed", "Options", "place"):
            assert layout_defines(name, definition) == hasattr(layout, definition)
