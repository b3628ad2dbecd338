"""What was run: cohort, split, layout, networks and their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.training import tabulate_networks
from expressionist.report.words import count, name


def describe_run(
    about: Mapping[str, Any],
    split: pd.DataFrame,
    searches: Mapping[str, Mapping[str, Any]],
    trainings: Mapping[str, Mapping[str, Any]],
    opponents: Mapping[str, Any],
) -> Part:
    """Say what was run.

    Parameters
    ----------
    about : mapping
        Content of layout.json.
    split : pandas.DataFrame of length n_samples
        Columns ``patient``, ``tumour_type``, ``split``.
    searches, trainings : mapping of str to mapping
        Backbone → content of its search JSON and of training.json.
    opponents : mapping
        Content of baselines.json.

    Returns
    -------
    Part
        The section.
    """
    sides = split["split"].value_counts()
    height, width = about["shape"]
    search = next(iter(searches.values()))
    facts = {
        "Cohort": about["cohort"],
        "Samples": f"{len(split):,} from {count(split['patient'].nunique(), 'patient')}",
        "Tumour types": split["tumour_type"].nunique(),
        "Unit of the expression": about["unit"],
        "Split by patient": ", ".join(
            f"{sides.get(side, 0):,} {side}" for side in ("train", "validation", "test")
        ),
        "Genes": f"{about['n_genes']:,} on {height} × {width} pixels, by {about['method']}",
        "Networks": ", ".join(trainings),
        "Opponents": ", ".join(map(name, opponents)),
        "Chosen by": f"validation {name(search['objective']).replace('f1 macro', 'macro-F1')}",
        "Images in dvc.lock": search["digests"]["images"],
    }
    tables = [tabulate_networks(trainings), _tabulate_params(searches, trainings)]
    return Part(facts=facts, tables=tables)


def _tabulate_params(
    searches: Mapping[str, Mapping[str, Any]], trainings: Mapping[str, Mapping[str, Any]]
) -> Table:
    columns = {}
    for backbone in trainings:
        search = {"search": searches[backbone]["params"]["search"]}
        columns[backbone] = dict(_flatten({**trainings[backbone]["params"], **search}))
    rows = pd.DataFrame(columns).rename_axis("parameter").reset_index()
    return Table(rows, "Parameters of networks, training and search", folded=True)


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            # Text: numbers of a parameter's column are no quantities to be compared with each other.
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
