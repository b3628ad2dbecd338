"""Which genes a sample lacks can name its tumour type; after preparation nothing of that is left to learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.text_tables import read_numbers
from expressionist.data.sources import tcga
from expressionist.params.parsing import parse
from toy import shipped_options

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "tcga-mirna-32"
TYPES = ("COAD", "LAML", "BRCA", "KIRC")
OPTIONS = shipped_options("tcga", expression="expression.tsv", unit="RPM", more_sample_types={})


def write_cohort_of_two_catalogues(folder, *, n_per_type=30, n_genes=40, seed=0):
    """Noise without any signal, in which COAD and LAML lack the genes that the older catalogue lacked."""
    rng = np.random.default_rng(seed)
    types = np.repeat(TYPES, n_per_type)
    barcodes = [f"TCGA-AA-{k:04d}-01A-11R-A001-13" for k in range(len(types))]
    values = rng.gamma(1, 100, (n_genes, len(types)))
    cells = np.char.mod("%.4f", values)
    cells[:15, np.isin(types, TYPES[:2])] = "NA"
    cells[15:20, types == "LAML"] = "NA"
    cells[20, 7] = "NA"
    pd.DataFrame(cells, [f"hsa-mir-{k}" for k in range(n_genes)], barcodes).to_csv(
        folder / "expression.tsv", sep="\t", index_label="miRNA"
    )
    pd.DataFrame({"barcode": barcodes, "cancer_type": types}).to_csv(
        folder / "samples.tsv", sep="\t", index=False
    )


def read_pattern(folder, cohort):
    """Say for every sample kept which genes of the raw file have no value."""
    (path,) = folder.glob("expression.tsv*")
    form = find_form(path)
    genes, values = read_numbers(path, form, texts=[0], numbers=range(1, len(form.header)), transposed=True)
    raw = pd.DataFrame(np.isnan(values), form.header[1:], genes.iloc[:, 0])
    return raw[~raw.index.duplicated()].loc[cohort.samples.index]


def learn(features, types):
    """Return how often a classifier is right on samples it has not seen."""
    model = DecisionTreeClassifier(max_depth=6, random_state=0)
    return cross_val_score(model, features.astype(np.float32), types, cv=3).mean()


def find_fate(quality):
    """Return the entry on genes that lack values."""
    (entry,) = (rule for rule in quality["genes"]["rules"] if "fate" in rule)
    return entry


def check_that_nothing_is_left(folder):
    cohort, quality = tcga.read(parse(tcga.Options, OPTIONS, "options"), folder)
    types, pattern = cohort.samples["tumour_type"], read_pattern(folder, cohort)
    by_chance = types.value_counts(normalize=True).max()
    before = learn(pattern.to_numpy(), types)
    kept = pattern[cohort.genes.index].to_numpy()
    assert not kept.any()
    assert np.isfinite(cohort.expression).all()
    # A constant pattern leaves a classifier nothing but the most frequent type.
    assert learn(kept, types) == pytest.approx(by_chance, abs=0.01)
    return before, by_chance, cohort, quality


def test_the_pattern_tells_types_apart_before_and_nothing_after(tmp_path):
    write_cohort_of_two_catalogues(tmp_path)
    before, by_chance, cohort, quality = check_that_nothing_is_left(tmp_path)
    assert before > by_chance + 0.2
    assert len(cohort.genes) == 19
    missing = find_fate(quality)
    assert (missing["n"], missing["by_type"]) == (21, {"COAD": 16, "LAML": 20})
    # Nor do the values that are left: they are noise.
    assert learn(np.log2(cohort.expression + 1), cohort.samples["tumour_type"]) < by_chance + 0.15


def test_filling_with_zero_would_leave_the_pattern_in_the_values(tmp_path):
    """Why `missing: zero` is not the default: docs/data.md says so, and so does quality.json."""
    write_cohort_of_two_catalogues(tmp_path)
    options = parse(tcga.Options, {**OPTIONS, "missing": "zero"}, "options")
    cohort, quality = tcga.read(options, tmp_path)
    assert learn(cohort.expression == 0, cohort.samples["tumour_type"]) > 0.4
    assert "can tell types apart" in find_fate(quality)["fate"]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data in {REAL}")
def test_the_real_mirnas_leave_nothing_either(tmp_path):
    for name in ("expression.tsv.gz", "samples.tsv"):
        (tmp_path / name).symlink_to(REAL / name)
    before, by_chance, cohort, quality = check_that_nothing_is_left(tmp_path)
    # Two catalogues: only who measured with the older one can be told from the rest.
    assert before > by_chance + 0.03
    assert len(cohort.genes) == 680
    lacking = find_fate(quality)["by_type"]
    assert all(lacking[name] >= 366 for name in ("COAD", "READ", "OV", "LAML"))
