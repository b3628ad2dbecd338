import hashlib
import re
import socket

import keras
import numpy as np
import pytest

import toy
from expressionist import backbones
from expressionist.backbones import (
    BACKBONES,
    Weights,
    build_backbone,
    build_untrained,
    find_backbone,
    find_weights,
)
from expressionist.errors import ParamsError, WeightsError

NAME = "mobilenet"
ROW = BACKBONES[NAME]
KERAS_ADDRESS = "keras.src.applications.mobilenet.BASE_WEIGHT_PATH"


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """An empty cache of Keras's; nothing of the user's own is read or written."""
    home = tmp_path / "keras"
    (home / "models").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(home))
    # Keras reads the variable only when it is imported.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(home))
    backbones._download.cache_clear()
    yield home / "models"
    backbones._download.cache_clear()


@pytest.fixture
def offline(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(KERAS_ADDRESS, f"http://127.0.0.1:{port}/")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "weights"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A weights file as Keras serves it, in its older format, of a network that was never trained."""
    path = tmp_path_factory.mktemp("served") / ROW.weights_files[0]
    model = build_untrained(NAME, (32, 32, 3))
    model.save(path)
    return path


def find(folder, *, source="imagenet", required=False, seed=4):
    return find_weights(NAME, source, folder, required=required, seed=seed)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_an_unknown_backbone_names_the_known_ones():
    with pytest.raises(ParamsError, match="xception, densenet169, resnet50, vgg19.*but got 'resnet51'"):
        find_backbone("resnet51")


@pytest.mark.usefixtures("offline")
def test_the_folder_comes_first_then_kerass_cache(folder, keras_cache):
    for n_there, place in enumerate((keras_cache, folder)):
        for file in reversed(ROW.weights_files):
            content = f"{n_there} {file}".encode()
            (place / file).write_bytes(content)
            # What was found before is still there: each new file is preferred to all earlier ones.
            assert find(folder, required=True) == (Weights("imagenet", file, sha256(content)), place / file)


def test_random_weights_are_taken_when_asked_for_whatever_lies_there(folder, keras_cache):
    for place in (folder, keras_cache):
        (place / ROW.weights_files[0]).write_bytes(b"weights")
    weights, path = find(folder, source="random", required=True)
    assert (weights, path) == (Weights("random", "", "random-4"), None)
    assert weights.random


@pytest.mark.usefixtures("offline")
def test_required_weights_that_cannot_be_had_are_refused_with_file_and_folder(folder, keras_cache):
    with pytest.raises(WeightsError) as refusal:
        find(folder, required=True)
    message = str(refusal.value)
    assert f"Put {ROW.weights_files[0]} into {folder}" in message
    assert str(keras_cache) in message
    assert "weights.required" in message
    assert re.match(rf"{NAME} must .+, but got .+\. Put .+\.$", message)


@pytest.mark.usefixtures("offline")
def test_weights_that_are_not_required_fall_back_to_random_ones_that_say_so(folder, keras_cache):
    weights, path = find(folder, seed=9)
    assert (weights, path) == (Weights("random", "", "random-9"), None)
    assert weights.random
    # What Keras began to download must not be taken for weights next time.
    assert list(keras_cache.iterdir()) == []


def test_weights_are_downloaded_once_into_kerass_cache(folder, keras_cache, weights_file, monkeypatch):
    with toy.FileServer(weights_file.parent) as server:
        monkeypatch.setattr(KERAS_ADDRESS, server.url)
        found = [find(folder, required=True) for _ in range(2)]
    assert server.asked == [weights_file.name]
    content = weights_file.read_bytes()
    expected = Weights("imagenet", weights_file.name, sha256(content)), keras_cache / weights_file.name
    assert found == [expected, expected]
    assert not found[0][0].random
    assert found[0][1].read_bytes() == content
    assert list(folder.iterdir()) == []


def test_keras_cache_is_below_home_without_its_variable(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".keras" / "models" / ROW.weights_files[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert find(folder, required=True)[1] == path


def test_both_formats_of_weights_files_are_loaded(weights_file, folder):
    model = keras.saving.load_model(weights_file, compile=False)
    newer = folder / ROW.weights_files[1]
    model.save_weights(newer)
    for path in (weights_file, newer):
        loaded = build_backbone(NAME, (32, 64), path, seed=0)
        for got, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_file_that_does_not_hold_the_weights_is_refused(tmp_path):
    torn = tmp_path / "mobilenet_2_5_224_tf_no_top.h5"
    torn.write_bytes(b"half a download")
    with pytest.raises(WeightsError, match=f"{torn} must hold the weights of mobilenet.*Fetch it again"):
        build_backbone("mobilenet", (32, 32), torn, seed=1)
