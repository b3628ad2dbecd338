"""A table predicted in pieces: a break costs one, and the table is the same as without it."""

import numpy as np
import pandas as pd
import pytest

from expressionist.commands import prediction as module
from expressionist.commands.prediction import Prediction, PredictionRequest
from expressionist.errors import CohortError, RegistryError
from expressionist.files.locks import lock_file
from expressionist.tracking.prediction_log import read_log
from small_version import seal_small_version

GENES = ["TP53", "KRAS", "EGFR"]
N_SAMPLES = 22


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return seal_small_version(tmp_path_factory.mktemp("version"), GENES, scale=0.001)


@pytest.fixture
def table(tmp_path, monkeypatch, version):
    """Samples in two groups of rows, predicted four at a time."""
    monkeypatch.setattr(module, "_N_SAMPLES", 4)
    values = np.random.default_rng(1).gamma(2, 100, size=(N_SAMPLES, 3))
    names = [f"S{number}" for number in range(N_SAMPLES)]
    frame = pd.DataFrame(values, names, GENES, "float32")
    frame.to_parquet(tmp_path / "table.parquet", row_group_size=9)
    (tmp_path / "model").symlink_to(version)
    return tmp_path / "table.parquet"


def ask(table, **options):
    given = {"unit": None, "genes_in": "auto", "replicates": "first", "gene_lengths": None, "explain": None}
    given |= {"nomenclature": None, "align": "none", "log": None, "out": table.with_name("out.tsv")}
    return Prediction(None, PredictionRequest(table, str(table.with_name("model")), **given | options))


def test_it_says_what_probabilities_are_among_and_how_little_no_flag_proves(table):
    scope = ask(table).said[1]
    assert scope.startswith("Probabilities are among the ")
    assert scope.endswith("mostly not flagged, and normal tissue hardly ever is.")


def run(prediction, break_after=None):
    """Predict; after so many samples break off as a person would. Gives how many were predicted now."""
    n_done = []

    def note(n_samples):
        n_done.append(n_samples)
        if break_after is not None and sum(n_done) >= break_after:
            raise KeyboardInterrupt

    with prediction.keep() as folder:
        prediction.work(folder, note)
        list(prediction.finish(folder))
    return n_done


def list_left(table):
    return [path.name for path in table.parent.iterdir() if path.name.startswith(".")]


def break_off(table, **options):
    with pytest.raises(KeyboardInterrupt):
        run(ask(table, **options), break_after=9)


def count_predicted(monkeypatch):
    counted, predict = [], module.predict
    monkeypatch.setattr(
        module, "predict", lambda *given, **more: counted.append(1) or predict(*given, **more)
    )
    return counted


def test_a_break_leaves_no_table_and_what_is_done_is_not_done_again(table, monkeypatch):
    run(ask(table, out=table.with_name("whole.tsv")))
    break_off(table)
    assert not (table.parent / "out.tsv").exists()
    counted = count_predicted(monkeypatch)
    assert sum(run(ask(table))) == N_SAMPLES
    assert len(counted) == 3
    assert (table.parent / "out.tsv").read_bytes() == (table.parent / "whole.tsv").read_bytes()
    assert list_left(table) == []


@pytest.mark.parametrize("change", ["table", "options"])
def test_what_was_done_of_something_else_is_done_away_with(table, monkeypatch, change):
    break_off(table)
    (left,) = list_left(table)
    if change == "table":
        pd.read_parquet(table).add(1).to_parquet(table)
    counted = count_predicted(monkeypatch)
    run(ask(table, **({"replicates": "mean"} if change == "options" else {})))
    assert len(counted) == 6
    assert list_left(table) == []
    assert left


def test_the_pieces_make_the_table_that_one_piece_makes(table, monkeypatch):
    run(ask(table))
    monkeypatch.setattr(module, "_N_SAMPLES", 1000)
    run(ask(table, out=table.with_name("one.tsv")))
    read = [pd.read_csv(table.with_name(name), sep="\t") for name in ("out.tsv", "one.tsv")]
    pd.testing.assert_frame_equal(*read, rtol=1e-5)


def test_samples_that_lack_too_much_are_refused_before_any_is_predicted(table, monkeypatch):
    frame = pd.read_parquet(table)
    frame.iloc[-1, :2] = np.nan
    frame.to_parquet(table)
    counted = count_predicted(monkeypatch)
    with pytest.raises(RegistryError, match="1 samples lack more, up to 2: S21"):
        ask(table)
    assert counted == []


def test_a_table_that_changes_meanwhile_is_not_mixed(table):
    prediction = ask(table)
    pd.read_parquet(table).add(1).to_parquet(table)
    with pytest.raises(CohortError, match="must stay as it is"):
        run(prediction)
    assert not (table.parent / "out.tsv").exists()


def test_two_processes_do_not_write_one_table(table):
    prediction = ask(table)
    with prediction.keep() as folder:
        with pytest.raises(RegistryError, match="one process at a time"), prediction.keep():
            pass
        with lock_file(folder / ".lock", wait=False) as held:
            assert not held
        prediction.work(folder, lambda _: None)


def test_a_table_is_logged_once_however_often_it_breaks(table):
    break_off(table, log=table.parent / "log")
    for _ in range(2):
        run(ask(table, log=table.parent / "log"))
    log, _ = read_log(table.parent / "log")
    assert len(log) == N_SAMPLES
    told = pd.read_csv(table.with_name("out.tsv"), sep="\t")
    np.testing.assert_allclose(log["probability"], told["probability"])


def test_without_a_table_to_write_nothing_is_left(table):
    prediction = ask(table, out=None)
    with prediction.keep() as folder:
        prediction.work(folder, lambda _: None)
        shown = b"".join(prediction.show(folder)).decode()
    assert len(shown.splitlines()) == N_SAMPLES + 1
    assert not folder.exists()
    assert list_left(table) == []
