"""Does ImageNet help, does unfreezing: pretrained against random weights at every depth, on real cohorts.

Run ``python benchmarks/pretraining.py --cohort tcga-mrna-7 [--backbones mobilenet xception] [--depths 0 1 2
4] [--heads reference picture full] [--sources imagenet random] [--seeds 1 2 3]``. The cohort is one of
../shared/data, the weights are those of ``--weights`` (../shared/weights has mobilenet's, and a script that
writes xception's). Patients are divided as the pipeline divides them, and test patients are left alone.
Heads: the reference's protocol (the last map averaged, a dense head); the picture alone with places kept; the
picture with the genes' linear path beside it. Each is trained as params.yaml says on three folds of the
training and validation patients, and judged by the samples left out; as in a search, no pixel is stretched by
what types teach. Prints a table in Markdown: mean and standard deviation over the seeds, which deal the folds
and draw layout, random weights, dropout and order.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from levers import SHIPPED, change, paint, read_sides

from expressionist.commands.params_file import read_params
from expressionist.network.backbones import find_weights
from expressionist.params.sections import Params, follow_reference
from expressionist.training.activation_cache import ActivationCache
from expressionist.training.finetuner import FineTuner

UNITS = {"tcga-mrna-7": "RSEM", "tcga-mirna-32": "RPM"}
HEADS = {
    "reference": {"network.protocol": "reference"},
    "picture": {"network.genes": False, "network.rank_units": 0},
    "full": {"network.rank_units": 0},
}
N_FOLDS = 3


def judge(tuner: FineTuner, depth: int, params: Params, seed: int, folder: Path) -> dict[str, float]:
    """Train at a depth on every fold; average what the last epochs reached on the samples left out."""
    training = replace(params.training, seed=seed)
    last = [
        tuner.fit(
            depth, params.network.dropout, training, checkpoints=folder, fold=fold, shares={}
        ).fit.history[-1]
        for fold in tuner.deal(N_FOLDS, seed)
    ]
    return {name: float(np.mean([row[f"validation_{name}"] for row in last])) for name in MEASURES}


MEASURES = ("accuracy", "f1_macro", "log_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", choices=UNITS, required=True)
    parser.add_argument("--backbones", nargs="+", default=["mobilenet"])
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--sources", nargs="+", default=["imagenet", "random"])
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1, 2, 4, 6])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    params = read_params(SHIPPED)
    sides = read_sides(params, asked.cohort, UNITS[asked.cohort])
    painted = {seed: paint(sides, params, seed)[0] for seed in asked.seeds}
    print("| backbone | head | depth | weights | accuracy | macro-F1 | log-loss | s of processor |")
    print("|---|---|---|---|---|---|---|---|")
    for backbone in asked.backbones:
        for source in asked.sources:
            for head in asked.heads:
                changed = change(params, HEADS[head])
                if head == "reference":
                    changed = replace(changed, training=follow_reference(changed.training))
                found: dict[int, list[dict[str, float]]] = {depth: [] for depth in asked.depths}
                used = dict.fromkeys(asked.depths, 0.0)
                for seed in asked.seeds:
                    with tempfile.TemporaryDirectory() as name:
                        weights, path = find_weights(
                            backbone, source, asked.weights, required=source == "imagenet", seed=seed
                        )
                        cache = ActivationCache(Path(name, "prefix"), params.network.precision)
                        tuner = FineTuner(
                            backbone, weights, path, painted[seed], changed.network, cache, weights_seed=seed
                        ).without_gain()
                        for depth in sorted(asked.depths, reverse=True):
                            begun = time.process_time()
                            found[depth].append(judge(tuner, depth, changed, seed, Path(name)))
                            used[depth] += time.process_time() - begun
                for depth in asked.depths:
                    told = [
                        f"{np.mean(values):.4f} ± {np.std(values):.4f}"
                        for measure in MEASURES
                        for values in [[each[measure] for each in found[depth]]]
                    ]
                    seconds = used[depth] / len(asked.seeds)
                    print(
                        f"| {backbone} | {head} | {depth} | {source} | {' | '.join(told)} | {seconds:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
