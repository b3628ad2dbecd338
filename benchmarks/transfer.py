"""What a model is worth on another cohort, and whether aligning that cohort without labels helps.

Run ``python benchmarks/transfer.py [builds] [platforms]``. The models are the linear baseline models, fitted
as the stage `baselines` fits them; they are fast, and what moves them moves whatever sees the same genes.

- `builds`: trained on ../shared/data/tcga-mrna-7 (RSEM, hg19), scored on patients held out of it, whose reads
  ../shared/data/tcga-counts-hg38 counts again with another pipeline (Ensembl genes, hg38).
- `platforms`: ../shared/data/tcga-mirna-32, trained on patients sequenced on one platform only, scored on
  those sequenced on the other only, both ways.

Ways to align: `quantile` maps every gene onto its quantiles over training samples; `rank` gives the genes of
a sample, by their rank, the values of the sorted mean training profile; `rank, mean of sorted`, those of the
mean of the sorted training profiles. `quantile, type by type` aligns each type's samples on their own, as a
cohort of one type would come. `better` and `worse` are samples that are right only with, and only without,
aligning; p is McNemar's. Prints Markdown.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from expressionist.data.expression import choose_genes
from expressionist.data.split import split_by_patient
from expressionist.data.units import convert
from expressionist.evaluation.baselines import LabelledRows, fit_baseline
from expressionist.evaluation.metrics import mcnemar, score
from expressionist.evaluation.shift import align_ranks

DATA = Path("../shared/data")
MODELS = ("logistic_regression", "linear_svm")
GRID = np.linspace(0, 1, 101)
N_GENES, FEWEST = 10_000, 10
TUMOURS = {"01", "03"}
SCORES = ("accuracy", "f1_macro", "log_loss", "ece")
Way = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class Trial:
    """A cohort that models are fitted on, in log2(x+1), and others that they are scored on."""

    name: str
    log2: np.ndarray
    samples: pd.DataFrame
    split: np.ndarray
    others: Mapping[str, tuple[np.ndarray, np.ndarray]]


def align_quantiles(log2: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Map each gene of a cohort (n_samples, n_genes) onto its quantiles over training samples."""
    places = (rankdata(log2, axis=0) - 0.5) / len(log2)
    columns = [np.interp(place, GRID, each) for place, each in zip(places.T, trained.T, strict=True)]
    return np.column_stack(columns).astype(np.float32)


def list_ways(training: np.ndarray) -> dict[str, Way]:
    """List the ways of aligning a cohort, whose types are known to one of them, to training samples."""
    quantiles = np.quantile(training, GRID, axis=0)
    profile, ordered = training.mean(axis=0), np.sort(training, axis=1).mean(axis=0)

    def align_each(log2: np.ndarray, types: np.ndarray) -> np.ndarray:
        aligned = np.empty_like(log2)
        for one in np.unique(types):
            aligned[types == one] = align_quantiles(log2[types == one], quantiles)
        return aligned

    return {
        "none": lambda log2, _: log2,
        "quantile": lambda log2, _: align_quantiles(log2, quantiles),
        "quantile, type by type": align_each,
        "rank": lambda log2, _: align_ranks(log2, np.sort(profile)),
        "rank, mean of sorted": lambda log2, _: align_ranks(log2, ordered),
    }


def run(trial: Trial) -> None:
    """Fit the models and print a row per cohort, model and way to align."""
    names = sorted(trial.samples["tumour_type"].unique())
    numbers = pd.Index(names).get_indexer(trial.samples["tumour_type"])
    train, validation, test = (trial.split == each for each in ("train", "validation", "test"))
    folds = [LabelledRows(trial.log2[rows], numbers[rows]) for rows in (train, validation)]
    cohorts = {"own test samples": (trial.log2[test], trial.samples["tumour_type"].to_numpy()[test])}
    for model in MODELS:
        fitted = fit_baseline(model, *folds, n_types=len(names), seed=1)
        for cohort, (log2, types) in {**cohorts, **trial.others}.items():
            truth = pd.Index(names).get_indexer(types)
            log2, types, truth = log2[truth >= 0], types[truth >= 0], truth[truth >= 0]
            plain = fitted.predict_proba(log2).argmax(axis=1) == truth
            for way, align in list_ways(trial.log2[train]).items():
                probabilities = fitted.predict_proba(align(log2, types))
                found = score(probabilities, truth)
                shown = [f"{found[name]:.3f}" for name in SCORES]
                if way != "none":
                    moved = mcnemar(probabilities.argmax(axis=1) == truth, plain)
                    shown += [str(moved.only_a), str(moved.only_b), f"{moved.p_value:.2g}"]
                cells = [f"{trial.name}: {cohort}", model, way, f"{len(truth):,}", *shown]
                print(f"| {' | '.join(cells)} |", flush=True)


def split(samples: pd.DataFrame, test: float) -> np.ndarray:
    """Divide a cohort as the pipeline does."""
    return split_by_patient(samples, validation=0.1, test=test, rng=np.random.default_rng(1)).to_numpy()


def read(folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a cohort's tumours, genes × samples without missing values, and its sample table."""
    samples = pd.read_csv(DATA / folder / "samples.tsv", sep="\t", dtype=str).set_index("barcode")
    metastases = (samples["cancer_type"] == "SKCM") & (samples["sample_type_code"] == "06")
    samples = samples[samples["sample_type_code"].isin(TUMOURS) | metastases]
    table = pd.read_csv(DATA / folder / "expression.tsv.gz", sep="\t", index_col=0)
    return table.dropna()[samples.index], samples.rename(columns={"cancer_type": "tumour_type"})


def try_builds() -> None:
    """Train on RSEM of hg19, and score counts of hg38, of patients that training did not see and of all."""
    table, samples = read("tcga-mrna-7")
    kinds = ["ACC", "UVM"]
    paths = [DATA / f"tcga-counts-hg38/{kind}.counts.tsv.gz" for kind in kinds]
    tables = [pd.read_csv(path, sep="\t", index_col=0).T for path in paths]
    counts, types = pd.concat(tables), np.repeat(kinds, [len(each) for each in tables])
    hgnc = pd.read_csv(DATA / "hgnc.tsv.gz", sep="\t", dtype=str).dropna(
        subset=["entrez_id", "ensembl_gene_id"]
    )
    ensembl = hgnc.drop_duplicates("entrez_id").set_index("entrez_id")["ensembl_gene_id"]
    mapped = ensembl.reindex(table.index.str.rpartition("|").get_level_values(2)).to_numpy()
    shared = pd.Index(mapped).isin(counts.columns)
    log2 = np.log2(np.maximum(table[shared].to_numpy(np.float32).T, 0) + 1)
    subsets = split(samples, 0.2)
    chosen = choose_genes(log2[subsets == "train"], N_GENES)
    places = counts.columns.get_indexer(mapped[shared][chosen])
    hidden = counts.index.str[:12].isin(samples["patient"][subsets == "test"])
    others = {}
    for unit in ("RSEM", "RPM"):
        converted = convert(counts.to_numpy(np.float32), "counts", unit)
        there = np.log2(converted[:, places] + 1)
        others[f"hg38 counts as {unit}"] = there[hidden], types[hidden]
        others[f"hg38 counts as {unit}, also of training patients"] = there, types
    run(Trial("RSEM hg19 → hg38", log2[:, chosen], samples, subsets, others))


def try_platforms() -> None:
    """Train on one sequencing platform, and score patients of the other; who had both belongs to neither."""
    table, samples = read("tcga-mirna-32")
    log2 = np.log2(table.to_numpy(np.float32).T + 1)
    old = samples["platform"] == "Illumina Genome Analyzer"
    for name, there in (("HiSeq → Genome Analyzer", old), ("Genome Analyzer → HiSeq", ~old)):
        both = set(samples["patient"][there]) & set(samples["patient"][~there])
        alone = ~samples["patient"].isin(both)
        n_patients = samples[~there & alone].groupby("tumour_type")["patient"].nunique()
        here = (
            ~there & alone & samples["tumour_type"].isin(n_patients.index[n_patients >= FEWEST])
        ).to_numpy()
        other = (there & alone).to_numpy()
        others = {"other platform": (log2[other], samples["tumour_type"].to_numpy()[other])}
        run(Trial(name, log2[here], samples[here], split(samples[here], 0.1), others))


TRIALS = {"builds": try_builds, "platforms": try_platforms}


def main() -> None:
    """Print the table of the trials that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="*", default=list(TRIALS), help=", ".join(TRIALS))
    columns = ("training → cohort", "model", "aligned", "samples", "accuracy", "macro-F1", "log-loss", "ECE")
    columns += ("better", "worse", "p")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for trial in parser.parse_args().trials:
        TRIALS[trial]()


if __name__ == "__main__":
    main()
