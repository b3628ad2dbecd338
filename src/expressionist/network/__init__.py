"""The network: backbones, where they are cut, the head, and our own layers, joined into one Keras graph."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.network.assembly import (
        BRANCHES,
        assemble,
        choose_magnification,
        fit_gain,
        fit_ranks,
        image_front,
        load_network,
        logits_by_branch,
        logits_of_scaled,
        predict_logits,
    )
    from expressionist.network.backbones import (
        BACKBONES,
        Weights,
        build_backbone,
        explain_random,
        find_backbone,
        find_weights,
        list_weights,
        randomise,
    )
    from expressionist.network.cut import (
        Division,
        articulation_points,
        choose_strides,
        continue_from,
        divide,
        last_block_depth,
        weighted_layers,
    )
    from expressionist.network.head import (
        CLASSIFIER,
        LINEAR,
        RANK_LAYERS,
        attach_head,
        average_heads,
        centre_head,
        set_linear,
    )
    from expressionist.network.layers import Centre, Ranks
    from expressionist.network.tracing import Predict, sign, trace_prediction
else:
    __getattr__ = lend(__name__, __file__)
