"""Facts that were right once and must stay: a change here is either a fault or a decision to be written down.

Numbers made by floating-point arithmetic carry a tolerance, so that another CPU or NumPy is no fault.
"""

import numpy as np
import pandas as pd
import pytest

from expressionist.data.sources.embedded import Options, read
from expressionist.data.split import split_by_patient
from expressionist.painting.layouts import place_genes

# TCGA's proportions, at least 8 of each.
N_SAMPLES = {
    "ACC": 8, "BLCA": 10, "BRCA": 27, "CESC": 8, "CHOL": 8, "COAD": 11, "DLBC": 8, "ESCA": 8, "GBM": 8,
    "HNSC": 13, "KICH": 8, "KIRC": 13, "KIRP": 8, "LAML": 8, "LGG": 13, "LIHC": 9, "LUAD": 12, "LUSC": 12,
    "MESO": 8, "OV": 8, "PAAD": 8, "PCPG": 8, "PRAD": 12, "READ": 8, "SARC": 8, "SKCM": 11, "STAD": 10,
    "TGCT": 8, "THCA": 12, "THYM": 8, "UCEC": 13, "UCS": 8, "UVM": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    found, _ = read(Options(n_samples=330, n_genes=400, seed=1), tmp_path_factory.mktemp("none"))
    return found


def test_the_embedded_cohort_has_all_types_in_their_proportions(cohort):
    assert cohort.samples["tumour_type"].value_counts().sort_index().to_dict() == N_SAMPLES
    assert cohort.samples["patient"].nunique() == 329


def test_the_embedded_cohort_carries_its_markers_under_their_names(cohort):
    assert (cohort.genes["marker_of"] != "").sum() == 242
    assert cohort.genes.loc["10630", ["symbol", "chromosome", "start", "marker_of"]].tolist() == [
        "PDPN", "1", 13909960, "MESO",
    ]  # fmt: skip


def test_the_embedded_cohort_has_the_counts_it_had(cohort):
    counts = cohort.expression
    assert cohort.unit == "counts"
    assert counts.sum(dtype=np.float64) == pytest.approx(6.889878e7, rel=0.01)
    assert np.median(counts.sum(axis=1)) == pytest.approx(203_696, rel=0.02)
    assert (counts == 0).mean() == pytest.approx(0.0347, abs=0.002)
    assert np.log2(counts + 1).mean() == pytest.approx(5.882, abs=0.02)


def test_the_split_takes_the_samples_it_took(cohort):
    sides = split_by_patient(cohort.samples, validation=0.1, test=0.1, rng=np.random.default_rng(1))
    assert sides.value_counts().to_dict() == {"train": 262, "validation": 34, "test": 34}
    test = sides.index[sides == "test"]
    assert test[:5].tolist() == [
        "SYN-ACC-0006-01", "SYN-BLCA-0002-01", "SYN-BRCA-0008-01", "SYN-BRCA-0021-01", "SYN-CESC-0001-01",
    ]  # fmt: skip
    of_type = cohort.samples.loc[test, "tumour_type"].value_counts()
    assert of_type.drop("BRCA").unique().tolist() == [1]
    assert (of_type["BRCA"], len(of_type)) == (2, 33)


def test_chromosome_lays_genes_where_it_did():
    chromosomes = ["X", "2", None, "chr10", "2", "Y", "MT", "1", "GL000191.1"]
    genes = pd.DataFrame({"chromosome": chromosomes, "start": [5, 90, None, 1, 7, 3, 2, 50, 4]})
    pixel = place_genes("chromosome", np.zeros((1, 9), np.float32), genes, (3, 3), np.random.default_rng(0))
    #            1  2 2 10 | X Y MT | GL, unplaced
    assert pixel.tolist() == [4, 2, 8, 3, 1, 5, 6, 0, 7]


def test_coexpression_keeps_what_goes_together_together():
    # Two programmes of eight genes each, in alternating columns: each gets one half of the picture.
    rng = np.random.default_rng(0)
    programmes = rng.uniform(0, 1, (60, 2))
    expression = (programmes[:, np.arange(16) % 2] + rng.normal(0, 0.02, (60, 16))).astype(np.float32)
    genes = pd.DataFrame(index=[f"g{number}" for number in range(16)])
    pixel = place_genes("coexpression", expression, genes, (4, 4), np.random.default_rng(0))
    upper, left = set(range(8)), {place for place in range(16) if place % 4 < 2}
    halves = [set(pixel[first::2]) for first in (0, 1)]
    assert upper in halves or left in halves
