"""Depth search: every trial of every backbone."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures import draw_depths, draw_search
from expressionist.report.marks import Marks
from expressionist.report.words import count, name

_STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


def describe_search(searches: Mapping[str, Mapping[str, Any]], marks: Marks) -> Part:
    """Show which depths were tried, what they reached and which one was chosen.

    Parameters
    ----------
    searches : mapping of str to mapping
        Backbone → content of its search JSON.
    marks : Marks
        What figures must say.

    Returns
    -------
    Part
        The section.
    """
    trials = {backbone: _tabulate_trials(record) for backbone, record in searches.items()}
    objective = name(next(iter(searches.values()))["objective"])
    every = pd.concat(
        [rows.assign(backbone=backbone) for backbone, rows in trials.items()], ignore_index=True
    )
    chosen = [_state_chosen(backbone, record, trials[backbone]) for backbone, record in searches.items()]
    pictures = [
        marks.show(
            draw_search(every, objective),
            f"Validation {objective} of every trial by depth, a panel per backbone",
            "A trial is one training of head and unfrozen layers; depth 0 trains the head alone. Pruned "
            "trials were stopped early because they trailed behind, so their values are not final.",
            backbones=searches,
        ),
        marks.show(
            draw_depths(pd.DataFrame(chosen)),
            "Chosen depth of every backbone within the depths open to the search",
            backbones=searches,
        ),
    ]
    return Part(
        [_state_effort(every)],
        pictures=pictures,
        tables=[_show_trials(backbone, rows, objective) for backbone, rows in trials.items()],
    )


def _tabulate_trials(record: Mapping[str, Any]) -> pd.DataFrame:
    trials = pd.DataFrame(record["trials"])
    # A failed trial knows nothing but its number and what was to be tried.
    for column in ("depth", "value", "seconds", "n_unfrozen_layers", "n_unfrozen_parameters"):
        trials[column] = pd.to_numeric(trials[column]) if column in trials else float("nan")
    histories: list[Any] = [*trials.get("history", [[]] * len(trials))]
    known = [found if isinstance(found, list) else [] for found in histories]
    extra = [
        key for key in dict.fromkeys(key for chosen in trials["params"] for key in chosen) if key != "depth"
    ]
    opened = {key: [chosen.get(key) for chosen in trials["params"]] for key in extra}
    best = trials["number"] == record["best"]["number"]
    return trials.assign(best=best, epochs=[len(found) for found in known], **opened)


def _state_chosen(backbone: str, record: Mapping[str, Any], trials: pd.DataFrame) -> dict[str, Any]:
    best = trials.loc[trials["best"]].iloc[0]
    return {
        "backbone": backbone,
        "depth": int(best["depth"]),
        "deepest": max(record["space"]["depths"]),
        "n_unfrozen_parameters": best["n_unfrozen_parameters"],
    }


def _state_effort(every: pd.DataFrame) -> str:
    states = every["state"].map(_STATES).value_counts()
    told = ", ".join(f"{n} {state}" for state, n in states.items())
    minutes = every["seconds"].sum() / 60
    return f"{count(len(every), 'trial')} ({told}) took {minutes:.1f} minutes of training in all."


def _show_trials(backbone: str, trials: pd.DataFrame, objective: str) -> Table:
    opened = [column for column in ("learning_rate", "dropout") if column in trials]
    columns = [
        "number",
        "depth",
        *opened,
        "state",
        "value",
        "n_unfrozen_layers",
        "n_unfrozen_parameters",
        "epochs",
        "seconds",
    ]
    rows = trials.assign(state=trials["state"].map(_STATES))
    rows = rows[columns].astype(
        {"depth": "Int64", "n_unfrozen_layers": "Int64", "n_unfrozen_parameters": "Int64"}
    )
    best = trials.index[trials["best"]][0]
    return Table(
        rows,
        f"Trials of {backbone}",
        f"In bold: the chosen trial, of best {objective} on validation samples; of equals the shallowest.",
        best=best,
        headings={"value": f"Validation {objective}"},
        formats={"seconds": ".1f", "learning_rate": ".2g", "dropout": ".2f"},
        folded=len(trials) > 8,
    )
