"""Five real TCGA cohorts through the stages that need no training; skipped where the data are not."""

import numpy as np
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.data.split import read_split
from expressionist.files.store import read_array, read_json
from expressionist.painting.layout_file import read_layout
from pipeline.checkout import ROOT, run_stages, write_params

SHARED = ROOT.parent / "shared" / "data"
FOLDER = SHARED / "tcga-mrna-5"
POSITIONS = SHARED / "gene_positions_grch37.tsv.gz"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the real data are not at {FOLDER}")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    changes = {"cohort.source": "tcga", "cohort.folder": str(FOLDER), "layout.method": "chromosome"}
    write_params(
        folder, **changes, **{"cohort.tcga.positions": f"../{POSITIONS.name}", "expression.n_genes": 30000}
    )
    run_stages(folder, "fetch", "prepare", "lists", "split", "layout", "images")
    return folder / "data"


def test_the_tumour_samples_are_there_and_the_normals_are_not(real):
    cohort = read_cohort(real / "cohort/cohort.h5ad")
    assert cohort.expression.shape == (300, 20531)
    assert cohort.samples["tumour_type"].value_counts().to_dict() == {
        "ACC": 79, "CHOL": 36, "DLBC": 48, "UCS": 57, "UVM": 80,
    }  # fmt: skip
    assert (cohort.unit, cohort.synthetic) == ("RSEM", False)


def test_the_normals_stand_aside(real):
    normals = read_cohort(real / "cohort/normals.h5ad")
    assert normals.samples["tumour_type"].value_counts().to_dict() == {"CHOL": 9}
    assert set(normals.samples["sample_type_code"]) == {"11"}


def test_what_was_read_is_named(real):
    files = read_json(real / "raw/manifest.json")["files"]
    assert {name.partition(".")[0] for name in files} == {"expression", "samples", "positions"}
    assert files["expression.tsv.gz"]["bytes"] == (FOLDER / "expression.tsv.gz").stat().st_size


def test_a_known_gene_is_where_it_belongs(real):
    _, _, genes, _ = read_layout(real / "layout")
    # Tyrosinase: Entrez 7299, chromosome 11.
    assert (genes.loc["7299", "symbol"], str(genes.loc["7299", "chromosome"])) == ("TYR", "11")


def test_neighbours_on_the_picture_are_neighbours_on_the_chromosome(real):
    layout, _, genes, about = read_layout(real / "layout")
    placed = genes.iloc[np.argsort(layout.pixel)]
    n_unplaced = about["n_without_position"]
    assert n_unplaced == placed["start"].isna().sum()
    # 19,947 are found by Entrez id; those without a place stand last.
    assert about["n_genes"] - n_unplaced <= 19947
    assert n_unplaced < 0.05 * len(placed)
    assert placed["start"].iloc[len(placed) - n_unplaced :].isna().all()
    one = placed[placed["chromosome"].astype(str) == "7"]
    assert one["start"].is_monotonic_increasing


def test_a_marker_is_bright_in_its_own_type(real):
    # Uveal melanoma expresses tyrosinase; of the five types no other does.
    layout, _, genes, _ = read_layout(real / "layout")
    row, column = (int(genes.loc["7299", name]) for name in ("row", "column"))
    split = read_split(real / "split.tsv")
    training = split[split["split"] == "train"]
    images = read_array(real / "images/train.npy")
    assert images.shape == (len(training), *layout.shape, 1)
    assert 0 <= images.min() <= images.max() <= 1
    means = training.assign(brightness=images[:, row, column, 0]).groupby("tumour_type")["brightness"].mean()
    assert means.idxmax() == "UVM"
    assert means["UVM"] > means.drop("UVM").max() + 0.3
