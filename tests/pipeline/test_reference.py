"""The reference's protocol from training to report: one map, no genes, no ranks, and nothing breaks."""

import pandas as pd
import pytest

from expressionist.files.store import read_json, read_table
from expressionist.network.assembly import load_network
from pipeline.checkout import BACKBONE, MODEL, copy_data, run_stages, write_params

NEEDED = ("cohort", "lists", "split.tsv", "layout", "images", "baselines", "search", "novelty", "repeats.tsv")


@pytest.fixture(scope="module")
def reference(tiny, tmp_path_factory):
    """The tiny checkout, trained by the reference's protocol at the depth that the full network has."""
    folder = tmp_path_factory.mktemp("reference") / "checkout"
    copy_data(tiny, folder, *NEEDED)
    write_params(folder, **{"network.protocol": "reference", "training.members": 0})
    run_stages(folder, "train", "evaluate", "compare", "ablation", "refit", "explain", "report")
    return folder


def test_it_sees_the_last_map_averaged_and_nothing_else(reference):
    about = read_json(reference / MODEL / "training.json")
    assert about["strides"] == [32]
    kept = {name: about["params"]["network"][name] for name in ("gain", "head", "genes", "rank_units")}
    assert kept == {"gain": False, "head": "global_average", "genes": False, "rank_units": 0}
    trained = load_network(reference / MODEL / "model.keras").get_layer("tail_and_head")
    (only,) = trained.input.values()
    assert "genes" not in trained.input
    assert trained.get_layer("classifier").kernel.shape[0] == only.shape[-1]


def test_it_is_the_network_that_the_ablation_of_the_full_one_calls_so(tiny, reference):
    full, alone = (read_table(folder / "data/ablation/ablation.tsv") for folder in (tiny, reference))
    assert alone["variant"].unique().tolist() == ["all"]
    scores = [
        table[table["variant"] == variant].reset_index(drop=True).filter(regex="accuracy|f1|log_loss")
        for table, variant in ((full, "reference"), (alone, "all"))
    ]
    pd.testing.assert_frame_equal(*scores, rtol=1e-4, atol=1e-6)


def test_explanation_and_report_tell_of_one_branch(reference):
    assert read_json(reference / "data/attributions/explanation.json")["branches"] == {"maps": 1.0}
    rankings = read_table(reference / "data/attributions/recovery.tsv")["ranking"].unique()
    assert {"maps", "integrated_gradients"} <= {*rankings} - {"genes", "ranks"}
    page = (reference / "data/report/report.html").read_text(encoding="utf-8")
    assert f"{BACKBONE} sees nothing but the picture" in page
    assert "100% (100% to 100%) through the maps" in page
    assert f"{BACKBONE} (reference)" not in page
