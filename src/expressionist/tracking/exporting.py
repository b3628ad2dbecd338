"""A registered model for those who have none of this package: TensorFlow's SavedModel, or ONNX."""

import importlib.util
import shutil
from pathlib import Path

from expressionist.errors import RegistryError
from expressionist.files import write_json, write_whole
from expressionist.tracking.catalogue import Version
from expressionist.tracking.serving import load_model

# What an answer means; the temperature is in the exported network.
_TOLD = ("tumour_types", "unit", "abstain_below", "synthetic", "weights", "cohort")


def export_version(version: Version, out: Path, *, onnx: bool = False) -> None:
    """Write the calibrated network of a version so that TensorFlow alone can run it.

    Parameters
    ----------
    version : Version
        From `find_model`.
    out : pathlib.Path
        The folder to make: a SavedModel whose ``serve`` takes expression of shape (n_samples, n_genes),
        float32, to probabilities of shape (n_samples, n_types); beside it ``genes.tsv``, with the genes in
        the network's order and what fills those that are missing, and ``about.json`` with the tumour types in
        the order of the probabilities and the unit.
    onnx : bool
        Whether to write ``model.onnx`` as well.

    Raises
    ------
    RegistryError
        If the folder is there already, the version's files changed, or no converter to ONNX is installed.
    """
    if out.exists():
        raise RegistryError(
            f"An export must go into a new folder, but {out} is there already. Name another, or remove it."
        )
    if onnx and importlib.util.find_spec("tf2onnx") is None:
        raise RegistryError(
            "A converter must be installed to write ONNX, but tf2onnx is not. Run: pip install "
            "'expressionist[onnx]'."
        )
    served, network, _ = load_model(version.folder)
    with write_whole(out) as partial:
        network.export(partial, verbose=False)
        if onnx:
            network.export(partial / "model.onnx", format="onnx", verbose=False)
        shutil.copyfile(version.folder / "genes.tsv", partial / "genes.tsv")
        told = {"model": f"{version.name}/{version.number}" if version.number else version.name}
        write_json(partial / "about.json", told | {name: getattr(served, name) for name in _TOLD})
