"""One method of pyDeepInsight or TINTOlib on the arrays of a folder; run by benchmarks/layouts.py.

Run ``python benchmarks/peers.py <folder> <method>`` in the environment that layouts.py makes for it. Reads
training.npy and samples.npy, both of shape (n_samples, n_genes), scaled; writes ``<method>.npy`` (flat pixel
of every gene) and prints what it measured as JSON. Loading the libraries is not timed.
"""

import importlib
import importlib.util
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
SEED = 1
Measured = tuple[dict[str, float], np.ndarray]


def time_fit(fit: Callable[[], object]) -> dict[str, float]:
    """Return the seconds that passed, and those of all processors, which other work hardly lengthens."""
    begun, worked = time.perf_counter(), time.process_time()
    fit()
    return {"fit": time.perf_counter() - begun, "fit_cpu": time.process_time() - worked}


def measure_deepinsight(reduction: Callable[[], Any], binning: str, folder: Path, side: int) -> Measured:
    # The package's own __init__ also loads libraries that look into networks, and torchvision with them; the
    # painter does without.
    found = importlib.util.find_spec("pyDeepInsight")
    sys.modules["pyDeepInsight"] = importlib.util.module_from_spec(found)
    painter = importlib.import_module("pyDeepInsight.image_transformer")
    training, samples = np.load(folder / "training.npy"), np.load(folder / "samples.npy")
    model = painter.ImageTransformer(reduction(), binning, (side, side))
    measured = time_fit(lambda: model.fit(training))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        model.transform(samples, img_format="scalar")
        seconds.append(time.perf_counter() - started)
    row, column = model.coords().T
    return measured | {"paint": min(seconds)}, row * side + column


def measure_tintolib(make: Callable[[int], Any], folder: Path, side: int) -> Measured:
    # Their tables end in the class; it is only used to name folders.
    training, samples = (pd.DataFrame(np.load(folder / f"{name}.npy")) for name in ("training", "samples"))
    training["type"], samples["type"] = 0, 0
    model = make(side)
    measured = time_fit(lambda: model.fit(training))
    with tempfile.TemporaryDirectory(dir=folder) as images:
        started = time.perf_counter()
        model.transform(samples, images)
        painted = time.perf_counter() - started
    if hasattr(model, "min_id"):
        # IGTD paints gene index[place] at a place; the table of places that it writes is the inverse of that.
        pixel = np.argsort(model.index[model.min_id])
    else:
        table = model._get_features_mapping()
        pixel = (table["row"] * side + table["column"]).to_numpy().astype(int)
    return measured | {"paint": painted}, pixel


def make_tsne() -> object:
    from sklearn.manifold import TSNE

    return TSNE(n_components=2, metric="cosine", random_state=SEED, n_jobs=-1)


def make_umap() -> object:
    from umap import UMAP

    return UMAP(n_components=2, metric="cosine")


def make_pca() -> object:
    from sklearn.decomposition import PCA

    return PCA(n_components=2, random_state=SEED)


def make_their_deepinsight(algorithm: str, side: int) -> object:
    from TINTOlib.deepInsight import DeepInsight

    return DeepInsight(side, problem="classification", algorithm_rd=algorithm, random_seed=SEED)


def make_tinto(side: int) -> object:
    from TINTOlib.tinto import TINTO

    return TINTO(problem="classification", pixels=side, blur=False, random_seed=SEED)


def make_igtd(side: int) -> object:
    from TINTOlib.igtd import IGTD

    return IGTD(problem="classification", scale=[side, side], random_seed=SEED)


METHODS: dict[str, Callable[[Path, int], Measured]] = {
    "pyDeepInsight t-SNE": lambda *at: measure_deepinsight(make_tsne, "bin", *at),
    "pyDeepInsight UMAP": lambda *at: measure_deepinsight(make_umap, "bin", *at),
    "pyDeepInsight PCA": lambda *at: measure_deepinsight(make_pca, "bin", *at),
    "pyDeepInsight PCA, quantiles": lambda *at: measure_deepinsight(make_pca, "qtb", *at),
    "TINTOlib DeepInsight t-SNE": lambda *at: measure_tintolib(
        lambda side: make_their_deepinsight("t-SNE", side), *at
    ),
    "TINTOlib DeepInsight PCA": lambda *at: measure_tintolib(
        lambda side: make_their_deepinsight("PCA", side), *at
    ),
    "TINTOlib TINTO PCA": lambda *at: measure_tintolib(make_tinto, *at),
    "TINTOlib IGTD": lambda *at: measure_tintolib(make_igtd, *at),
}


def main() -> None:
    folder, method = Path(sys.argv[1]), sys.argv[2]
    n_genes = np.load(folder / "training.npy", mmap_mode="r").shape[1]
    measured, pixel = METHODS[method](folder, int(np.ceil(np.sqrt(n_genes))))
    np.save(folder / f"{method}.npy", pixel)
    # The peak of this program alone: what getrusage tells also counts the program that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e6
    print(json.dumps(measured | {"peak": peak}))


if __name__ == "__main__":
    main()
