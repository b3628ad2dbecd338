"""What the novelty score flags at its rate of false alarms, on the real cohorts.

Run ``python benchmarks/probabilities.py [--only foreign|folds] [--cache FOLDER] [--evaluation
data/evaluation/mobilenet]``.

foreign: every tumour type of the pan-cancer miRNA cohort, and of the seven mRNA types, is left out in turn;
what was fitted on the others scores it, beside other scores of that kind. Their limits are set on validation
samples of the known types. A type that is done stands in the cache, so a stopped run goes on where it was.
The score's constants were chosen on every other type by alphabet ("chosen on"), and are judged on "others".

folds: each fifth of the patients is hidden in turn with all its samples, the next one stands for validation,
and the rest is fitted: once with the normal tissue of its patients, once without any, and once with that of
other tissues only.

With an evaluation folder of the pipeline, its calibration errors are printed too.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from expressionist.data.expression import to_log2
from expressionist.data.sources import tcga
from expressionist.evaluation import novelty as module
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
SEVEN = OPTIONS | {"unit": "RSEM", "more_sample_types": {}}
FALSE_ALARMS = 0.01
ANSWERED_ACCURACY = 0.99
# Of the kernel in other spaces; fewer than the score has, to save time.
N_FEATURES = 1500


Judged = dict[str, np.ndarray]
Scores = dict[str, np.ndarray]


@dataclass
class CohortTable:
    """A cohort in log2 with its folds of patients, and its normal tissue."""

    name: str
    log2: np.ndarray
    types: np.ndarray
    fold: np.ndarray
    normals: np.ndarray
    types_of_normal: np.ndarray
    fold_of_normal: np.ndarray


def assign_folds(patients: np.ndarray, n_folds: int) -> dict[str, int]:
    """Divide patients into folds: patient → fold."""
    names = np.unique(patients)
    folds = np.random.default_rng(21).permutation(len(names)) % n_folds
    return dict(zip(names, folds.tolist(), strict=True))


def fit(log2: np.ndarray, types: np.ndarray, normals: np.ndarray | None, validation: np.ndarray) -> Novelty:
    """Fit and calibrate; types are names."""
    _, codes = np.unique(types, return_inverse=True)
    novelty = Novelty.fit(log2, codes, normals, rng=np.random.default_rng(1))
    return novelty.calibrate(novelty.measure(validation), false_alarms=FALSE_ALARMS)


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


def square_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    products = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1) - 2 * one @ other.T
    return np.maximum(products, 1e-9)


def whiten(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(np.maximum(values, 1e-9))


def compare_distances(title: str, train: np.ndarray, types: np.ndarray, judged: Judged) -> dict[str, Scores]:
    """Score by distances in one space: nearest type, relative to all, a Gaussian per type, neighbours."""
    members = np.eye(types.max() + 1)[types]
    means = members.T @ train / members.sum(axis=0)[:, None]
    within, overall = (whiten(ledoit_wolf(each)[0]) for each in (train - means[types], train - train.mean(0)))
    own = [whiten(ledoit_wolf(train[types == k] - means[k])[0]) for k in range(len(means))]
    found: dict[str, Scores] = {}
    for side, places in judged.items():
        near = square_distances(places @ within, means @ within).min(axis=1)
        around = np.square((places - train.mean(0)) @ overall).sum(axis=1)
        each = [np.square((places - mean) @ turn).sum(axis=1) for mean, turn in zip(means, own, strict=True)]
        neighbours = np.partition(square_distances(places @ within, train @ within), 4, axis=1)[:, 4]
        rivals = {
            "Mahalanobis distance": near,
            "Mahalanobis distance, relative": near - around,
            "Mahalanobis distance, a covariance per type": np.min(each, axis=0),
            "5th nearest neighbour, whitened": neighbours,
        }
        for name, scores in rivals.items():
            found.setdefault(f"{name}; {title}", {})[side] = scores
    return found


def compare_kernels(
    title: str, train: np.ndarray, types: np.ndarray, judged: Judged, width: float
) -> dict[str, Scores]:
    """Score by what kernel ridge regression on types gives at most."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(width / train.var(axis=0).sum())
    frequencies = (scale * rng.standard_normal((train.shape[1], N_FEATURES))).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, N_FEATURES).astype(np.float32)
    weights = module._regress(module._wave(train, frequencies, phases), np.eye(types.max() + 1)[types], types)
    scores = {
        side: -(module._wave(x, frequencies, phases) @ weights).max(axis=1) for side, x in judged.items()
    }
    return {f"kernel ridge regression; {title}": scores}


def compare_classifier(
    train: np.ndarray, types: np.ndarray, judged: Judged
) -> tuple[dict[str, Scores], Scores]:
    """Score by the certainty of logistic regression, whose predicted types are returned, too."""
    model = LogisticRegression(C=0.1, max_iter=300).fit(train, types)
    logits = {side: model.decision_function(places) for side, places in judged.items()}
    if types.max() == 1:
        logits = {side: np.column_stack([-x, x]) / 2 for side, x in logits.items()}
    found = {
        "softmax, logistic regression": {
            side: logsumexp(x, axis=1) - x.max(axis=1) for side, x in logits.items()
        },
        "largest logit, logistic regression": {side: -x.max(axis=1) for side, x in logits.items()},
        "energy, logistic regression": {side: -logsumexp(x, axis=1) for side, x in logits.items()},
    }
    return found, {side: x.argmax(axis=1) for side, x in logits.items()}


def score_left_out(
    train: np.ndarray, types: np.ndarray, shown: np.ndarray, judged: Judged
) -> dict[str, np.ndarray]:
    """Score by every method what is judged: expression in log2 by side (known, foreign, normal)."""
    found: dict[str, Scores] = {}
    for title, others in (("as built", shown), ("as built, no normal tissue shown", shown[:0])):
        novelty = Novelty.fit(train, types, others if len(others) else None, rng=np.random.default_rng(1))
        novelty = novelty.calibrate(novelty.measure(judged["known"]), false_alarms=FALSE_ALARMS)
        found[title] = {side: novelty.score(samples) for side, samples in judged.items()}
    centre, spread = train.mean(axis=0), train.std(axis=0) + 0.1
    scaled = {side: (samples - centre) / spread for side, samples in judged.items()}
    components = PCA(min(100, len(train) // 3), svd_solver="randomized", random_state=1)
    places = components.fit_transform((train - centre) / spread)
    turned = {side: components.transform(samples) for side, samples in scaled.items()}
    found |= compare_distances("components of log2", places, types, turned)
    found |= compare_kernels("components of log2", places, types, turned, width=0.5 * 4 / 2)
    members = np.eye(types.max() + 1, dtype=np.float32)[types]
    for title, change in (("discriminants of log2", np.array), ("discriminants of ranks", module._rank)):
        places, axes, origin = module._discriminate(change(train), members)
        turned = {side: change(samples) @ axes - origin for side, samples in judged.items()}
        found |= compare_distances(title, places, types, turned)
        found |= compare_kernels(title, places, types, turned, width=6.0)
    certain, predicted = compare_classifier(places, types, turned)
    found |= certain
    return {f"{name}|{side}": x for name, scores in found.items() for side, x in scores.items()} | {
        f"predicted|{side}": x for side, x in predicted.items()
    }


def score_or_load(cohort: CohortTable, left_out: str, cache: Path) -> dict[str, np.ndarray]:
    """Return all scores of a cohort without one type, from the cache if they stand there."""
    path = cache / f"{cohort.name}-{left_out}.npz"
    if not path.exists():
        known, validation = cohort.types != left_out, cohort.fold == 0
        judged = {"known": cohort.log2[known & validation], "foreign": cohort.log2[~known]}
        if len(cohort.normals):
            judged["normal"] = cohort.normals[cohort.fold_of_normal == 0]
        codes = np.unique(cohort.types[known & ~validation], return_inverse=True)[1]
        shown = cohort.normals[cohort.fold_of_normal != 0]
        scores = score_left_out(cohort.log2[known & ~validation], codes, shown, judged)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **scores)
        partial.rename(path)
    with np.load(path) as stored:
        return dict(stored)


def leave_out(cohort: CohortTable, cache: Path) -> None:
    """Leave every type out in turn, and print a table of all methods."""
    shares: dict[str, dict[str, tuple[float, float, float]]] = {}
    for left_out in np.unique(cohort.types).tolist():
        scores = score_or_load(cohort, left_out, cache)
        truth = cohort.types[(cohort.types != left_out) & (cohort.fold == 0)]
        right = np.unique(cohort.types[cohort.types != left_out])[scores["predicted|known"]] == truth
        doubt = {side: scores[f"softmax, logistic regression|{side}"] for side in ("known", "foreign")}
        abstained = doubt["foreign"] > find_limit(doubt["known"], right)
        for name in {key.split("|")[0] for key in scores} - {"predicted"}:
            limit = np.quantile(scores[f"{name}|known"], 1 - FALSE_ALARMS, method="higher")
            flags = scores[f"{name}|foreign"] > limit
            normal = scores.get(f"{name}|normal", np.array([np.nan])) > limit
            found = float(flags.mean()), float((flags | abstained).mean()), float(normal.mean())
            shares.setdefault(name, {})[left_out] = found
    print_table(cohort.name, shares)


def find_limit(uncertainty: np.ndarray, right: np.ndarray) -> float:
    """Return the largest uncertainty up to which known samples are answered with the accuracy wanted."""
    order = np.argsort(uncertainty)
    enough = np.cumsum(right[order]) >= ANSWERED_ACCURACY * np.arange(1, len(order) + 1)
    return float(uncertainty[order][np.flatnonzero(enough)[-1]]) if enough.any() else -np.inf


def print_table(title: str, shares: dict[str, dict[str, tuple[float, float, float]]]) -> None:
    print(f"\n{title}: share of a type left out that is flagged at {FALSE_ALARMS:.0%} false alarms")
    print(f"{'':66s} median  chosen on  others   mean  half of  or abstained  normal")
    for name, found in sorted(shares.items(), key=lambda item: -np.median(list(item[1].values()), axis=0)[0]):
        flagged, both, normal = np.array(list(found.values())).T
        medians = [np.median(each) for each in (flagged, flagged[::2], flagged[1::2])]
        told = "  ".join(f"{each:7.1%}" for each in (*medians, flagged.mean()))
        print(
            f"{name:64s} {told}  {(flagged >= 0.5).sum():5d}  {np.median(both):11.1%}  {normal.mean():6.1%}"
        )
    print("as built:", ", ".join(f"{name} {x[0]:.0%} ({x[1]:.0%})" for name, x in shares["as built"].items()))


def read(path: Path, given: dict[str, object], n_folds: int) -> CohortTable:
    options = parse(tcga.Options, given, "options")
    cohort, _ = tcga.read(options, path)
    aside = tcga.read_normals(options, path)
    aside = aside.take(genes=aside.genes.index.get_indexer(cohort.genes.index))
    patients = [each.samples["patient"].to_numpy(str) for each in (cohort, aside)]
    fold_of = assign_folds(np.concatenate(patients), n_folds)
    folds = [np.array([fold_of[patient] for patient in each], int) for each in patients]
    log2, normals = (to_log2(each.expression, each.unit) for each in (cohort, aside))
    types = [each.samples["tumour_type"].to_numpy(str) for each in (cohort, aside)]
    # As the pipeline does it: a handful of normal samples is not learnt from.
    kept = slice(None if len(normals) >= 50 else 0)
    print(f"{path.name}: {len(log2)} tumour and {len(normals)} normal samples, {log2.shape[1]} genes")
    parts = normals[kept], types[1][kept], folds[1][kept]
    return CohortTable(path.name, log2, types[0], folds[0], *parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", choices=("foreign", "folds"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "novelty-left-out")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    mirna = read(given.data, OPTIONS, given.folds)
    if given.only != "folds":
        for cohort in (mirna, read(given.data.with_name("tcga-mrna-7"), SEVEN, given.folds)):
            leave_out(cohort, given.cache)
    if given.only != "foreign":
        types = mirna.types, mirna.types_of_normal
        cross_validate(mirna.log2, mirna.normals, types, given.folds, mirna.fold, mirna.fold_of_normal)
    if given.evaluation:
        facts = json.loads((given.evaluation / "probabilities.json").read_text(encoding="utf-8"))
        for side in ("validation", "test"):
            found = facts[side]
            print(f"ECE {side}: {found['ece_before']:.4f} before, {found['ece_after']:.4f} after scaling")


if __name__ == "__main__":
    main()
