import json
import os
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import toy
from expressionist.network.tracing import trace_prediction
from expressionist.training import activation_cache as prefix
from expressionist.training.activation_cache import ActivationCache, digest

N_SAMPLES, BATCH = 50, 4
IDENTITY = {"images": "a", "backbone": "toy", "cut": 3}


class NumpyModel:
    """Two outputs; it counts its images and, without TensorFlow, can be killed in a copy of this process."""

    def __init__(self, then=lambda n_seen: None):
        shapes = {"maps": (None, 3, 2, 5), "flat": (None, 7)}
        self.output = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
        self.n_seen, self.then = 0, then

    def predict(self, images):
        self.n_seen += len(images)
        self.then(self.n_seen)
        flat = images.reshape(len(images), -1)
        maps = np.tile(flat[:, :1], 30).reshape(-1, 3, 2, 5) + np.arange(5)
        return {"maps": maps, "flat": flat[:, :7] * 2}


@pytest.fixture(autouse=True)
def trace_only_real_models(monkeypatch):
    def trace(model):
        return model.predict if isinstance(model, NumpyModel) else trace_prediction(model)

    monkeypatch.setattr(prefix, "trace_prediction", trace)
    monkeypatch.setattr(prefix, "_BATCH_SIZE", BATCH)
    monkeypatch.setattr(prefix, "_ROWS_PER_RECORD", 8)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((N_SAMPLES, 4, 5, 1)).astype(np.float32)


def compute(model, images, folder, identity=IDENTITY, *, on_progress=lambda _: None, **kept):
    return ActivationCache(folder, **kept).compute(model, images, identity, on_progress=on_progress)


def assert_right(found, images):
    expected = NumpyModel().predict(images)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[name].astype(np.float32))


def count_computed(images, folder, identity=IDENTITY, **kept):
    """How many images had to be computed, after which all outputs are right."""
    model = NumpyModel()
    assert_right(compute(model, images, folder, identity, **kept), images)
    return model.n_seen


def compute_and_die(images, folder, n_images):
    """In a copy of this process, which dies after so many images."""
    model = NumpyModel(lambda n_seen: n_seen >= n_images and toy.kill_me())
    assert toy.fork(lambda: compute(model, images, folder)) == -9
    assert entries(folder) == [], "half an entry must not look like a whole one"
    (partial,) = folder.glob(".partial-*")
    return partial


def entries(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_real_models_activations_are_those_it_predicts(images, tmp_path):
    inputs = keras.Input((4, 5, 1))
    outputs = {"maps": keras.layers.Conv2D(3, 2)(inputs), "flat": keras.layers.Flatten()(inputs)}
    model = keras.Model(inputs, outputs)
    expected = model.predict_on_batch(images)
    for name, array in compute(model, images, tmp_path).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6)


def test_the_second_time_nothing_is_computed(images, tmp_path):
    model = NumpyModel()
    assert_right(compute(model, images, tmp_path), images)
    # Images are not even read: names, not contents, say what is in the cache.
    assert_right(compute(model, np.zeros((N_SAMPLES, 0)), tmp_path, dict(reversed(IDENTITY.items()))), images)
    assert model.n_seen == N_SAMPLES
    assert len(entries(tmp_path)) == 1


def test_what_comes_back_is_mapped_and_cannot_be_spoilt(images, tmp_path):
    for _ in range(2):
        for array in compute(NumpyModel(), images, tmp_path).values():
            assert isinstance(array, np.memmap)
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


@pytest.mark.parametrize("key", IDENTITY)
def test_another_fact_gives_another_entry(images, tmp_path, key):
    compute(NumpyModel(), images, tmp_path)
    assert count_computed(images + 1, tmp_path, IDENTITY | {key: "other"}) == N_SAMPLES
    assert count_computed(images, tmp_path) == 0
    assert len(entries(tmp_path)) == 2


def test_digests_depend_on_facts_and_versions_but_not_on_order(monkeypatch):
    one = digest({"a": 1, "b": [2]})
    assert one == digest({"b": [2], "a": 1})
    assert len({one, digest({"a": 1, "b": [3]}), digest({"a": 1}), digest({"a": 1, "c": [2]})}) == 4
    monkeypatch.setattr(keras, "__version__", "99")
    another_keras = digest({"a": 1, "b": [2]})
    monkeypatch.setattr(prefix, "_VERSION", 99)
    assert len({one, another_keras, digest({"a": 1, "b": [2]})}) == 3


@pytest.mark.parametrize("n_samples", [1, BATCH, BATCH + 1, N_SAMPLES])
def test_progress_adds_up_to_the_images_whether_computed_or_found(images, tmp_path, n_samples):
    for n_computed in (n_samples, 0):
        told = []
        assert count_computed(images[:n_samples], tmp_path, on_progress=told.append) == n_computed
        assert sum(told) == n_samples


@pytest.mark.parametrize("n_batches", [1, 2, 3, 6, 13])
def test_after_a_kill_it_goes_on_where_it_was(images, tmp_path, n_batches):
    """At most two batches (a record), and the one in which the copy dies, are computed again."""
    partial = compute_and_die(images, tmp_path, min(n_batches * BATCH, N_SAMPLES))
    recorded = int((partial / "rows").read_text())
    assert n_batches * BATCH - recorded <= 8 + BATCH
    # Every row that counts as done is whole, in every output.
    for name, expected in NumpyModel().predict(images).items():
        kept = np.load(partial / f"{name}.npy")
        np.testing.assert_array_equal(kept[:recorded], expected[:recorded].astype(np.float32))
    told = []
    assert count_computed(images, tmp_path, on_progress=told.append) == N_SAMPLES - recorded
    assert sum(told) == N_SAMPLES


def test_rows_written_but_not_recorded_are_computed_again(images, tmp_path):
    """Rows beyond what was recorded are worth nothing, whatever they hold."""
    partial = compute_and_die(images, tmp_path, 24)
    recorded = int((partial / "rows").read_text())
    assert 0 < recorded < N_SAMPLES
    for path in partial.glob("*.npy"):
        np.load(path, mmap_mode="r+")[recorded:] = np.nan
    assert_right(compute(NumpyModel(), images, tmp_path), images)


def test_killed_before_its_files_were_complete_it_begins_anew(images, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(prefix, "write_record", lambda *args: toy.kill_me())
        assert toy.fork(lambda: compute(NumpyModel(), images, tmp_path)) == -9
    assert list(tmp_path.glob(".partial-*/*.npy"))
    assert_right(compute(NumpyModel(), images, tmp_path), images)


def test_killed_on_the_last_step_nothing_is_lost(images, tmp_path):
    def advance(n):
        done.append(n)
        if sum(done) == N_SAMPLES:
            toy.kill_me()

    done = []
    assert toy.fork(lambda: compute(NumpyModel(), images, tmp_path, on_progress=advance)) == -9
    assert count_computed(images, tmp_path) == 0


def test_an_error_of_the_model_leaves_no_entry_and_no_lock(images, tmp_path):
    def fail(n_seen):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        compute(NumpyModel(fail), images, tmp_path)
    assert entries(tmp_path) == []
    assert_right(compute(NumpyModel(), images, tmp_path), images)


@pytest.fixture
def go_on(images, tmp_path):
    """What lets a copy of this process end that has begun to compute the same activations, and is slow."""
    begun, awaited = tmp_path / "begun", tmp_path / "go_on"

    def wait(n_seen):
        begun.touch()
        wait_for(awaited)

    copy = start_copy(lambda: assert_right(compute(NumpyModel(wait), images, tmp_path / "cache"), images))
    wait_for(begun)
    yield awaited
    awaited.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) == 0


def start_copy(function):
    process = os.fork()
    if process == 0:
        os._exit(toy.fork(function))
    return process


def wait_for(path):
    deadline = time.monotonic() + 300
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_of_two_processes_one_computes_and_the_other_waits(images, tmp_path, go_on):
    def ask_for_something_else():
        compute(NumpyModel(), images, tmp_path / "cache", {"something": "else"})
        go_on.touch()

    # A third is not held up by the first.
    other = start_copy(ask_for_something_else)
    assert count_computed(images, tmp_path / "cache") == 0
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
    assert len(entries(tmp_path / "cache")) == 2


def test_an_entry_says_what_it_is(images, tmp_path):
    compute(NumpyModel(), images, tmp_path)
    (entry,) = entries(tmp_path)
    assert entry.name == digest(IDENTITY | {"dtype": "float32"})
    assert '"backbone": "toy"' in (entry / "identity.json").read_text()


# --- half precision, damage, and room


def test_half_precision_takes_half_the_room_and_rounds(images, tmp_path):
    whole, half = (compute(NumpyModel(), images, tmp_path, dtype=dtype) for dtype in ("float32", "float16"))
    for name, exact in whole.items():
        rounded = half[name]
        assert rounded.dtype == np.float16
        assert rounded.nbytes == exact.nbytes / 2
        np.testing.assert_array_equal(rounded, exact.astype(np.float16))
    assert len(entries(tmp_path)) == 2


def test_what_half_precision_cannot_hold_is_kept_whole(images, tmp_path):
    images[-1] = 1e5
    assert_right(compute(NumpyModel(), images, tmp_path, dtype="float16"), images)
    assert count_computed(images, tmp_path, dtype="float16") == 0


def test_half_precision_of_an_earlier_cut_is_computed_on_in_full(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, {"third": keras.layers.Rescaling(1 / 3)(inputs)})
    earlier = np.random.default_rng(0).random((5, 3)).astype(np.float16)
    found = compute(model, earlier, tmp_path)
    np.testing.assert_allclose(found["third"], earlier.astype(np.float32) / 3, rtol=1e-6)


@pytest.mark.parametrize("damage", ["a byte", "the end", "a file"])
def test_a_damaged_entry_is_computed_again(images, tmp_path, damage):
    compute(NumpyModel(), images, tmp_path)
    (entry,) = entries(tmp_path)
    path = entry / "flat.npy"
    content = path.read_bytes()
    path.unlink()
    if damage != "a file":
        path.write_bytes(content[:-9] if damage == "the end" else content[:-1] + bytes([content[-1] ^ 1]))
    assert count_computed(images, tmp_path) == N_SAMPLES


def test_what_was_used_longest_ago_makes_room(images, tmp_path):
    for name in "abc":
        compute(NumpyModel(), images, tmp_path, {"name": name})
        room = sum(path.stat().st_size for each in entries(tmp_path) for path in each.iterdir())
        time.sleep(0.01)
    # Used again, so the second is now the oldest.
    mapped = compute(NumpyModel(), images, tmp_path, {"name": "a"})
    other = compute(NumpyModel(), images, tmp_path, {"name": "b"})
    time.sleep(0.01)
    compute(NumpyModel(), images, tmp_path, {"name": "a"})
    compute(NumpyModel(), images, tmp_path, {"name": "d"}, most_bytes=room * 2 / 3 + 99)
    kept = {json.loads((each / "identity.json").read_text())["name"] for each in entries(tmp_path)}
    assert kept == {"a", "d"}
    # Who has mapped them reads on, also what was deleted.
    assert_right(mapped, images)
    assert_right(other, images)


def test_an_entry_is_kept_however_little_room_there_is(images, tmp_path):
    assert_right(compute(NumpyModel(), images, tmp_path, most_bytes=1), images)
    assert len(entries(tmp_path)) == 1


def test_what_another_process_is_computing_is_not_evicted(images, tmp_path, go_on):
    compute(NumpyModel(), images, tmp_path / "cache", {"name": "fast"}, most_bytes=1)
    go_on.touch()
    assert count_computed(images, tmp_path / "cache") == 0
    assert len(entries(tmp_path / "cache")) == 2


def test_what_was_never_finished_makes_room_too(images, tmp_path):
    compute_and_die(images, tmp_path, 12)
    compute(NumpyModel(), images, tmp_path, {"another": "one"}, most_bytes=1)
    assert not list(tmp_path.glob(".partial-*"))


def test_what_another_process_moves_away_meanwhile_is_passed_over(images, tmp_path, monkeypatch):
    """Between a look into a folder and one at its files, its owner may finish it or record more rows."""
    compute(NumpyModel(), images, tmp_path, {"name": "finished meanwhile"})
    (entry,) = entries(tmp_path)
    listed = type(entry).iterdir

    def list_and_lose(path):
        found = list(listed(path))
        if path == entry:
            entry.replace(tmp_path / "moved")
        return iter(found)

    monkeypatch.setattr(type(entry), "iterdir", list_and_lose)
    assert_right(compute(NumpyModel(), images, tmp_path, {"name": "another"}, most_bytes=1), images)
