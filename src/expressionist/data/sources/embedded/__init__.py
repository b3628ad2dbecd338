"""The embedded cohort: a seeded simulator of pan-cancer RNA-Seq that needs no data.

Everything made from it is synthetic and says so. It is built so that what the package claims can be checked
against a known truth: marker genes are planted under their real symbols and recorded in the gene table,
related tumour types share programmes and lean to each other, genes correlate within types as well as
between them, and how far each gene is raised or lowered in each type, and by what, is recorded.

A sample's mean counts mix those of its tumour, stroma and immune cells,

    depth · (purity · tumour + (1 - purity) · ((1 - immune share) · stroma + immune share · immune)),

where log2 tumour = base + programmes + markers + modules + batch. The counts are negative binomial around
that, with a dispersion that falls with the mean as in DESeq2 (Love et al. 2014, Genome Biology 15:550). How
strong the effects are was set so that standardised multinomial logistic regression finds the type of about 19
samples in 20, as on real pan-cancer cohorts, and errs mostly between relatives.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged, merge_simulated
from expressionist.data.quality import count_types
from expressionist.data.readers.raw_files import RawFile
from expressionist.data.sources.embedded.counts import draw_counts
from expressionist.data.sources.embedded.genes import draw_genes
from expressionist.data.sources.embedded.patients import draw_samples
from expressionist.data.sources.embedded.truth import tell_truth
from expressionist.params import key, section


@section
class Options:
    """Size and seed of the simulated cohort.

    Types keep their true proportions above the least size, with which every type can stand in training,
    validation and test. The same seed gives the same cohort, byte for byte.
    """

    n_samples: int = key("At least 8 patients for each of the 33 tumour types.", default=495, ge=264)
    n_genes: int = key("At least all markers, which are planted.", default=5_184, ge=242)
    seed: int = key("Of the simulation.", default=33, ge=0)


def list_files(options: Options) -> tuple[RawFile, ...]:
    """Return nothing: the cohort is simulated."""
    return ()


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Simulate the cohort's counts; no file is looked at.

    Real genes are the markers, under their Entrez ids; all others are called SYN00001 and so on. The sample
    table also holds what was drawn for each sample: ``platform``, ``batch``, ``purity``, and in ``resembles``
    and ``resemblance`` the related type it leans to and how far (0 to 1). The cohort's `truth` is that of
    `tell_truth`.
    """
    gene_rng, sample_rng, count_rng = np.random.default_rng(options.seed).spawn(3)
    genes = draw_genes(options.n_genes, gene_rng)
    samples = draw_samples(options.n_samples, len(genes.modules), sample_rng)
    counts = draw_counts(genes, samples, count_rng)
    cohort = Cohort(
        name="SYNTHETIC-embedded",
        expression=counts,
        samples=samples.table,
        genes=genes.table,
        unit="counts",
        synthetic=True,
        truth=tell_truth(genes, samples.table["tumour_type"]),
    )
    cohort, rules = merge_simulated(cohort, merged)
    return cohort, _describe(cohort, options.seed) | ({"merged_types": rules} if rules else {})


def _describe(cohort: Cohort, seed: int) -> dict[str, Any]:
    samples, expression = cohort.samples, cohort.expression
    library = expression.sum(axis=1, dtype=np.float64)
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return {
        "synthetic": True,
        "seed": seed,
        "n_samples": len(samples),
        "n_genes": len(cohort.genes),
        "n_patients": int(samples["patient"].nunique()),
        "n_second_samples": int(samples["patient"].duplicated().sum()),
        "n_markers": int((cohort.genes["marker_of"] != "").sum()),
        "n_samples_per_type": count_types(samples["tumour_type"]),
        "n_samples_per_platform": count_types(samples["platform"]),
        "n_samples_per_batch": count_types(samples["batch"]),
        "n_samples_resembling_a_relative": int((samples["resemblance"] > 0).sum()),
        "library_size_quantiles": {str(share): float(np.quantile(library, share)) for share in shares},
        "zero_share": float(np.mean(expression == 0)),
        "n_genes_never_seen": int((~expression.any(axis=0)).sum()),
    }
