"""What was run: cohort, split, layout, networks and their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, name


def state_origin(run: FinishedRun) -> list[str]:
    """Say when, by what code and from which seed the winner was trained."""
    training = run.trainings[run.winner]
    day = pd.Timestamp(training["started"])
    return [
        f"First trained on {day.day} {day:%B %Y} (UTC)",
        f"page made by {run.commit}",
        ", ".join(f"{package} {version}" for package, version in run.versions.items()),
        f"training seed {training['params']['training']['seed']}",
        f"model {run.model_digest[:12]}… in dvc.lock",
    ]


def describe(run: FinishedRun) -> Part:
    """Say what was run."""
    sides = run.split["split"].value_counts()
    height, width = run.about["shape"]
    search = next(iter(run.searches.values()))
    facts = {
        "Cohort": run.about["cohort"],
        "Samples": f"{len(run.split):,} from {count(run.split['patient'].nunique(), 'patient')}",
        "Tumour types": run.split["tumour_type"].nunique(),
        "Unit of the expression": run.about["unit"],
        "Split by patient": ", ".join(
            f"{sides.get(side, 0):,} {side}" for side in ("train", "validation", "test")
        ),
        "Genes": f"{run.about['n_genes']:,} on {height} × {width} pixels, by {run.about['method']}",
        "Networks": ", ".join(run.trainings),
        "Baseline models": ", ".join(map(name, run.baselines)),
        "Depths chosen by": f"mean {name(search['objective'])} over folds",
        "Images in dvc.lock": search["digests"]["images"],
    }
    return Part(facts=facts, tables=[_tabulate_networks(run), _tabulate_params(run)])


def _tabulate_networks(run: FinishedRun) -> Table:
    """Say what each network is, and where its weights come from."""
    rows = [
        {
            "backbone": backbone,
            "weights": "RANDOM" if record["weights"]["random"] else record["weights"]["source"],
            **{key: record[key] for key in ("depth", "n_parameters")},
            "file": record["weights"]["file"].rpartition("/")[2] or None,
            "digest": record["weights"]["digest"][:12],
        }
        for backbone, record in run.trainings.items()
    ]
    caption = (
        "Depth: how many layers of the backbone were trained; the head always is. File and digest are those "
        "of the weights that training started from."
    )
    return Table(pd.DataFrame(rows), "Networks", caption)


def _tabulate_params(run: FinishedRun) -> Table:
    columns = {
        backbone: dict(_flatten({**record["params"], "search": _state_search(run, backbone)}))
        for backbone, record in run.trainings.items()
    }
    rows = pd.DataFrame(columns).rename_axis("parameter").reset_index()
    return Table(rows, "Parameters of networks, training and search", folded=True)


def _state_search(run: FinishedRun, backbone: str) -> dict[str, Any]:
    return {**run.searches[backbone]["params"]["search"], "study": run.trainings[backbone]["study"]}


def _flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            # Text: numbers of a parameter's column are no quantities to be compared with each other.
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
