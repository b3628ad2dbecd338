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
    """Two outputs of different shape; counts its images, and can be made to do something after each batch.

    It needs no TensorFlow, so it can be killed in a copy of this process.
    """

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


@pytest.fixture
def images():
    return np.random.default_rng(0).random((N_SAMPLES, 4, 5, 1)).astype(np.float32)


@pytest.fixture
def rows_per_record(monkeypatch):
    monkeypatch.setattr(prefix, "_ROWS_PER_RECORD", 8)


def compute(model, images, folder, identity=IDENTITY, *, on_progress=lambda _: None, **kept):
    return ActivationCache(folder, **kept).compute(model, images, identity, on_progress=on_progress)


def assert_right(found, images):
    expected = NumpyModel().predict(images)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[name].astype(np.float32))


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
    assert model.n_seen == N_SAMPLES
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
    model = NumpyModel()
    assert_right(compute(model, images + 1, tmp_path, IDENTITY | {key: "other"}), images + 1)
    assert model.n_seen == N_SAMPLES
    assert_right(compute(model, images, tmp_path), images)
    assert len(entries(tmp_path)) == 2


def test_digests_depend_on_facts_and_versions_but_not_on_order(monkeypatch):
    one = digest({"a": 1, "b": [2]})
    assert one == digest({"b": [2], "a": 1})
    assert len({one, digest({"a": 1, "b": [3]}), digest({"a": 1}), digest({"a": 1, "c": [2]})}) == 4
    monkeypatch.setattr(keras, "__version__", "99")
    another_keras = digest({"a": 1, "b": [2]})
    monkeypatch.setattr(prefix, "_VERSION", 99)
    assert len({one, another_keras, digest({"a": 1, "b": [2]})}) == 3


def test_progress_adds_up_to_the_images_whether_computed_or_found(images, tmp_path):
    for _ in range(2):
        told = []
        compute(NumpyModel(), images, tmp_path, on_progress=told.append)
        assert sum(told) == N_SAMPLES


@pytest.mark.usefixtures("rows_per_record")
@pytest.mark.parametrize("n_batches", [1, 2, 3, 6, 13])
def test_after_a_kill_it_goes_on_where_it_was(images, tmp_path, n_batches):
    """The copy dies in the middle of a batch; at most two batches (a record) and that one are computed
    again."""

    def die(n_seen):
        if n_seen >= min(n_batches * BATCH, N_SAMPLES):
            toy.kill_me()

    assert toy.fork(lambda: compute(NumpyModel(die), images, tmp_path)) == -9
    assert entries(tmp_path) == [], "half an entry must not look like a whole one"
    (partial,) = tmp_path.glob(".partial-*")
    recorded = int((partial / "rows").read_text())
    assert n_batches * BATCH - recorded <= 8 + BATCH
    # Every row that counts as done is whole, in every output.
    for name, expected in NumpyModel().predict(images).items():
        kept = np.load(partial / f"{name}.npy")
        np.testing.assert_array_equal(kept[:recorded], expected[:recorded].astype(np.float32))
    model, told = NumpyModel(), []
    assert_right(compute(model, images, tmp_path, on_progress=told.append), images)
    assert model.n_seen == N_SAMPLES - recorded
    assert sum(told) == N_SAMPLES


@pytest.mark.usefixtures("rows_per_record")
def test_rows_written_but_not_recorded_are_computed_again(images, tmp_path):
    """A record names only what was flushed before it: rows beyond it are worth nothing, whatever they
    hold."""

    def die(n_seen):
        if n_seen > 20:
            toy.kill_me()

    toy.fork(lambda: compute(NumpyModel(die), images, tmp_path))
    (partial,) = tmp_path.glob(".partial-*")
    recorded = int((partial / "rows").read_text())
    assert 0 < recorded < N_SAMPLES
    for path in partial.glob("*.npy"):
        np.load(path, mmap_mode="r+")[recorded:] = np.nan
    assert_right(compute(NumpyModel(), images, tmp_path), images)


def test_killed_before_its_files_were_complete_it_begins_anew(images, tmp_path, monkeypatch):
    def die(*args, **kwargs):
        toy.kill_me()

    def interrupted():
        monkeypatch.setattr(prefix, "write_record", die)
        compute(NumpyModel(), images, tmp_path)

    assert toy.fork(interrupted) == -9
    assert list(tmp_path.glob(".partial-*/*.npy"))
    assert_right(compute(NumpyModel(), images, tmp_path), images)


def test_killed_on_the_last_step_nothing_is_lost(images, tmp_path):
    def advance(n):
        advance.done += n
        if advance.done == N_SAMPLES:
            toy.kill_me()

    advance.done = 0
    assert toy.fork(lambda: compute(NumpyModel(), images, tmp_path, on_progress=advance)) == -9
    model = NumpyModel()
    assert_right(compute(model, images, tmp_path), images)
    assert model.n_seen == 0


def test_an_error_of_the_model_leaves_no_entry_and_no_lock(images, tmp_path):
    def fail(n_seen):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        compute(NumpyModel(fail), images, tmp_path)
    assert entries(tmp_path) == []
    assert_right(compute(NumpyModel(), images, tmp_path), images)


def test_of_two_processes_one_computes_and_the_other_waits(images, tmp_path):
    """The copy has begun and is slow; this process asks for the same and must compute nothing itself."""
    begun, go_on = tmp_path / "begun", tmp_path / "go_on"

    def wait(n_seen):
        begun.touch()
        while not go_on.exists():
            time.sleep(0.01)

    def slow():
        compute(NumpyModel(wait), images, tmp_path / "cache")

    copy = os.fork()
    if copy == 0:
        slow()
        os._exit(0)
    deadline = time.monotonic() + 300
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    other = os.fork()
    if other == 0:
        # A third asks for something else, and is not held up by the first.
        model = NumpyModel()
        compute(model, images, tmp_path / "cache", {"something": "else"})
        go_on.touch()
        os._exit(0)
    model = NumpyModel()
    found = compute(model, images, tmp_path / "cache")
    assert [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in (copy, other)] == [0, 0]
    assert model.n_seen == 0
    assert_right(found, images)
    assert len(entries(tmp_path / "cache")) == 2


def test_an_entry_says_what_it_is(images, tmp_path):
    compute(NumpyModel(), images, tmp_path)
    (entry,) = entries(tmp_path)
    assert entry.name == digest(IDENTITY | {"dtype": "float32"})
    assert '"backbone": "toy"' in (entry / "identity.json").read_text()


@pytest.mark.parametrize("n_samples", [1, BATCH, BATCH + 1])
def test_few_images_are_no_special_case(images, tmp_path, n_samples):
    assert_right(compute(NumpyModel(), images[:n_samples], tmp_path), images[:n_samples])


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
    told = []
    assert_right(compute(NumpyModel(), images, tmp_path, dtype="float16", on_progress=told.append), images)
    model = NumpyModel()
    assert_right(compute(model, images, tmp_path, dtype="float16"), images)
    assert model.n_seen == 0


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
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    if damage == "a file":
        path.unlink()
    else:
        path.write_bytes(content if damage == "a byte" else content[:-9])
    model = NumpyModel()
    assert_right(compute(model, images, tmp_path), images)
    assert model.n_seen == N_SAMPLES


def sized(folder):
    return sum(path.stat().st_size for each in entries(folder) for path in each.iterdir())


def test_what_was_used_longest_ago_makes_room(images, tmp_path):
    for name in "abc":
        compute(NumpyModel(), images, tmp_path, {"name": name})
        room = sized(tmp_path)
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


def test_what_another_process_is_computing_is_not_evicted(images, tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go_on"

    def wait(n_seen):
        begun.touch()
        while not go_on.exists():
            time.sleep(0.01)

    copy = os.fork()
    if copy == 0:
        model = NumpyModel(wait)
        compute(model, images, tmp_path / "cache", {"name": "slow"})
        os._exit(0 if model.n_seen == N_SAMPLES else 1)
    while not begun.exists():
        time.sleep(0.01)
    compute(NumpyModel(), images, tmp_path / "cache", {"name": "quick"}, most_bytes=1)
    go_on.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) == 0
    assert len(entries(tmp_path / "cache")) == 2


def test_what_was_never_finished_makes_room_too(images, tmp_path):
    assert toy.fork(lambda: compute(NumpyModel(lambda n: n > 9 and toy.kill_me()), images, tmp_path)) == -9
    assert list(tmp_path.glob(".partial-*"))
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
