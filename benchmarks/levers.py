"""What each choice is worth: one thing changed at a time, three seeds, validation patients of a real cohort.

Run ``python benchmarks/levers.py [layout] [maps] [genes] ... [--depth 0] [--seeds 1 2 3]``; without names,
all levers. The cohort is ../shared/data/tcga-mirna-32, the network mobilenet with the ImageNet weights of
../shared/weights, everything else as in params.yaml. Patients are divided as the pipeline divides them; test
patients are left alone, because the choices in params.yaml are made from these tables. Prints a table in
Markdown per lever: mean and standard deviation over the seeds, which draw the layout, the head's initial
weights, the dropout and the order of the samples; and the mean seconds of all epochs, without frozen
activations, which are computed once for all levers.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import yaml

from expressionist.commands.params_file import read_params
from expressionist.data.cohort import Cohort
from expressionist.data.expression import to_log2
from expressionist.data.sources import tcga
from expressionist.data.split import split_by_patient
from expressionist.data.units import LOG2_UNIT
from expressionist.network.backbones import find_weights
from expressionist.painting.fitting import fit_imaging
from expressionist.painting.images import ImageSet
from expressionist.params import list_layouts
from expressionist.params.parsing import parse
from expressionist.params.sections import Params
from expressionist.training.activation_cache import ActivationCache
from expressionist.training.finetuner import FineTuned, FineTuner, TrainingData
from expressionist.training.loop import Fit

SHIPPED = Path(__file__).parent.parent / "params.yaml"
DATA, WEIGHTS = Path("../shared/data"), Path("../shared/weights")
# `pathway` needs gene sets, which nobody has for miRNAs.
LEVERS: dict[str, dict[str, dict[str, Any]]] = {
    "layout": {name: {"layout.method": name} for name in list_layouts() if name != "pathway"},
    "maps": {
        str(strides): {"network.strides": strides}
        for strides in ((32,), (16, 32), (8, 32), (4, 32), (4, 8, 32), (2, 4, 8, 32))
    },
    "head": {
        "flatten": {},
        "global_average": {"network.head": "global_average"},
        "global_average, no genes": {"network.head": "global_average", "network.genes": False},
    },
    "precision": {each: {"network.precision": each} for each in ("float16", "float32")},
    "ranks": {f"{each} units": {"network.rank_units": each} for each in (0, 512, 2048)},
    "rank rate": {f"{each:g}": {"training.rank_learning_rate": each} for each in (3e-4, 1e-3, 3e-3)},
    "genes": {str(each): {"network.genes": each} for each in (True, False)},
    "gain": {str(each): {"network.gain": each} for each in (True, False)},
    "dropout": {str(each): {"network.dropout": each} for each in (0.0, 0.5, 0.8, 0.9)},
    "learning rate": {f"{each:g}": {"training.learning_rate": each} for each in (1e-4, 3e-4, 1e-3)},
    "weight decay": {f"{each:g}": {"training.weight_decay": each} for each in (0.0, 1e-2, 1e-1)},
    "class weight": {each: {"training.class_weight": each} for each in ("none", "sqrt", "balanced")},
    "epochs": {str(each): {"training.epochs": each} for each in (6, 12, 24)},
    "side": {str(each): {"network.side": each} for each in (52, 96, 192)},
    "depth": {str(each): {"depth": each} for each in (0, 1, 2)},
}


@dataclass(frozen=True)
class Sides:
    """log2 expression, genes and tumour types of the training and the validation samples."""

    log2: dict[str, np.ndarray]
    types: dict[str, np.ndarray]
    patients: dict[str, np.ndarray]
    genes: pd.DataFrame
    tumour_types: list[str]


def read_cohort(name: str, unit: str) -> Cohort:
    """Read a cohort of ../shared/data, its samples and genes chosen as in params.yaml."""
    files = {
        "expression": f"{name}/expression.tsv.gz",
        "samples": f"{name}/samples.tsv",
        "positions": "gene_positions_grch37.tsv.gz",
    }
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["cohort"]["tcga"]
    options = parse(tcga.Options, {**shipped, **files, "unit": unit}, "tcga")
    with tempfile.TemporaryDirectory() as folder:
        for field, path in files.items():
            suffixes = "".join(Path(path).suffixes)
            (Path(folder) / f"{field}{suffixes}").symlink_to((DATA / path).resolve())
        cohort, _ = tcga.read(options, Path(folder))
    return cohort


def read_sides(params: Params, name: str = "tcga-mirna-32", unit: str = "RPM") -> Sides:
    cohort, split = read_cohort(name, unit), params.split
    sides = split_by_patient(
        cohort.samples, validation=split.validation, test=split.test, rng=np.random.default_rng(split.seed)
    )
    types = pd.Index(cohort.tumour_types).get_indexer(pd.Index(cohort.samples["tumour_type"]))
    rows = {side: (sides == side).to_numpy() for side in ("train", "validation")}
    return Sides(
        {side: to_log2(cohort.expression[taken], cohort.unit) for side, taken in rows.items()},
        {side: types[taken] for side, taken in rows.items()},
        {side: cohort.samples["patient"].to_numpy(str)[taken] for side, taken in rows.items()},
        cohort.genes,
        cohort.tumour_types,
    )


def change(params: Params, changes: dict[str, Any]) -> Params:
    for dotted, value in changes.items():
        section, _, key = dotted.partition(".")
        params = replace(params, **{section: replace(getattr(params, section), **{key: value})})
    return params


def paint(sides: Sides, params: Params, seed: int) -> tuple[TrainingData, np.ndarray]:
    """Fit gene choice, scale and layout on training samples, and paint; return the chosen genes, too."""
    layout, scale, chosen = fit_imaging(
        sides.log2["train"],
        sides.genes,
        method=params.layout.method,
        options=params.layout.options,
        n_genes=params.expression.n_genes,
        shape=None,
        rng=np.random.default_rng(seed),
    )
    images = {
        side: ImageSet(
            layout.paint(scale.apply(log2[:, chosen])),
            sides.types[side],
            # All that they are painted by: settings share one cache.
            f"{side} {params.layout} {params.expression} {seed}",
            sides.patients[side],
        )
        for side, log2 in sides.log2.items()
    }
    data = TrainingData(*images.values(), sides.tumour_types, layout, scale, {"unit": LOG2_UNIT})
    return data, chosen


def train(
    sides: Sides, params: Params, depth: int, seed: int, cache: Path
) -> tuple[FineTuner, FineTuned, np.ndarray]:
    """Paint the samples, and fine-tune the network on them."""
    data, chosen = paint(sides, params, seed)
    return *train_on(data, params, depth, seed, cache), chosen


def train_on(
    data: TrainingData, params: Params, depth: int, seed: int, cache: Path
) -> tuple[FineTuner, FineTuned]:
    """Fine-tune the network on painted samples."""
    found, path = find_weights("mobilenet", "imagenet", WEIGHTS, required=True, seed=1)
    tuner = FineTuner(
        "mobilenet",
        found,
        path,
        data,
        params.network,
        ActivationCache(cache / "prefix", params.network.precision),
        weights_seed=1,
    )
    training = replace(params.training, seed=seed)
    tuned = tuner.fit(depth, params.network.dropout, training, checkpoints=cache / "checkpoints")
    return tuner, tuned


def tell(fits: list[Fit]) -> str:
    """Put what trainings reached, over their seeds, and the seconds of their epochs into cells of a table."""
    told = [
        f"{np.mean(values):.4f} ± {np.std(values):.4f}"
        for key in ("accuracy", "f1_macro", "log_loss")
        for values in [[fit.history[-1][f"validation_{key}"] for fit in fits]]
    ]
    seconds = np.mean([sum(epoch["seconds"] for epoch in fit.history) for fit in fits])
    return " | ".join([*told, f"{seconds:.0f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("levers", nargs="*", help=f"of {', '.join(LEVERS)}")
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    params = read_params(SHIPPED)
    sides = read_sides(params)
    print(f"{len(sides.types['train'])} training and {len(sides.types['validation'])} validation samples")
    known: dict[str, list[Fit]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for lever in arguments.levers or LEVERS:
            print(
                f"\n| {lever} | accuracy | macro-F1 | log-loss | seconds |\n|---|---|---|---|---|", flush=True
            )
            for name, changes in LEVERS[lever].items():
                depth = changes.get("depth", arguments.depth)
                changed = change(params, {key: value for key, value in changes.items() if "." in key})
                if "layout.method" in changes:
                    changed = change(changed, {"layout.options": {}})
                # What params.yaml says is one of the settings of every lever, and trained for the first only.
                if (setting := f"{depth} {changed}") not in known:
                    known[setting] = [
                        train(sides, changed, depth, seed, Path(cache))[1].fit for seed in arguments.seeds
                    ]
                print(f"| {name} | {tell(known[setting])} |", flush=True)


if __name__ == "__main__":
    main()
