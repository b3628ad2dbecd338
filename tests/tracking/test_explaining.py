"""Predictions explained: in the unit and the genes of the model, sample by sample, as a table and as JSON."""

import json

import numpy as np
import pandas as pd
import pytest

import toy
from expressionist.errors import RegistryError
from expressionist.evaluation.novelty import Novelty
from expressionist.files.store import write_arrays
from expressionist.tracking.catalogue import Version
from expressionist.tracking.explaining import (
    N_TOP,
    explain_predictions,
    lengthen,
    make_explainer,
    predict_explained,
    read_ranking,
)
from expressionist.tracking.serving import Served, predict, prepare_table, write_served
from network.parts import N_GENES, SHAPE, make_network

IDS = [f"g{number}" for number in range(N_GENES)]
TYPES = ("BRCA", "KIRC", "UVM")


def draw(n_samples, seed=0):
    names = [f"S{number}" for number in range(n_samples)]
    values = np.random.default_rng(seed).gamma(2, 20, (n_samples, N_GENES)).astype(np.float32)
    return pd.DataFrame(values, names, IDS)


@pytest.fixture(scope="module")
def loaded():
    genes = pd.DataFrame({"symbol": [f"SYM{k}" for k in range(N_GENES)], "fill": 20.0}, index=IDS)
    facts = {"unit": "RSEM", "missing_genes": 0.2, "synthetic": True, "weights": "RANDOM", "cohort": "toy"}
    log2 = np.log2(draw(60, seed=1).to_numpy() + 1)
    novelty = Novelty.fit(log2, np.arange(60) % 3, None, rng=np.random.default_rng(0))
    network = make_network(toy.make_layout(N_GENES, SHAPE), toy.make_scale(N_GENES))
    served = Served(genes=genes, tumour_types=TYPES, about={}, **facts)
    return served, network, novelty.calibrate(novelty.measure(log2), false_alarms=0.05)


def explain(loaded, table, **options):
    prepared, counts, filled = prepare_table(loaded[0], table)
    predictions = predict(*loaded, prepared).assign(**counts)
    given = loaded[0], make_explainer(loaded), prepared, filled, predictions
    return predictions, list(explain_predictions(*given, **options))


def test_every_sample_has_its_genes_with_what_was_measured_of_them(loaded):
    table = draw(3).iloc[:, ::-1]
    table.loc["S1", "g4"] = np.nan
    predictions, found = explain(loaded, table.drop(columns="g7"))
    long = lengthen(predictions, found)
    columns = ["sample", "tumour_type", "direction", "rank", "gene", "symbol", "attribution", "share"]
    assert list(long) == [*columns, "expression", "filled", "completeness_gap"]
    assert set(long["sample"]) == {"S0", "S1", "S2"}
    called = long.groupby("sample")["tumour_type"].first()
    assert called.tolist() == predictions["tumour_type"].tolist()
    measured = [
        20.0 if row.filled else table.loc[row.sample, row.gene] for row in long.itertuples(index=False)
    ]
    np.testing.assert_allclose(long["expression"], measured, rtol=1e-5)
    filled = set(zip(long["sample"][long["filled"]], long["gene"][long["filled"]], strict=True))
    assert filled <= {("S0", "g7"), ("S1", "g7"), ("S2", "g7"), ("S1", "g4")}
    assert long["symbol"].tolist() == [f"SYM{gene[1:]}" for gene in long["gene"]]
    assert ((long["attribution"] > 0) == (long["direction"] == "for")).all()
    assert long.groupby(["sample", "direction"]).size().max() <= N_TOP


def test_a_filled_gene_stands_at_the_reference_and_says_nothing(loaded):
    table = draw(2)
    table["g7"] = np.nan
    _, found = explain(loaded, table)
    assert all("g7" not in set(genes["gene"]) for genes, _ in found)


def test_samples_are_explained_some_at_a_time_and_gaps_are_small(loaded):
    told = []
    _, found = explain(loaded, draw(70), on_progress=told.append)
    assert told == [32, 32, 6]
    gaps = np.array([gap for _, gap in found])
    assert np.median(gaps) <= 0.01
    assert np.percentile(gaps, 95) <= 0.05


def test_the_served_model_gives_json_beside_what_it_predicts(loaded):
    table, explainer = draw(2), make_explainer(loaded)
    found = predict_explained(loaded, explainer, table.rename_axis("sample").reset_index())
    plain = predict(*loaded, table)
    pd.testing.assert_frame_equal(found[plain.columns], plain, rtol=1e-5)
    told = json.loads(found.to_json(orient="records"))
    first = told[0]["explanation"][0]
    assert {"direction": "for", "rank": 1, "filled": False}.items() <= first.items()
    assert list(first) == [
        *("direction", "rank", "gene", "symbol", "attribution", "share"),
        *("expression", "filled"),
    ]
    assert 0 <= told[1]["completeness_gap"] < 0.05
    with pytest.raises(RegistryError, match="gene names, but got ndarray"):
        predict_explained(loaded, explainer, np.zeros((1, 5)))


def test_a_ranking_is_read_with_its_genes_and_types(loaded, tmp_path):
    folder = tmp_path / "artifacts" / "model"
    folder.mkdir(parents=True)
    write_served(folder, loaded[0])
    version = Version("tumour-type", "3", folder)
    with pytest.raises(RegistryError, match="must hang on version 3 of tumour-type, but does not"):
        read_ranking(version)
    (tmp_path / "attributions").mkdir()
    scores = np.random.default_rng(0).normal(size=(3, N_GENES))
    write_arrays(tmp_path / "attributions/attributions.npz", integrated_gradients=scores)
    found = read_ranking(version)
    assert (list(found.index), list(found.columns)) == (list(TYPES), IDS)
    np.testing.assert_array_equal(found, scores)
