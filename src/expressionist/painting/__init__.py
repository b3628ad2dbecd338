"""Painting: genes get pixels, and samples become images."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.painting.fitting import lay_out, read_options
    from expressionist.painting.gene_clusters import cluster_genes
    from expressionist.painting.images import (
        N_ROWS,
        ImageSet,
        find_samples,
        make_painter,
        read_image_sets,
        take_painted,
        write_images,
    )
    from expressionist.painting.layout import Layout
    from expressionist.painting.layout_file import read_layout, write_layout
    from expressionist.painting.layout_score import score_layout
    from expressionist.painting.layouts import find_layout
else:
    __getattr__ = lend(__name__, __file__)
