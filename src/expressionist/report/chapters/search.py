"""Depth search: every trial of every backbone."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures.learning import draw_depths, draw_search
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, name

_STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
_WHOLE = ["depth", "n_unfrozen_layers", "n_unfrozen_parameters"]


def describe(run: FinishedRun) -> Part:
    """Show which depths were tried, what they reached and which one was chosen."""
    trials = {backbone: _tabulate_trials(record) for backbone, record in run.searches.items()}
    objective = name(next(iter(run.searches.values()))["objective"])
    every = pd.concat([rows.assign(backbone=backbone) for backbone, rows in trials.items()])
    deepest = {backbone: max(record["space"]["depths"]) for backbone, record in run.searches.items()}
    chosen = every.loc[every["best"]].assign(deepest=lambda rows: rows["backbone"].map(deepest))
    pictures = [
        run.marks.show(
            draw_search(every, objective),
            f"Mean {objective} over folds of every trial by depth, a panel per backbone",
            "A trial trains head and unfrozen layers once for each fold of the training and validation "
            "patients, on the other folds; depth 0 trains the head alone. Bars: standard error of the mean "
            "over folds. "
            "Pruned trials were stopped early because they trailed behind, so their values are not final.",
            backbones=run.searches,
        ),
        run.marks.show(
            draw_depths(chosen),
            "Chosen depth of every backbone within the depths open to the search",
            backbones=run.searches,
        ),
    ]
    tables = [_show_trials(backbone, rows, objective) for backbone, rows in trials.items()]
    return Part([_state_effort(every)], pictures=pictures, tables=tables)


def _tabulate_trials(record: Mapping[str, Any]) -> pd.DataFrame:
    # A failed trial knows nothing but its number and what was to be tried.
    measured = [*_WHOLE, "value", "standard_error", "behind", "error", "seconds"]
    rows = [
        {"number": trial["number"], "state": trial["state"], **trial["params"]}
        | {key: trial.get(key) for key in measured}
        | {"epochs": len(trial.get("history") or [])}
        for trial in record["trials"]
    ]
    trials = pd.DataFrame(rows).astype(dict.fromkeys(measured, float))
    return trials.assign(best=trials["number"] == record["best"]["number"])


def _state_effort(every: pd.DataFrame) -> str:
    states = every["state"].map(_STATES).value_counts()
    told = ", ".join(f"{n} {state}" for state, n in states.items())
    minutes = every["seconds"].sum() / 60
    return f"{count(len(every), 'trial')} ({told}) took {minutes:.1f} minutes of training in all."


def _show_trials(backbone: str, trials: pd.DataFrame, objective: str) -> Table:
    opened = [column for column in ("learning_rate", "dropout") if column in trials]
    # Most backbones have a weighted layer per step of depth; the same number need not stand there twice.
    sizes = [size for size in _WHOLE[1:] if not trials[size].equals(trials["depth"])]
    scores = ["value", "standard_error", "behind", "error"]
    columns = ["number", "depth", *opened, "state", *scores, *sizes, "epochs", "seconds"]
    rows = trials.assign(state=trials["state"].map(_STATES))[columns]
    return Table(
        rows.astype(dict.fromkeys(["depth", *sizes], "Int64")),
        f"Trials of {backbone}",
        "In bold: the chosen trial, the shallowest within one standard error of the best (Breiman et al. "
        "1984). Behind the best: the mean difference from it, fold by fold. That may be sure, as all depths "
        "are tried on the same folds, and still less than other patients would move either by.",
        best=trials.index[trials["best"]][0],
        headings={
            "value": f"Mean {objective} over folds",
            "standard_error": "Its standard error",
            "behind": "Behind the best",
            "error": "Standard error of that",
        },
        formats={"seconds": ".1f", "learning_rate": ".2g", "dropout": ".2f", "behind": ".4f", "error": ".4f"},
        folded=len(trials) > 8,
    )
