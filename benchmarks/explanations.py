"""What explanations find, cost and are worth, on finished runs.

Run ``python benchmarks/explanations.py definitions|cost|seeds RUN ...``; a RUN is the folder of a checkout
in which `dvc repro explain` has run.

- `definitions`: ways of ranking the genes of a type by the same attributions, on simulated cohorts: planted
  markers, and genes raised by at least 1 log2, among the first 20 and 50, and the same for an untrained
  network. A way should be chosen on other seeds of the simulation than it is judged on.
- `cost`: Integrated Gradients until complete, and shap's expected gradients with as many gradients: seconds
  of processor time, memory of the process, and what both lack to adding up.
- `seeds`: how many of the first 20 genes of a type two runs share, each with each; give runs that differ in
  `training.seed` alone.

Prints Markdown.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.explain.controls import shap_values
from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients
from expressionist.explain.markers import match_markers
from expressionist.explain.rankings import count_shared, fold_change, mean_by_type, rank_types
from expressionist.files import read_arrays, read_json
from expressionist.network import load_network, logits_by_branch, logits_of_scaled, randomise
from expressionist.painting import read_layout, take_painted

N_SAMPLES, N_STEPS, N_COST, N_TOP = 10, 4, 20, 20
# From raised genes only, or from all.
Scores = dict[str, np.ndarray]


@dataclass
class Run:
    """A finished run: its network, and samples scaled as the network paints them."""

    network: keras.Model
    log2: np.ndarray
    scaled: np.ndarray
    types: np.ndarray
    training: np.ndarray
    reference: np.ndarray
    tumour_types: list[str]
    genes: pd.DataFrame
    effect: np.ndarray | None


def read_run(root: Path) -> Run:
    data = root / "data"
    rows, (layout, scale, genes, _) = read_split(data / "split.tsv"), read_layout(data / "layout")
    cohort = take_painted(read_cohort(data / "cohort/cohort.h5ad"), rows, layout)
    winner = read_json(data / "comparison/comparison.json")["winner"]
    tumour_types = read_json(data / f"models/{winner}/training.json")["tumour_types"]
    log2 = to_log2(cohort.expression, cohort.unit)
    return Run(
        load_network(data / f"models/{winner}/model.keras"),
        log2,
        scale.apply(log2),
        pd.Index(tumour_types).get_indexer(rows["tumour_type"]),
        np.flatnonzero(rows["split"] == "train"),
        genes["mean"].to_numpy(np.float32),
        tumour_types,
        genes,
        cohort.truth["effect"][tumour_types].to_numpy().T if cohort.truth else None,
    )


def draw(run: Run, n: int) -> np.ndarray:
    """Draw so many training samples of every type."""
    rng = np.random.default_rng(0)
    groups = [run.training[run.types[run.training] == place] for place in range(len(run.tumour_types))]
    return np.concatenate([rng.permutation(group)[:n] for group in groups])


def attribute(run: Run, rows: np.ndarray, reference: np.ndarray) -> Attribution:
    method = IntegratedGradients(logits_by_branch(run.network))
    return method.explain(run.scaled[rows], reference, run.types[rows], N_STEPS)


def list_definitions(found: Attribution, away: np.ndarray, targets: np.ndarray, n_types: int) -> Scores:
    """Score genes in every way that is compared; the last is that of the package."""

    def among_raised(scores: np.ndarray) -> np.ndarray:
        return np.where(mean_by_type(away, targets, n_types) > 0, scores, scores.min() - 1)

    means = {name: mean_by_type(values, targets, n_types) for name, values in found.branches.items()}
    mean = sum(means.values())
    by_sample = [found.values[targets == place] for place in range(n_types)]
    spread = np.stack([values.std(axis=0) for values in by_sample])
    median = np.stack([np.median(values, axis=0) for values in by_sample])
    branches = sum(each / each.std(axis=1, keepdims=True) for each in means.values())
    over_types = (mean - mean.mean(axis=0)) / (mean.std(axis=0) + np.median(mean.std(axis=0)))
    scores = {
        "mean, all genes": mean,
        "mean": among_raised(mean),
        "median": among_raised(median),
        "mean by its spread over samples": among_raised(mean / (spread + np.median(spread))),
        "z-score over types": among_raised(over_types),
        "branches in equal parts": among_raised(branches),
    }
    for name, values in {**found.branches, "mean minus the mean over types": found.values}.items():
        scores[name] = rank_types(values, away, targets, n_types)[0]
    return scores


def count_found(scores: np.ndarray, run: Run, n_top: int) -> tuple[int, float]:
    """Count planted markers among the first genes, and give the share of these that is raised."""
    planted = match_markers(run.genes)
    first = np.argsort(-scores, axis=1, kind="stable")[:, :n_top]
    n_found = sum(
        np.isin(row, planted.get(name, [])).sum() for row, name in zip(first, run.tumour_types, strict=True)
    )
    return int(n_found), float((np.take_along_axis(run.effect, first, axis=1) >= 1).mean())


def compare_definitions(roots: list[Path]) -> Iterator[str]:
    tables = []
    for root in roots:
        run = read_run(root)
        rows, n_types = draw(run, N_SAMPLES), len(run.tumour_types)
        middle = mean_by_type(run.scaled[run.training], run.types[run.training], n_types).mean(axis=0)
        away, targets = run.scaled[rows] - middle, run.types[rows]
        trained = list_definitions(attribute(run, rows, middle), away, targets, n_types)
        randomise(run.network, 1)
        untrained = list_definitions(attribute(run, rows, middle), away, targets, n_types)
        log2, types = run.log2[run.training], run.types[run.training]
        trained["fold change"] = fold_change(log2, types, n_types=n_types)
        for name, scores in trained.items():
            record: dict[str, object] = {"ranking": name}
            for n_top in (20, 50):
                record[f"markers {n_top}"], record[f"raised {n_top}"] = count_found(scores, run, n_top)
                if name in untrained:
                    record[f"untrained {n_top}"] = count_found(untrained[name], run, n_top)[0]
            tables.append(record)
    yield pd.DataFrame(tables).groupby("ranking", sort=False).mean().round(3).to_markdown()


def measure_memory() -> float:
    """Return the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def time_one(explain: Callable[[], object]) -> tuple[object, float]:
    begun = time.process_time()
    return explain(), time.process_time() - begun


def measure_cost(roots: list[Path]) -> Iterator[str]:
    columns = ("run", "explainer", "gradients a sample", "CPU s a sample", "GB", "median gap", "p95 of it")
    yield f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    for root in roots:
        yield from compare_explainers(root)


def compare_explainers(root: Path) -> Iterator[str]:
    run = read_run(root)
    rows = draw(run, 1)[:N_COST]
    samples, targets = run.scaled[rows], run.types[rows]
    method = IntegratedGradients(logits_by_branch(run.network))
    asked = {"n_steps": 12, "max_steps": 324, "median_gap": 0.01, "p95_gap": 0.05}
    found, seconds = time_one(lambda: method.converge(samples, run.reference, targets, **asked))
    n_draws = int(found.n_steps.mean())
    yield describe(root, "Integrated Gradients", n_draws, seconds, found.gap)
    background, logits = run.scaled[run.training][:200], logits_of_scaled(run.network)
    values, seconds = time_one(
        lambda: shap_values(logits, samples, background, targets, n_draws=n_draws, seed=0)
    )
    centred = logits.predict(np.concatenate([samples, background]), verbose=0)
    centred -= centred.mean(axis=1, keepdims=True)
    rise = centred[np.arange(len(rows)), targets] - centred[len(rows) :].mean(axis=0)[targets]
    gap = np.abs(rise - values.sum(axis=1)) / np.abs(rise)
    yield describe(root, "shap, expected gradients", n_draws, seconds, gap)


def describe(root: Path, name: str, n_steps: int, seconds: float, gap: np.ndarray) -> str:
    cells = [root.name, name, n_steps, f"{seconds / len(gap):.2f}", f"{measure_memory():.1f}"]
    cells += [f"{np.median(gap):.2%}", f"{np.percentile(gap, 95):.2%}"]
    return f"| {' | '.join(map(str, cells))} |"


def compare_seeds(roots: list[Path]) -> Iterator[str]:
    arrays = {root.name: read_arrays(root / "data/attributions/attributions.npz") for root in roots}
    yield f"| runs | of the first {N_TOP} genes shared, mean over types | least |\n|---|---|---|"
    for one, other in combinations(arrays, 2):
        pair = (arrays[name]["integrated_gradients"] for name in (one, other))
        shared = count_shared(*pair, n_top=N_TOP)
        yield f"| {one}, {other} | {np.nanmean(shared):.1f} | {np.nanmin(shared):.0f} |"


TASKS = {"definitions": compare_definitions, "cost": measure_cost, "seeds": compare_seeds}


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    asked = parser.parse_args()
    for line in TASKS[asked.task](asked.runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
