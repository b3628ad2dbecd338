"""Network and baseline models in cross-validation on a real cohort: every sample is a test sample once.

Run ``python benchmarks/cross_validation.py --cohort mrna-5``, ``mrna-7`` or ``mirna-32`` (of ../shared/data;
mobilenet with the ImageNet weights of ../shared/weights; everything else as in params.yaml). Patients are
divided into folds, stratified by tumour type. Of the patients left to a fold, some stand for validation as in
the pipeline: baseline models choose their hyper-parameters on them, the network its depth where ``--depths``
names several, and all their temperature. Gene choice, scale and layout are fitted on the other patients, and
so is every model; then, with ``--members`` above 0, as the stage `refit` does it: every model on both, the
network so many times. The network that predicts is the whole one, from expression on, as it is registered.
Prints every fold's scores, then a table in Markdown: mean and standard deviation (n - 1) over the folds; all
test predictions taken together; how many samples only the network, and only this baseline model, got right,
with McNemar's p; the same accuracy and macro-F1 with COAD and READ taken for one; by how much the network
leads the best baseline model of each fold; and which samples every model misses, which tells how far above
them all anything could stand. Folds share training samples, so that spreads understate those of new cohorts.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from levers import SHIPPED, Sides, change, read_cohort, train
from scipy.special import softmax
from sklearn.model_selection import StratifiedKFold, train_test_split

from expressionist.commands.params_file import read_params
from expressionist.data.cohort import Cohort
from expressionist.data.expression import to_log2
from expressionist.evaluation.baselines import LabelledRows, fit_baseline, refit_baseline
from expressionist.evaluation.calibration import fit_temperature
from expressionist.evaluation.metrics import mcnemar, score
from expressionist.network.assembly import predict_logits
from expressionist.params.sections import Params
from expressionist.pipeline import train_members

COHORTS = {
    "mrna-5": ("tcga-mrna-5", "RSEM"),
    "mrna-7": ("tcga-mrna-7", "RSEM"),
    "mirna-32": ("tcga-mirna-32", "RPM"),
}
NETWORK = "mobilenet"
PARTS = ("expression", "types")
# Colon and rectum, which no model tells apart well.
SIBLINGS = ("COAD", "READ")


def split_folds(
    cohort: Cohort, n_folds: int, validation: float, seed: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the rows of every fold's three sides."""
    patient = cohort.samples["patient"].to_numpy(str)
    type_of = cohort.samples.groupby("patient")["tumour_type"].first()
    patients, types = type_of.index.to_numpy(str), type_of.to_numpy(str)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for rest, test in folds.split(patients, types):
        # `validation` is a share of all patients, as in params.yaml.
        share = validation * len(patients) / len(rest)
        kept, held = train_test_split(rest, test_size=share, stratify=types[rest], random_state=seed)
        sides = {"train": kept, "validation": held, "test": test}
        yield {side: np.flatnonzero(np.isin(patient, patients[each])) for side, each in sides.items()}


def predict_network(
    sides: Sides, test: np.ndarray, params: Params, depths: list[int]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Fine-tune at every depth, let the best on validation samples predict, and return its genes too."""
    with tempfile.TemporaryDirectory() as cache:
        trained = {depth: train(sides, params, depth, params.training.seed, Path(cache)) for depth in depths}
        best = min(depths, key=lambda depth: trained[depth][1].fit.history[-1]["validation_log_loss"])
        tuner, tuned, chosen = trained[best]

        def predict(whole: keras.Model, log2: np.ndarray) -> np.ndarray:
            return predict_logits(whole, np.ascontiguousarray(log2[:, chosen]), np.arange(len(log2)))

        whole = tuner.assemble(tuned)
        temperature = fit_temperature(predict(whole, sides.log2["validation"]), sides.types["validation"])
        if params.training.members:
            trial = {"depth": best, "params": {}}
            checkpoints = Path(cache) / "members"
            members = train_members(tuner, trial, params.training, checkpoints, shares=tuned.shares)
            whole = tuner.assemble(*members)
        return softmax(predict(whole, test) / temperature, axis=1), chosen, f"depth {best}"


def predict_all(
    sides: Sides, test: np.ndarray, params: Params, depths: list[int]
) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield every model's name, probabilities for the test samples, and what was chosen on validation."""
    probabilities, chosen, choice = predict_network(sides, test, params, depths)
    yield NETWORK, probabilities, choice
    # As in the pipeline, baseline models see the genes that are painted.
    folds = [LabelledRows(sides.log2[side][:, chosen], sides.types[side]) for side in ("train", "validation")]
    known = LabelledRows(*(np.concatenate([getattr(fold, part) for fold in folds]) for part in PARTS))
    about = {"n_types": len(sides.tumour_types), "seed": params.baselines.seed}
    for name in params.baselines.models:
        baseline = fit_baseline(name, *folds, **about)
        if params.training.members:
            baseline = refit_baseline(name, baseline.choice, known, **about)
        yield name, baseline.predict_proba(test[:, chosen]), f"{baseline.choice}"


def merge(probabilities: np.ndarray, truth: np.ndarray, siblings: list[int]) -> dict[str, float]:
    """Score the tumour types with these taken for one; fewer than two are left as they are."""
    first, others = siblings[:1], siblings[1:]
    summed = probabilities.copy()
    summed[:, first] = probabilities[:, siblings].sum(axis=1, keepdims=True)
    kept = np.delete(np.arange(probabilities.shape[1]), others)
    known = np.where(np.isin(truth, others), first or 0, truth)
    return score(summed[:, kept], np.searchsorted(kept, known))


def print_leads(predicted: dict[str, list[np.ndarray]], truth: list[np.ndarray]) -> None:
    """Say how far the network leads the best baseline model of each fold."""
    found = {
        name: [score(*each) for each in zip(parts, truth, strict=True)] for name, parts in predicted.items()
    }
    own, others = found.pop(NETWORK), list(zip(*found.values(), strict=True))
    for name, best in (("f1_macro", max), ("log_loss", min)):
        pairs = [
            (mine[name], best(each[name] for each in fold)) for mine, fold in zip(own, others, strict=True)
        ]
        told = ", ".join(f"{mine - other:+.4f} ({mine / other - 1:+.1%})" for mine, other in pairs)
        leads = [mine - other for mine, other in pairs]
        print(f"\n{name}, network less best baseline model of each fold: {np.mean(leads):+.4f} ", end="")
        print(f"± {np.std(leads, ddof=1):.4f}, fold by fold {told}")


def print_missed(predicted: dict[str, list[np.ndarray]], truth: np.ndarray, types: list[str]) -> None:
    """Say which samples every model misses."""
    called = np.array([np.concatenate(parts).argmax(axis=1) for parts in predicted.values()])
    missed = (called != truth).all(axis=0)
    pairs = Counter(
        f"{types[was]} called {types[said]}"
        for was, said in zip(truth[missed], called[0, missed], strict=True)
    )
    print(
        f"\nMissed by every model: {missed.sum()} of {len(truth)} ({missed.mean():.1%}), most often ", end=""
    )
    print(", ".join(f"{pair} ({n})" for pair, n in pairs.most_common(8)))


def print_table(
    predicted: dict[str, list[np.ndarray]], truth: list[np.ndarray], tumour_types: list[str]
) -> None:
    pooled = np.concatenate(truth)
    siblings = [tumour_types.index(each) for each in SIBLINGS if each in tumour_types]
    right = {name: np.concatenate(parts).argmax(axis=1) == pooled for name, parts in predicted.items()}
    print("\n| model | accuracy | macro-F1 | log-loss ", end="")
    print("| right of all | macro-F1 of all | siblings as one | only network, only this | p |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, parts in predicted.items():
        folds = [score(*each) for each in zip(parts, truth, strict=True)]
        spreads = [
            f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
            for key in ("accuracy", "f1_macro", "log_loss")
            for values in [[fold[key] for fold in folds]]
        ]
        n_right, f1 = right[name].sum(), score(np.concatenate(parts), pooled)["f1_macro"]
        test = mcnemar(right[NETWORK], right[name])
        against = f"{test.only_a}, {test.only_b} | {test.p_value:.2g}" if name != NETWORK else " | "
        print(f"| {name} | {' | '.join(spreads)} ", end="")
        merged = merge(np.concatenate(parts), pooled, siblings)
        print(f"| {n_right} of {len(pooled)}: {n_right / len(pooled):.4f} | {f1:.4f} ", end="")
        print(f"| {merged['accuracy']:.4f}, {merged['f1_macro']:.4f} | {against} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", choices=COHORTS, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--depths", type=int, nargs="+", default=[0])
    parser.add_argument("--seed", type=int, default=1, help="of the folds")
    parser.add_argument("--members", type=int, default=read_params(SHIPPED).training.members)
    parser.add_argument("--baselines", nargs="+", default=list(read_params(SHIPPED).baselines.models))
    arguments = parser.parse_args()
    asked = {"training.members": arguments.members, "baselines.models": tuple(arguments.baselines)}
    params, cohort = change(read_params(SHIPPED), asked), read_cohort(*COHORTS[arguments.cohort])
    log2 = to_log2(cohort.expression, cohort.unit)
    types = pd.Index(cohort.tumour_types).get_indexer(pd.Index(cohort.samples["tumour_type"]))
    predicted: dict[str, list[np.ndarray]] = {}
    truth = []
    for rows in split_folds(cohort, arguments.folds, params.split.validation, arguments.seed):
        print(", ".join(f"{len(each)} {side}" for side, each in rows.items()))
        known = {side: rows[side] for side in ("train", "validation")}
        sides = Sides(
            {side: log2[each] for side, each in known.items()},
            {side: types[each] for side, each in known.items()},
            {side: cohort.samples["patient"].to_numpy(str)[each] for side, each in known.items()},
            cohort.genes,
            cohort.tumour_types,
        )
        truth.append(types[rows["test"]])
        begun = time.perf_counter()
        for name, probabilities, choice in predict_all(sides, log2[rows["test"]], params, arguments.depths):
            predicted.setdefault(name, []).append(probabilities)
            seconds, found = time.perf_counter() - begun, score(probabilities, truth[-1])
            print(
                f"  {name}: {found['accuracy']:.4f}, {found['f1_macro']:.4f}, {found['log_loss']:.4f}", end=""
            )
            print(f" ({choice}; {seconds:.0f} s)", flush=True)
            begun = time.perf_counter()
    print_table(predicted, truth, cohort.tumour_types)
    print_leads(predicted, truth)
    print_missed(predicted, np.concatenate(truth), cohort.tumour_types)


if __name__ == "__main__":
    main()
