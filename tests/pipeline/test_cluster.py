"""Painting and the frozen prefix on two worker processes: as by one, also where some are killed."""

import os
import signal

import keras
import numpy as np
import pandas as pd
import pytest

import cluster
import toy
from expressionist.data.cohort_file import write_cohort
from expressionist.data.split import write_split
from expressionist.errors import CohortError
from expressionist.files.store import read_json, write_array, write_json
from expressionist.network.assembly import image_front
from expressionist.network.backbones import build_backbone, find_backbone
from expressionist.network.cut import continue_from, divide
from expressionist.network.tracing import trace_prediction
from expressionist.painting.layout_file import write_layout
from expressionist.stages import images as stage
from expressionist.training import activation_cache as prefix
from expressionist.training.activation_cache import ActivationCache
from forked import Forked
from pipeline.checkout import environment, read_tree

N_SAMPLES, BATCH = 50, 4
# Of activations: another process, with another number of threads, may round a last bit differently.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def workers():
    with cluster.start_cluster(2) as started:
        yield started


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(prefix, "_ROWS_PER_SHARD", 2 * BATCH)
    monkeypatch.setattr(stage, "N_ROWS", 16)


# --- painting


@pytest.fixture
def prepared(tmp_path):
    """Write outputs of `prepare`, `split` and `layout`; the sides are spread over the cohort."""
    cohort = toy.make_cohort(60, 40)
    sides = np.array(["train", "train", "validation", "test", "train"])[np.arange(180) % 5]
    layout, scale = toy.make_layout(30, (6, 5)), toy.make_scale(30)
    write_cohort(tmp_path / "cohort" / "cohort.h5ad", cohort)
    write_split(tmp_path / "split.tsv", cohort, pd.Series(sides, index=cohort.samples.index))
    about = {"unit": cohort.unit, "synthetic": True}
    write_layout(tmp_path / "layout", layout, scale, cohort.genes.loc[layout.genes], about)
    return {"cohort": tmp_path / "cohort", "split": tmp_path / "split.tsv", "layout": tmp_path / "layout"}


def test_painted_images_are_the_same_bytes(prepared, tmp_path, workers):
    stage.run(**prepared, scheduler=None, out=tmp_path / "here")
    stage.run(**prepared, scheduler=workers.scheduler_address, out=tmp_path / "there")
    here, there = read_tree(tmp_path / "here"), read_tree(tmp_path / "there")
    assert set(here) == set(
        "train.npy validation.npy test.npy images.json preview.png differences.png".split()
    )
    assert there == here


def test_painting_outlives_a_worker(prepared, tmp_path, workers, monkeypatch):
    def kill_one(*args, **kwargs):
        for number, shard in enumerate(run_shards(*args, **kwargs)):
            if number == 0:
                os.kill(cluster.list_workers(workers)[0], signal.SIGKILL)
            yield shard

    run_shards = stage.run_shards
    stage.run(**prepared, scheduler=None, out=tmp_path / "here")
    monkeypatch.setattr(stage, "run_shards", kill_one)
    stage.run(**prepared, scheduler=workers.scheduler_address, out=tmp_path / "there")
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")


def test_a_refused_painting_leaves_the_old(prepared, tmp_path, workers, monkeypatch):
    """When the workers open the layout, its image is too small for its pixels."""
    out = tmp_path / "images"
    stage.run(**prepared, scheduler=None, out=out)
    before = read_tree(out)

    def break_layout(*args):
        path = tmp_path / "layout" / "layout.json"
        write_json(path, read_json(path) | {"shape": [1, 1]})
        return allocate(*args)

    allocate = stage.allocate_rows
    monkeypatch.setattr(stage, "allocate_rows", break_layout)
    with pytest.raises(CohortError, match="Pixels must lie"):
        stage.run(**prepared, scheduler=workers.scheduler_address, out=out)
    assert read_tree(out) == before
    assert not list(tmp_path.glob(".partial-*"))


# --- the frozen prefix


@pytest.fixture
def images(tmp_path):
    painted = np.random.default_rng(0).random((N_SAMPLES, 8, 8, 1)).astype(np.float32)
    write_array(tmp_path / "images.npy", iter([painted]), painted.shape)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


@pytest.fixture(scope="module")
def networks():
    """Images → activations of an early cut; those → activations of a later one."""
    backbone = build_backbone("mobilenet", (32, 32), None, seed=0)
    front = image_front((8, 8), 4, find_backbone("mobilenet").mode)
    later, division = (divide(backbone, depth, (8, 32)) for depth in (0, 2))
    early = keras.Model(front.input, division.prefix(front.output))
    part = continue_from(backbone, division.kept[-1:], later.kept[-1:])
    given = keras.Input(part.inputs[0].shape[1:])
    return early, keras.Model(given, part([given]))


def make_model(factor=2.0):
    pixels = keras.Input((8, 8, 1))
    return keras.Model(pixels, {"scaled": keras.layers.Rescaling(factor)(pixels)})


def compute(model, inputs, folder, *, identity=None, on_progress=lambda _: None, **kept):
    cache = ActivationCache(folder, **kept)
    return cache.compute(model, inputs, identity or {"images": "a"}, on_progress=on_progress)


def list_entries(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".lock" not in path.name)


def test_activations_are_those_of_one_process(images, networks, tmp_path, workers):
    inputs = {"here": images, "there": images}
    for number, model in enumerate(networks):
        told, about = [], {"identity": {"cut": number}, "dtype": "float16"}
        here = compute(model, inputs["here"], tmp_path / "here", **about)
        about |= {"scheduler": workers.scheduler_address, "on_progress": told.append}
        there = compute(model, inputs["there"], tmp_path / "there", **about)
        assert sum(told) == N_SAMPLES
        assert len(told) > 2
        assert here.keys() == there.keys() == model.output.keys()
        for name, found in there.items():
            assert found.dtype == np.float16
            np.testing.assert_allclose(found, here[name], rtol=2e-3, atol=1e-3)
        inputs = {"here": list(here.values())[-1], "there": list(there.values())[-1]}
    # Who computed them does not show in their names, nor in what else lies there.
    assert list_entries(tmp_path / "there") == list_entries(tmp_path / "here")


def test_what_lies_in_no_file_of_its_own_is_the_same(images, tmp_path, workers):
    doubling = make_model()
    for name, given in (("memory", np.array(images)[:9]), ("part", images[3:12]), ("turned", images[::-1])):
        found = compute(doubling, given, tmp_path / name, scheduler=workers.scheduler_address)
        np.testing.assert_array_equal(found["scaled"], 2 * given)


def test_images_painted_anew_under_the_same_name_are_not_taken(images, tmp_path):
    """The file has been replaced, as `dvc repro` does; the map still shows the old one."""
    before = np.array(images)
    write_array(tmp_path / "images.npy", iter([1 - before]), images.shape)
    assert prefix._place(images, tmp_path / "copy.npy") == tmp_path / "copy.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "copy.npy"), before)
    fresh = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert prefix._place(fresh, tmp_path / "none.npy") == tmp_path / "images.npy"


def test_the_prefix_outlives_a_worker(images, networks, tmp_path, workers):
    def kill_one(n_done):
        told.append(n_done)
        if len(told) == 2:  # the first says what was there before
            os.kill(cluster.list_workers(workers)[-1], signal.SIGKILL)

    told, (early, _) = [], networks
    about = {"scheduler": workers.scheduler_address, "on_progress": kill_one}
    there = compute(early, images, tmp_path / "there", **about)
    assert sum(told) == N_SAMPLES
    for name, expected in compute(early, images, tmp_path / "here").items():
        np.testing.assert_allclose(there[name], expected, **CLOSE)


def test_what_half_precision_cannot_hold_is_kept_whole(images, tmp_path, workers):
    about = {"dtype": "float16", "scheduler": workers.scheduler_address}
    found = compute(make_model(1e6), images, tmp_path, **about)["scaled"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images * np.float32(1e6), rtol=1e-6)


def compute_and_die(folder, address):
    def die(n_done):
        told.append(n_done)
        if len(told) == 3:
            toy.kill_me()

    told = []
    prefix._ROWS_PER_SHARD, prefix._BATCH_SIZE = 2 * BATCH, BATCH
    images = np.load(folder / "images.npy", mmap_mode="r")
    compute(make_model(), images, folder / "cache", scheduler=address, on_progress=die)


def test_after_a_kill_of_the_command_one_process_goes_on(images, tmp_path, workers, monkeypatch):
    """Shards that were done, in whatever order, are not computed again, and nothing is left behind."""
    log = tmp_path / "killed.log"
    about = {"folder": tmp_path, "environment": environment(), "stdout": log, "stderr": log}
    killed = Forked(compute_and_die, tmp_path, workers.scheduler_address, **about)
    assert killed.wait(600) == -signal.SIGKILL, log.read_text()[-3000:]
    (partial,) = (tmp_path / "cache").glob(".partial-*")
    done = prefix.read_record(partial / "rows")
    n_done = sum(last - first for first, last in done)
    assert n_done == 16
    assert list(partial.glob("shared-*"))
    for first, last in done:
        rows = np.load(partial / "scaled.npy")[first:last]
        np.testing.assert_array_equal(rows, 2 * images[first:last])

    def trace_counting(model):
        def predict(parts):
            n_seen.append(len(parts))
            return traced(parts)

        traced = trace_prediction(model)
        return predict

    n_seen, told = [], []
    monkeypatch.setattr(prefix, "trace_prediction", trace_counting)
    found = compute(make_model(), images, tmp_path / "cache", on_progress=told.append)
    np.testing.assert_array_equal(found["scaled"], 2 * images)
    assert sum(n_seen) == N_SAMPLES - n_done
    assert sum(told) == N_SAMPLES
    assert not list((tmp_path / "cache").rglob("shared-*"))


def test_what_one_process_has_begun_a_cluster_finishes(images, tmp_path, workers, monkeypatch):
    def stop(n_done):
        told.append(n_done)
        if sum(told) > 16:
            raise KeyboardInterrupt

    monkeypatch.setattr(prefix, "_ROWS_PER_RECORD", 2 * BATCH)
    monkeypatch.setattr(prefix, "_BATCH_SIZE", BATCH)
    told = []
    with pytest.raises(KeyboardInterrupt):
        compute(make_model(), images, tmp_path, on_progress=stop)
    told.clear()
    about = {"scheduler": workers.scheduler_address, "on_progress": told.append}
    found = compute(make_model(), images, tmp_path, **about)
    assert told[0] == 16
    assert sum(told) == N_SAMPLES
    np.testing.assert_array_equal(found["scaled"], 2 * images)
