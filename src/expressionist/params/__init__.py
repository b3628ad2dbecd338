"""Params: what params.yaml holds, as frozen dataclasses."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.params.parsing import Must, OneOf, find_faults, key, make_adapter, parse, section
    from expressionist.params.plug_ins import layout_defines, list_layouts, list_sources
    from expressionist.params.sections import (
        AttributionParams,
        BaselinesParams,
        CohortParams,
        EvaluationParams,
        ExpressionParams,
        GateParams,
        LayoutParams,
        NetworkParams,
        Params,
        RegistryParams,
        SearchParams,
        SplitParams,
        TrainingParams,
        WeightsParams,
        follow_reference,
    )
else:
    __getattr__ = lend(__name__, __file__)
