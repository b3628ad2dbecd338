"""A small cohort whose types look like numbers, columns and paths, from a folder that a shell would split."""

import numpy as np
import pandas as pd
import pytest
import yaml

from expressionist.data import read_cohort, read_split
from expressionist.evaluation import read_predictions
from expressionist.files import read_json, read_table
from pipeline.checkout import BACKBONE, EVALUATION, run_stages, write_params

TYPES = ["-x", "01", "1.0", "=y, 'z'", "True", 'a/b "ü"', "sample"]
N_GENES = 60


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with the least patients that a split can divide, and all stages up to the report run."""
    folder = tmp_path_factory.mktemp("awkward")
    incoming = folder / "my 'own' dätä"
    incoming.mkdir()
    types = np.repeat(TYPES, 3)
    expression = np.random.default_rng(1).uniform(1, 50, (len(types), N_GENES)).round(3)
    genes = [f"GEN{number}A" for number in range(N_GENES)]
    table = pd.DataFrame(expression, columns=genes, index=[f"{number:03d}" for number in range(len(types))])
    table.assign(tumour_type=types).rename_axis("sample").to_csv(incoming / "my expr.csv")
    (incoming / "my genes.txt").write_text("\n".join(genes[:50]), encoding="utf-8")
    write_params(
        folder,
        **{
            "cohort.source": "table",
            "cohort.folder": str(incoming),
            "expression.genes": "my genes.txt",
            "network.strides": None,
            "network.rank_units": 16,
            "training.epochs": 1,
            "search.epochs": 1,
            "search.depths": [0],
            "search.n_trials": 1,
            "baselines.models": ["linear_svm", "k_nearest_neighbours"],
        },
    )
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["cohort"]["table"] |= {"expression": "my expr.csv", "smallest_type": 3}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    run_stages(folder, "fetch", "prepare", "lists", "split", "layout", "images", "baselines", "tune", "train")
    run_stages(folder, "novelty", "evaluate", "repeats", "compare", "explain", "report")
    return folder / "data"


def test_names_are_text_wherever_they_are_read_back(checkout):
    cohort, rows = read_cohort(checkout / "cohort/cohort.h5ad"), read_split(checkout / "split.tsv")
    assert cohort.tumour_types == sorted(TYPES)
    assert rows["tumour_type"].tolist() == cohort.samples["tumour_type"].tolist()
    assert rows.index.tolist() == rows["patient"].tolist() == [f"{number:03d}" for number in range(len(rows))]
    folder = checkout.parent / EVALUATION
    for path in (folder / "predictions.tsv", checkout / "baselines/linear_svm.tsv"):
        facts, probabilities, truth, types = read_predictions(path, "validation", "test")
        assert types == sorted(TYPES)
        assert [types[place] for place in truth] == facts["tumour_type"].tolist()
        assert [types[place] for place in probabilities.argmax(axis=1)] == facts["predicted"].tolist()
    assert read_table(folder / "per_type.tsv")["type"].tolist() == sorted(TYPES)
    assert read_json(checkout / f"models/{BACKBONE}/training.json")["tumour_types"] == sorted(TYPES)
    assert set(read_table(checkout / "attributions/top_genes.tsv")["tumour_type"]) <= set(TYPES)


def test_what_few_samples_cannot_bear_is_left_out_and_said(checkout):
    n_training = (read_split(checkout / "split.tsv")["split"] == "train").sum()
    assert read_json(checkout / "baselines/baselines.json")["k_nearest_neighbours"]["choice"][
        "n_neighbours"
    ] <= (n_training)
    page = (checkout / "report/report.html").read_text(encoding="utf-8")
    assert "rests on 7 validation samples, and may be chance" in page
    assert "a/b &#34;ü&#34;" in page
