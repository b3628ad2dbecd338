"""A small cohort with names like numbers, paths, code and markup, from a folder that a shell would split."""

from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.report.test_page import Outline

from expressionist.data import read_cohort, read_split
from expressionist.evaluation import read_predictions
from expressionist.files import read_json, read_table
from expressionist.tracking import find_version, open_store, read_served
from pipeline.checkout import BACKBONE, EVALUATION, run_stages, write_params

TYPES = ["-x", "01", "1.0", "y, 'z' {{7*7}}", "True", 'a/b "ü" $x^{$ <img src=x onerror=alert(1)>', "sample"]
NAME = "it's [b]<i>x $a$ %s"
HOSTILE = (
    "<script>alert(2)</script>",
    "../../x",
    "[/red]",
    "$\\frac{$",
    "_g",
    "'; DROP TABLE runs;--",
    '"',
    "x" * 300,
)
N_GENES = 60
SECRET = "s3cr3t-c4n4ry"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with the least patients that a split can divide, and all stages up to the report run."""
    folder = tmp_path_factory.mktemp("awkward")
    incoming = folder / "my 'own' dätä"
    incoming.mkdir()
    types = np.repeat(TYPES, 3)
    expression = np.random.default_rng(1).uniform(1, 50, (len(types), N_GENES)).round(3)
    genes = [*HOSTILE, *(f"GEN{number}A" for number in range(N_GENES - len(HOSTILE)))]
    table = pd.DataFrame(expression, columns=genes, index=[f"{number:03d}" for number in range(len(types))])
    table.assign(tumour_type=types).rename_axis("sample").to_csv(incoming / f"{NAME}.csv")
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
            "training.members": 1,
            "search.epochs": 1,
            "search.depths": [0],
            "search.n_trials": 1,
            "baselines.models": ["linear_svm", "k_nearest_neighbours"],
        },
    )
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["cohort"]["table"] |= {"expression": f"{NAME}.csv", "smallest_type": 3, "ids": "other"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, (folder / "said").open("w") as said:
        for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD"):
            patch.setenv(variable, SECRET)
        with redirect_stdout(said), redirect_stderr(said):
            run_stages(
                folder, "fetch", "prepare", "quality", "lists", "split", "layout", "images", "baselines"
            )
            run_stages(
                folder, "tune", "train", "novelty", "evaluate", "repeats", "compare", "ablation", "refit"
            )
            run_stages(folder, "explain", "report", "pack", "register")
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
    assert "rests on 7, and may be chance" in page
    assert "a/b &#34;ü&#34; $x^{$ &lt;img" in page


def test_no_page_holds_a_name_as_markup_and_no_terminal_takes_one_for_it(checkout):
    for page in (checkout / "report/report.html", checkout / "quality/quality.html"):
        outline = Outline(page.read_text(encoding="utf-8"))
        assert (outline.open, outline.unbalanced) == ([], [])
        assert [tag for tag, _ in outline.tags].count("script") == 1
        assert not any(name.startswith("on") for _, attributes in outline.tags for name in attributes)
    assert (checkout.parent / "said").read_text(encoding="utf-8").count(NAME) >= 2  # prepare and register


def test_what_is_registered_goes_by_the_names_and_holds_no_pickle(checkout):
    store = open_store(checkout.parent)
    assert store.client.get_experiment_by_name(NAME) is not None
    served = read_served(find_version(store, "models:/tumour-type@challenger").folder)
    assert (served.cohort, set(HOSTILE) <= set(served.genes.index)) == (NAME, True)
    assert served.tumour_types == tuple(sorted(TYPES))
    files = [path for path in checkout.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
    # What a run was told in secret stands nowhere: database, runs, tables, pages, what was said.
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
