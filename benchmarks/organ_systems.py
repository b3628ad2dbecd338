"""Types apart and merged, and what answers by organ system save, with logistic regression in five folds.

Run ``python benchmarks/organ_systems.py --cohort tcga-mrna-7`` or ``tcga-mirna-32`` (of ../shared/data).
Patients are divided as in cross_validation.py, once; genes, model, temperature and the threshold of an answer
are chosen on training and validation samples, as in params.yaml. Prints a table in Markdown, over the test
samples of all folds: accuracy and macro-F1; the share answered by tumour type, by organ system, and not at
all; and which share of these answers is right. "Read as one": the probabilities of COAD and READ, learnt
apart, summed.
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
from cross_validation import split_folds
from levers import SHIPPED, read_cohort

from expressionist.commands.params_file import read_params
from expressionist.data.cohort import Cohort
from expressionist.data.expression import choose_genes, to_log2
from expressionist.data.merged_types import merge_types, rename_labels
from expressionist.evaluation.baselines import LabelledRows, fit_baseline
from expressionist.evaluation.calibration import choose_threshold
from expressionist.evaluation.metrics import score
from expressionist.evaluation.organ_systems import ABSTAIN, answer_by_organ, find_organ_systems
from expressionist.params.sections import Params

UNITS = {"tcga-mrna-7": "RSEM", "tcga-mirna-32": "RPM"}
MERGED = {"CRC": ("COAD", "READ")}


def predict_folds(cohort: Cohort, params: Params) -> pd.DataFrame:
    """Predict every sample once: probabilities by type, the fold's threshold, and the true type."""
    names, parts = cohort.tumour_types, []
    types = pd.Index(names).get_indexer(pd.Index(cohort.samples["tumour_type"]))
    for sides in split_folds(cohort, 5, params.split.validation, 1):
        log2 = {side: to_log2(cohort.expression[rows], cohort.unit) for side, rows in sides.items()}
        genes = choose_genes(log2["train"], params.expression.n_genes)
        known = [LabelledRows(log2[side][:, genes], types[sides[side]]) for side in ("train", "validation")]
        model = fit_baseline("logistic_regression", *known, n_types=len(names), seed=1)
        threshold = choose_threshold(
            model.predict_proba(known[1].expression), known[1].types, params.evaluation.answered_accuracy
        )
        part = pd.DataFrame(model.predict_proba(log2["test"][:, genes]), sides["test"], names)
        parts.append(part.assign(threshold=threshold, truth=types[sides["test"]]))
    return pd.concat(parts)


def describe(cohort: Cohort, found: pd.DataFrame) -> list[str]:
    """Put accuracy and the answers of one model into a row."""
    names, truth = cohort.tumour_types, found["truth"].to_numpy()
    systems, probabilities = find_organ_systems(names, cohort.merged), found[names].to_numpy()
    answers = pd.concat(
        [
            answer_by_organ(part[names].to_numpy(), names, systems, float(threshold)).set_index(part.index)
            for threshold, part in found.groupby("threshold")
        ]
    ).loc[found.index, "answer"]
    given = answers.to_numpy(str)
    by_type, none = np.isin(given, names), given == ABSTAIN
    by_organ = ~by_type & ~none
    right = np.where(by_type, given == np.array(names)[truth], given == np.array(systems)[truth])
    scores = score(probabilities, truth)
    told = [f"{scores['accuracy']:.3f}", f"{scores['f1_macro']:.3f}"]
    for chosen in (by_type, by_organ):
        told.append(f"{chosen.mean():.1%} ({right[chosen].mean():.1%})" if chosen.any() else "0%")
    return [*told, f"{none.mean():.1%}"]


def main() -> None:
    """Compare both cohorts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", choices=UNITS, default="tcga-mrna-7")
    name = parser.parse_args().cohort
    params = read_params(SHIPPED)
    apart = read_cohort(name, UNITS[name])
    merged = replace(apart, samples=merge_types(apart.samples, MERGED)[0], merged=MERGED)
    print("| types | accuracy | macro-F1 | answered by type (right) | by organ system (right) | not at all |")
    print("|---|---|---|---|---|---|")
    found = predict_folds(apart, params)
    print(f"| apart | {' | '.join(describe(apart, found))} |")
    # What the same probabilities are worth where the two are one: their sums.
    called = rename_labels(pd.Series(apart.tumour_types), MERGED).to_numpy()
    joint = found[apart.tumour_types].T.groupby(called).sum().T
    truth = pd.Index(merged.tumour_types).get_indexer(pd.Index(called[found["truth"]]))
    scores = score(joint[merged.tumour_types].to_numpy(), truth)
    print(f"| apart, read as one | {scores['accuracy']:.3f} | {scores['f1_macro']:.3f} | | | |")
    print(f"| merged | {' | '.join(describe(merged, predict_folds(merged, params)))} |")


if __name__ == "__main__":
    main()
