"""What cannot be used is refused: exit code 2, one line, nothing half-written, and what stood there stays."""

import pytest

from expressionist.errors import WeightsError
from expressionist.files.store import write_whole
from expressionist.tracking.store import open_store
from pipeline.checkout import copy_data, read_tree, run_stages, stage_command, write_params


def call_stage(call, folder, stage):
    return call(folder, *stage_command(stage)[3:])


@pytest.fixture
def checkout(tmp_path, call):
    """A checkout in which `fetch`, `prepare` and `split` were run."""
    write_params(tmp_path)
    for stage in ("fetch", "prepare", "split"):
        assert call_stage(call, tmp_path, stage)[0] == 0
    return tmp_path


@pytest.mark.parametrize(
    ("stage", "change", "reason"),
    [
        ("split", {"split.tset": 0.1}, "split has no key 'tset'"),
        ("split", {"split.test": 0.9}, "split: test must be at most 0.5, but got 0.9"),
        ("split", {"split.seed": "one"}, "seed must be a whole number, but got 'one'"),
        ("prepare", {"cohort.source": "gtex"}, "gtex"),
        ("prepare", {"cohort.embedded": {"n_samples": 330, "n_gnes": 4}}, "n_gnes"),
        ("fetch", {"cohort.source": "tcga"}, "expression.tsv.gz, which is not there"),
        ("fetch", {"cohort.source": "table"}, "expression.csv, which is not there"),
        ("layout", {"layout.method": "spiral"}, "spiral"),
    ],
)
def test_refused_in_one_line_and_nothing_is_touched(checkout, call, stage, change, reason):
    before = read_tree(checkout / "data")
    write_params(checkout, **change)
    code, printed, said = call_stage(call, checkout, stage)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert said.startswith("expressionist: ")
    assert reason in said
    assert read_tree(checkout / "data") == before


def test_a_changed_weight_is_refused_before_training(tiny, tmp_path, call):
    copy_data(tiny, tmp_path, "split.tsv", "layout", "images", "search")
    write_params(tmp_path, **{"weights.seed": 2})
    code, _, said = call_stage(call, tmp_path, "train")
    assert (code, said.count("\n")) == (2, 1)
    assert "must start from the weights of its search" in said
    assert not (tmp_path / "data/models").exists()


def test_what_could_not_be_downloaded_for_a_search_is_not_asked_for_again(tiny, tmp_path, call, monkeypatch):
    """The tiny search ran on random weights: so does its training, whatever params.yaml hopes for."""
    copy_data(tiny, tmp_path, "split.tsv", "layout", "images", "search")
    write_params(tmp_path, **{"weights.source": "imagenet"})
    opened = []

    def refuse(backbone, weights, network, workspace):
        opened.append(weights.source)
        raise WeightsError("That is enough.")

    monkeypatch.setattr("expressionist.stages.train.open_tuner", refuse)
    code, *_ = call_stage(call, tmp_path, "train")
    assert (code, opened) == (2, ["random"])


def test_required_weights_that_cannot_be_had_are_refused(tiny, tmp_path, call, monkeypatch):
    copy_data(tiny, tmp_path, "split.tsv", "layout", "images")
    write_params(tmp_path, **{"weights.source": "imagenet", "weights.required": True})
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    # As without a network.
    monkeypatch.setattr("expressionist.network.backbones._download", lambda name: None)
    code, _, said = call_stage(call, tmp_path, "tune")
    assert (code, said.count("\n")) == (2, 1)
    assert "Put mobilenet_2_5_224_tf_no_top.h5 into data/weights" in said
    assert not (tmp_path / "data/search").exists()


@pytest.mark.parametrize("command", ["models", "promote", "demote", "history"])
def test_without_a_registered_model_the_stage_to_run_is_named(checkout, call, command):
    code, printed, said = call(checkout, command)
    assert (code, printed) == (2, "")
    assert "has none. Run the stage register there" in said
    open_store(checkout)
    code, printed, said = call(checkout, command)
    assert (code, printed) == (2, "")
    assert said.splitlines()[-1].startswith("expressionist: The model tumour-type must be registered")


def test_a_stage_that_breaks_off_leaves_what_it_wrote_before(checkout, call, monkeypatch):
    call_stage(call, checkout, "layout")
    before = read_tree(checkout / "data")

    def fail(*arguments, **options):
        raise MemoryError

    # After the cohort has been written, before its quality.
    monkeypatch.setattr("expressionist.stages.prepare.write_json", fail)
    with pytest.raises(MemoryError):
        run_stages(checkout, "prepare")
    assert read_tree(checkout / "data") == before


def test_write_whole_mends_what_a_kill_left(tmp_path):
    # A kill can leave a partial folder behind; the next run starts afresh.
    (tmp_path / ".partial-out").mkdir()
    (tmp_path / ".partial-out" / "old").write_text("ol", encoding="utf-8")
    with write_whole(tmp_path / "out") as partial:
        partial.mkdir()
        (partial / "new").write_text("new", encoding="utf-8")
    assert read_tree(tmp_path) == {"out/new": b"new"}
