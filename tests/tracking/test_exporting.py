import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expressionist.errors import RegistryError
from expressionist.evaluation.novelty import Novelty
from expressionist.tracking.catalogue import Version
from expressionist.tracking.exporting import export_version
from expressionist.tracking.model_folder import NOVELTY_FILE, seal
from expressionist.tracking.serving import Served, load_model, write_served

N_GENES = 40
WITH_CONVERTER = importlib.util.find_spec("tf2onnx") is not None


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A network of this package's layers, which nobody else has."""
    import keras

    from expressionist.network.layers import Log2, Paint, PixelScaling, Rescale, Temperature

    folder = tmp_path_factory.mktemp("version")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((N_GENES,), name="expression")
    painted = Paint(N_GENES, (7, 7), name="paint")(Rescale(N_GENES)(Log2()(inputs)))
    maps = keras.layers.Conv2D(4, 3)(PixelScaling("tf")(painted))
    logits = Temperature(name="temperature")(keras.layers.Dense(2)(keras.layers.Flatten()(maps)))
    network = keras.Model(inputs, keras.layers.Softmax()(logits))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 49, N_GENES).astype(np.int32)
    network.get_layer("paint").pixel.assign(pixels)
    network.save(folder / "model.keras")
    ids = [f"g{number}" for number in range(N_GENES)]
    genes = pd.DataFrame({"symbol": ids, "fill": 1.0}, index=pd.Index(ids, name="gene"))
    log2 = rng.gamma(2, size=(20, N_GENES)).astype(np.float32)
    novelty = Novelty.fit(log2, np.arange(20) % 2, None, rng=rng)
    np.savez(folder / NOVELTY_FILE, **novelty.calibrate(novelty.measure(log2), false_alarms=0.1).to_arrays())
    served = Served(genes, ("A", "B"), "RSEM", 0.4, True, "RANDOM", "toy", {}, temperature=3.0)  # noqa: FBT003
    write_served(folder, served)
    seal(folder)
    return Version("tumour-type", "4", folder)


def predict(version: Version) -> tuple[np.ndarray, np.ndarray]:
    expression = np.random.default_rng(1).gamma(1, 100, (50, N_GENES)).astype(np.float32)
    return expression, load_model(version.folder)[1].predict(expression, verbose=0)


def test_tensorflow_alone_gives_what_the_network_gives(version: Version, tmp_path: Path) -> None:
    import tensorflow as tf

    out = tmp_path / "exported"
    export_version(version, out)
    expression, expected = predict(version)
    loaded = tf.saved_model.load(out)
    np.testing.assert_allclose(loaded.serve(expression), expected, atol=1e-5)
    assert expected.std(axis=0).min() > 1e-3
    assert (out / "genes.tsv").read_bytes() == (version.folder / "genes.tsv").read_bytes()
    about = json.loads((out / "about.json").read_text(encoding="utf-8"))
    assert about["model"] == "tumour-type/4"
    assert (about["tumour_types"], about["unit"]) == (["A", "B"], "RSEM")
    assert (about["synthetic"], about["weights"]) == (True, "RANDOM")
    with pytest.raises(RegistryError, match="new folder, but .* is there already"):
        export_version(version, out)


@pytest.mark.skipif(not WITH_CONVERTER, reason="tf2onnx is not installed")
def test_onnx_gives_what_the_network_gives(version: Version, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    export_version(version, tmp_path / "exported", onnx=True)
    expression, expected = predict(version)
    session = runtime.InferenceSession(tmp_path / "exported/model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: expression})
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.skipif(WITH_CONVERTER, reason="tf2onnx is installed")
def test_without_a_converter_nothing_is_written(version: Version, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"Run: pip install 'expressionist\[onnx\]'"):
        export_version(version, tmp_path / "exported", onnx=True)
    assert list(tmp_path.iterdir()) == []
