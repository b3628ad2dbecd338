"""What the novelty score flags at its rate of false alarms, on the real pan-cancer miRNA cohort.

Run ``python benchmarks/probabilities.py [--evaluation data/evaluation/mobilenet] [--folds 5]``. The patients
are divided into folds; each fold is hidden in turn with all its samples, the next one stands for validation,
and the rest is fitted: once with the normal tissue of its patients, once without any, and once with that of
other tissues only. Then every tumour type is left out in turn. With an evaluation folder of the pipeline,
its calibration errors are printed too.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from expressionist.data.expression import to_log2
from expressionist.data.sources import tcga
from expressionist.evaluation.novelty import Novelty
from expressionist.params.parsing import parse

DATA = Path(__file__).parents[2] / "shared" / "data" / "tcga-mirna-32"
OPTIONS = {
    "expression": "expression.tsv.gz",
    "samples": "samples.tsv",
    "positions": None,
    "unit": "RPM",
    "sample_types": ["01", "03"],
    "more_sample_types": {"SKCM": ["06"]},
    "aliquots": "first",
    "missing": "drop",
    "unnamed": "keep",
    "smallest_type": 5,
    "normal_types": ["11"],
}
FALSE_ALARMS = 0.01


def assign_folds(patients: np.ndarray, n_folds: int) -> dict[str, int]:
    """Divide patients into folds: patient → fold."""
    names = np.unique(patients)
    folds = np.random.default_rng(21).permutation(len(names)) % n_folds
    return dict(zip(names, folds.tolist(), strict=True))


def fit(log2: np.ndarray, types: np.ndarray, normals: np.ndarray | None, validation: np.ndarray) -> Novelty:
    """Fit and calibrate; types are names."""
    _, codes = np.unique(types, return_inverse=True)
    novelty = Novelty.fit(log2, codes, normals, rng=np.random.default_rng(1))
    return novelty.calibrate(validation, false_alarms=FALSE_ALARMS)


def share(counts: list[tuple[int, int]]) -> str:
    n, total = np.sum(counts, axis=0)
    return f"{n / total:6.1%}  ({n} of {total})"


def count(novelty: Novelty, samples: np.ndarray) -> tuple[int, int]:
    return int((novelty.score(samples) > 1).sum()), len(samples)


def cross_validate(
    tumours: np.ndarray,
    normals: np.ndarray,
    types: tuple[np.ndarray, np.ndarray],
    n_folds: int,
    fold_of_tumour: np.ndarray,
    fold_of_normal: np.ndarray,
) -> None:
    names = ("tumours", "shuffled", "linear", "normal", "normal, none shown", "normal, tissue not shown")
    kinds: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    tissues: dict[str, list[tuple[int, int]]] = {}
    for fold in range(n_folds):
        following = (fold + 1) % n_folds
        hidden, validation = fold_of_tumour == fold, fold_of_tumour == following
        train, shown = ~hidden & ~validation, (fold_of_normal != fold) & (fold_of_normal != following)
        test, strangers = tumours[hidden], normals[fold_of_normal == fold]
        novelty = fit(tumours[train], types[0][train], normals[shown], tumours[validation])
        kinds["tumours"].append(count(novelty, test))
        kinds["shuffled"].append(count(novelty, np.random.default_rng(fold).permuted(test, axis=1)))
        kinds["linear"].append(count(novelty, np.exp2(test) - 1))
        for tissue in np.unique(types[1][fold_of_normal == fold]):
            found = count(novelty, strangers[types[1][fold_of_normal == fold] == tissue])
            tissues.setdefault(tissue, []).append(found)
            kinds["normal"].append(found)
        alone = fit(tumours[train], types[0][train], None, tumours[validation])
        kinds["normal, none shown"].append(count(alone, strangers))
        # Tissues, rather than patients, divided into folds.
        named = np.unique(types[1])
        unseen = np.isin(types[1], named[np.arange(len(named)) % n_folds == fold])
        foreign = fit(tumours[train], types[0][train], normals[shown & ~unseen], tumours[validation])
        kinds["normal, tissue not shown"].append(count(foreign, normals[unseen & ~shown]))
    for kind, counts in kinds.items():
        print(f"{kind:26s} flagged {share(counts)}")
    listed = sorted(tissues.items(), key=lambda item: -np.sum(item[1], axis=0)[1])
    print("by tissue:", ", ".join(f"{name} {share(counts).strip()}" for name, counts in listed))


def leave_out(
    tumours: np.ndarray,
    normals: np.ndarray,
    types: tuple[np.ndarray, np.ndarray],
    fold_of_tumour: np.ndarray,
    fold_of_normal: np.ndarray,
) -> None:
    validation, shown = fold_of_tumour == 0, fold_of_normal != 0
    shares: dict[str, list[float]] = {"normals shown": [], "none shown": []}
    for left_out in np.unique(types[0]):
        known = types[0] != left_out
        for title, others in (("normals shown", normals[shown]), ("none shown", None)):
            rows = known & ~validation
            novelty = fit(tumours[rows], types[0][rows], others, tumours[known & validation])
            found = count(novelty, tumours[~known])
            shares[title].append(found[0] / found[1])
            print(f"{left_out} left out, {title}: flagged {share([found])}")
    for title, every in shares.items():
        middle, n_most = np.median(every), sum(each >= 0.5 for each in every)
        print(f"types left out, {title}: median {middle:.1%}; half or more of {n_most} of {len(every)} types")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    options = parse(tcga.Options, OPTIONS, "options")
    cohort, _ = tcga.read(options, given.data)
    aside = tcga.read_normals(options, given.data)
    aside = aside.take(genes=aside.genes.index.get_indexer(cohort.genes.index))
    tumours, normals = (to_log2(each.expression, each.unit) for each in (cohort, aside))
    types = tuple(each.samples["tumour_type"].to_numpy(str) for each in (cohort, aside))
    patients = [each.samples["patient"].to_numpy(str) for each in (cohort, aside)]
    fold_of = assign_folds(np.concatenate(patients), given.folds)
    folds = [np.array([fold_of[patient] for patient in each]) for each in patients]
    print(
        f"{len(tumours)} tumour and {len(normals)} normal samples, {FALSE_ALARMS:.0%} false alarms asked for"
    )
    cross_validate(tumours, normals, types, given.folds, *folds)
    leave_out(tumours, normals, types, *folds)
    if given.evaluation:
        facts = json.loads((given.evaluation / "probabilities.json").read_text(encoding="utf-8"))
        for side in ("validation", "test"):
            found = facts[side]
            print(f"ECE {side}: {found['ece_before']:.4f} before, {found['ece_after']:.4f} after scaling")


if __name__ == "__main__":
    main()
