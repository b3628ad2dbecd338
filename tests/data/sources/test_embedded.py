import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from expressionist.data.resources import read_resource
from expressionist.data.sources.embedded import Options, read
from expressionist.data.sources.embedded.counts import draw_counts
from expressionist.data.sources.embedded.genes import draw_genes
from expressionist.data.sources.embedded.patients import LEAST_PATIENTS, draw_samples, share_out
from expressionist.data.sources.embedded.truth import tell_truth
from expressionist.errors import ParamsError
from expressionist.params.parsing import parse
from rounds import count_rounds

SMALL = Options(n_samples=330, n_genes=600, seed=5)
NOWHERE = Path("no/such/folder")
# Seed → sum of all counts of 330 samples and 600 genes.
TOTALS = {5: 135_786_230, 6: 128_432_377}


@pytest.fixture(scope="module")
def simulated():
    return read(SMALL, NOWHERE)


@pytest.fixture(scope="module")
def cohort(simulated):
    return simulated[0]


@pytest.fixture(scope="module")
def log2(cohort):
    # Depth taken out, so that what is measured is not library size.
    per_sample = cohort.expression.sum(axis=1, keepdims=True)
    return np.log2(cohort.expression / per_sample * per_sample.mean() + 1)


def test_cohort_says_that_it_is_synthetic(simulated):
    cohort, quality = simulated
    assert cohort.synthetic
    assert "SYNTHETIC" in cohort.name
    assert quality["synthetic"] is True


def test_size_and_unit_are_as_asked(cohort):
    assert cohort.expression.shape == (330, 600)
    assert cohort.unit == "counts"
    assert np.array_equal(cohort.expression, np.round(cohort.expression))


def test_every_study_code_is_there_with_enough_patients(cohort):
    patients = cohort.samples.groupby("tumour_type")["patient"].nunique()
    assert list(patients.index) == sorted(read_resource("tumour_types.tsv")["code"])
    assert patients.min() >= 8


def test_same_seed_same_bytes(cohort):
    again, _ = read(SMALL, NOWHERE)
    assert again.expression.tobytes() == cohort.expression.tobytes()
    pd.testing.assert_frame_equal(again.samples, cohort.samples)
    pd.testing.assert_frame_equal(again.genes, cohort.genes)


@pytest.mark.parametrize(("seed", "total"), TOTALS.items())
def test_counts_are_those_of_earlier_versions(seed, total):
    cohort, _ = read(Options(n_samples=330, n_genes=600, seed=seed), NOWHERE)
    # Not to the last count: how a processor rounds may move a draw by one.
    assert cohort.expression.sum(dtype=np.float64) == pytest.approx(total, rel=1e-6)


def test_another_seed_another_cohort(cohort):
    other, _ = read(Options(n_samples=330, n_genes=600, seed=6), NOWHERE)
    assert (other.expression != cohort.expression).mean() > 0.5


def test_patient_is_the_sample_id_without_suffix(cohort):
    assert (cohort.samples.index.str[:-3] == cohort.samples["patient"]).all()
    assert cohort.samples.index.str.fullmatch(r"SYN-[A-Z]{2,4}-\d{4}-0[12]").all()


def test_some_patients_have_a_second_sample(simulated):
    cohort, quality = simulated
    n_second = cohort.samples["patient"].duplicated().sum()
    assert 0 < n_second < 0.1 * len(cohort.samples)
    assert quality["n_second_samples"] == n_second


def test_second_sample_resembles_the_first_more_than_another_patient_of_the_type(cohort, log2):
    first = np.flatnonzero(cohort.samples.index.str.endswith("-02")) - 1
    stranger = [
        np.flatnonzero((cohort.samples["tumour_type"] == kind) & (cohort.samples["patient"] != patient))[0]
        for kind, patient in cohort.samples.iloc[first][["tumour_type", "patient"]].to_numpy()
    ]
    same = np.linalg.norm(log2[first] - log2[first + 1], axis=1)
    assert (same < np.linalg.norm(log2[first] - log2[stranger], axis=1)).mean() > 0.7


def test_markers_carry_their_real_names_types_and_places(cohort):
    markers = read_resource("markers.tsv")
    genes = cohort.genes.loc[markers["entrez"]]
    assert (genes["symbol"].to_numpy() == markers["symbol"]).all()
    assert (genes["chromosome"].to_numpy() == markers["chromosome"]).all()
    assert (genes["start"].to_numpy() == markers["start"]).all()
    assert all(
        kind in owners.split(",") for kind, owners in zip(markers["type"], genes["marker_of"], strict=True)
    )
    planted = cohort.genes["marker_of"]
    assert planted[planted != ""].str.count(",").add(1).sum() == len(markers)


def test_invented_genes_cannot_be_mistaken_for_real_ones(cohort):
    invented = cohort.genes[cohort.genes["marker_of"] == ""]
    assert invented.index.str.fullmatch(r"SYN\d{5}").all()
    assert (invented["symbol"] == invented.index).all()
    assert len(invented) == 600 - read_resource("markers.tsv")["entrez"].nunique()


def test_every_gene_lies_on_its_chromosome(cohort):
    length = read_resource("chromosomes.tsv").set_index("chromosome")["length"]
    assert (cohort.genes["start"] >= 1).all()
    assert (cohort.genes["start"].to_numpy() <= length[cohort.genes["chromosome"]].to_numpy()).all()


def test_markers_are_higher_in_their_types(cohort, log2):
    fold_changes = []
    for gene, owners in enumerate(cohort.genes["marker_of"]):
        if owners:
            own = cohort.samples["tumour_type"].isin(owners.split(",")).to_numpy()
            fold_changes.append(log2[own, gene].mean() - log2[~own, gene].mean())
    assert np.mean(np.array(fold_changes) > 0.5) > 0.9


def test_the_truth_is_what_tumour_cells_show():
    of_genes, of_samples, of_counts = np.random.default_rng(5).spawn(3)
    genes = draw_genes(600, of_genes)
    samples = draw_samples(3300, len(genes.modules), of_samples)
    samples.table["purity"] = 1.0
    counts = draw_counts(genes, samples, of_counts)
    well_seen = counts.mean(axis=0) > 100
    log2 = np.log2(counts[:, well_seen] / samples.depth[:, None] + 1)
    types = samples.table["tumour_type"]
    truth = tell_truth(genes, types)["effect"]
    seen = np.array([log2[types == name].mean(axis=0) - log2[types != name].mean(axis=0) for name in truth])
    expected = truth.to_numpy()[well_seen].T
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.97
    assert np.polyfit(expected.ravel(), seen.ravel(), 1) == pytest.approx([1, 0], abs=0.02)
    # What is left is chance, also of types that lean to relatives: it falls with the number of samples.
    n_samples = types.value_counts()[truth.columns].to_numpy()
    left = np.sqrt(np.mean((seen - expected) ** 2, axis=1) * n_samples)
    assert left.max() < 1.05


def test_the_truth_is_told_beside_the_other_samples(cohort):
    n = cohort.samples["tumour_type"].value_counts()[cohort.truth["effect"].columns].to_numpy()
    # What each type is above all others, weighted back to the common mean, cancels out.
    total = cohort.truth["effect"].to_numpy(float) @ (n * (n.sum() - n))
    assert np.abs(total / n.sum() ** 2).max() < 1e-6


def test_the_truth_names_what_moves_a_gene(cohort):
    effect, kind = (table.stack() for table in cohort.truth.values())
    assert ((effect == 0) == (kind == "")).all()
    raised = effect[effect > 0].index
    for gene, name in raised[kind[raised] == "marker"]:
        assert name in cohort.genes.loc[gene, "marker_of"].split(",")
    assert set(raised[kind[raised] == "relative"].get_level_values(1)) <= set(
        read_resource("relatives.tsv")["type"]
    )
    assert set(kind[effect > 0.5]) == {"marker", "own", "tissue", "module", "relative"}


def test_markers_are_not_the_highest_genes(cohort, log2):
    marker = (cohort.genes["marker_of"] != "").to_numpy()
    highest = np.argsort(-log2.mean(axis=0))[:60]
    assert marker[highest].mean() < 0.5 * marker.mean()


def test_noise_falls_with_the_mean_and_exceeds_poisson(cohort):
    counts = cohort.expression[(cohort.samples["tumour_type"] == "BRCA").to_numpy()].astype(float)
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    low, high = (mean > 4) & (mean < 30), mean > 1000
    variation = np.sqrt(variance) / np.maximum(mean, 1)
    assert np.median(variation[low]) > 1.3 * np.median(variation[high])
    assert np.median(variance[high] / mean[high]) > 10


def test_relatives_are_closer_than_strangers(cohort, log2):
    centre = pd.DataFrame(log2).groupby(cohort.samples["tumour_type"].to_numpy()).mean()
    distance = {
        kind: np.linalg.norm(centre - centre.loc[kind], axis=1) for kind in ("COAD", "KIRC", "GBM", "SKCM")
    }
    nearest = {kind: centre.index[np.argsort(values)[1]] for kind, values in distance.items()}
    assert nearest == {"COAD": "READ", "KIRC": "KIRP", "GBM": "LGG", "SKCM": "UVM"}


def test_genes_correlate_within_a_type(cohort, log2):
    table = pd.DataFrame(log2)
    within = (table - table.groupby(cohort.samples["tumour_type"].to_numpy()).transform("mean")).to_numpy()
    shuffled = np.random.default_rng(1).permuted(within, axis=0)
    # The variance along the first component is what genes have in common.
    real, chance = (np.linalg.svd(part, compute_uv=False)[0] ** 2 for part in (within, shuffled))
    assert real > 1.5 * chance


def test_types_are_about_as_hard_to_tell_apart_as_in_reality():
    cohort, _ = read(Options(n_samples=660, n_genes=1500, seed=2), NOWHERE)
    scaled = StandardScaler().fit_transform(np.log2(cohort.expression + 1))
    truth = cohort.samples["tumour_type"].to_numpy()
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=1)
    held_out = next(folds.split(scaled, truth, cohort.samples["patient"]))[1]
    training = np.setdiff1d(np.arange(len(truth)), held_out)
    model = LogisticRegression(C=0.05, max_iter=100).fit(scaled[training], truth[training])
    predicted = model.predict(scaled[held_out])
    wrong = predicted != truth[held_out]
    assert 0.85 < 1 - wrong.mean() < 0.99
    related = {frozenset(pair) for pair in read_resource("relatives.tsv")[["type", "relative"]].to_numpy()}
    pairs = [frozenset(pair) for pair in zip(predicted[wrong], truth[held_out][wrong], strict=True)]
    assert np.mean([pair in related for pair in pairs]) > 0.5


def test_only_listed_relatives_are_resembled(cohort):
    relatives = read_resource("relatives.tsv")
    allowed = {"": set(), **{kind: set(part["relative"]) for kind, part in relatives.groupby("type")}}
    for kind, part in cohort.samples.groupby("tumour_type"):
        assert set(part["resembles"]) - {""} <= allowed.get(kind, set())
    assert ((cohort.samples["resemblance"] > 0) == (cohort.samples["resembles"] != "")).all()


def test_quality_is_json_and_agrees_with_the_cohort(simulated):
    cohort, quality = simulated
    assert json.loads(json.dumps(quality)) == quality
    assert quality["n_patients"] == cohort.samples["patient"].nunique()
    assert sum(quality["n_samples_per_type"].values()) == len(cohort.samples)
    assert quality["library_size_quantiles"]["0.5"] == pytest.approx(
        np.median(cohort.expression.sum(axis=1)), rel=1e-4
    )


def test_smallest_cohort_has_eight_patients_of_every_type():
    cohort, quality = read(Options(n_samples=264, n_genes=600, seed=1), NOWHERE)
    assert set(quality["n_samples_per_type"].values()) == {8}
    assert cohort.samples["patient"].nunique() == 264


def test_no_room_for_every_marker_is_refused():
    n_markers = read_resource("markers.tsv")["entrez"].nunique()
    with pytest.raises(ParamsError, match=f"n_genes must be at least {n_markers}, but got {n_markers - 1}"):
        parse(Options, {"n_genes": n_markers - 1}, "embedded")
    assert read(Options(n_samples=264, n_genes=n_markers, seed=1), NOWHERE)[1]["n_markers"] == n_markers


def test_no_room_for_every_type_is_refused():
    least = LEAST_PATIENTS * len(read_resource("tumour_types.tsv"))
    with pytest.raises(ParamsError, match=f"n_samples must be at least {least}, but got {least - 1}"):
        parse(Options, {"n_samples": least - 1}, "embedded")
    assert parse(Options, {"n_samples": least}, "embedded").n_samples == least


def test_large_cohort_keeps_the_true_proportions():
    sizes = read_resource("tumour_types.tsv")["n_samples"].to_numpy()
    assert share_out(int(sizes.sum()), sizes).tolist() == sizes.tolist()
    assert share_out(40, np.array([1000, 500, 10])).tolist() == [21, 11, 8]


def test_resources_agree_with_each_other():
    codes = set(read_resource("tumour_types.tsv")["code"])
    markers, relatives = read_resource("markers.tsv"), read_resource("relatives.tsv")
    assert set(markers["type"]) == codes
    assert set(markers["verified"]) == {"yes", "no"}
    assert (markers[["note", "source"]] != "").all(axis=None)
    assert {kind for types in read_resource("tissues.tsv")["types"] for kind in types.split(",")} <= codes
    assert set(relatives["type"]) | set(relatives["relative"]) <= codes
    assert (relatives.groupby("type")["share"].sum() <= 1).all()
    assert ((relatives["least"] < relatives["most"]) & (relatives["most"] <= 1)).all()


# Invariants on awkward input.


@settings(max_examples=count_rounds(4, 8), deadline=None)
@given(st.integers(264, 500), st.integers(243, 700), st.integers(0, 2**40))
def test_any_size_and_seed_gives_a_whole_cohort(n_samples, n_genes, seed):
    cohort, quality = read(Options(n_samples=n_samples, n_genes=n_genes, seed=seed), Path("none"))
    assert cohort.expression.shape == (n_samples, n_genes)
    assert len(cohort.tumour_types) == 33
    assert cohort.samples.groupby("tumour_type")["patient"].nunique().min() >= LEAST_PATIENTS
    assert quality["n_samples"] == n_samples
    assert quality["n_markers"] == (cohort.genes["marker_of"] != "").sum()


@settings(deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.integers(0, 5000))
def test_shares_sum_up_respect_the_floor_and_the_order(sizes, extra):
    n_samples = LEAST_PATIENTS * len(sizes) + extra
    shares = share_out(n_samples, np.array(sizes))
    assert shares.sum() == n_samples
    assert shares.min() >= LEAST_PATIENTS
    ordered = shares[np.argsort(sizes, kind="stable")]
    # A larger type never gets fewer; equal ones may differ by the one sample that was left over.
    smaller_than_next = np.diff(np.sort(sizes)) > 0
    assert (np.diff(ordered)[smaller_than_next] >= 0).all()
    assert (np.diff(ordered)[~smaller_than_next] >= -1).all()
