"""What can be named in params.yaml: read off the files, it is what loading them gives."""

from expressionist.data.sources import find_source
from expressionist.evaluation.baselines import BASELINES
from expressionist.network.backbones import BACKBONES
from expressionist.painting.layouts import find_layout
from expressionist.params.plug_ins import (
    layout_defines,
    list_backbones,
    list_baselines,
    list_layouts,
    list_sources,
)


def test_rows_are_those_of_the_tables():
    assert list_backbones() == list(BACKBONES)
    assert list_baselines() == list(BASELINES)


def test_files_are_those_that_can_be_loaded():
    for name in list_sources():
        assert find_source(name).read
    for name in list_layouts():
        layout = find_layout(name)
        assert layout.place
        for definition in ("embed", "Options", "place"):
            assert layout_defines(name, definition) == hasattr(layout, definition)
