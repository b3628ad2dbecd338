"""Cohort and quality: what was read, kept and dropped, whichever source it came from."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Picture, Table
from expressionist.report.figures.cohort import draw_samples
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import format_value, spell

_ENTRY = ("rule", "n", "examples", "by_type", "fate")
# Shown elsewhere: in the banner, under "What was run", or as the figure of samples.
_TOLD = frozenset({"synthetic", "cohort", "unit", "n_samples_per_type"})

# Of a run these stand under "What was run".
_SIZES = frozenset({"n_samples", "n_genes", "n_patients"})
# Where the name of a key alone would not be understood.
_WORDS = {
    "seed": "Seed of the simulator",
    "n_second_samples": "Second samples of a patient",
    "n_markers": "Genes planted as markers, some of them of several types",
    "n_samples_resembling_a_relative": "Samples resembling a relative (simulated to lean to a related tumour "
    "type, as some LUAD do to LUSC)",
    "zero_share": "Share of values that are 0",
    "n_genes_never_seen": "Genes that are 0 in every sample",
}


def describe(run: FinishedRun) -> Part:
    """Say what became of the cohort, and how it was split."""
    picture = run.marks.show(
        draw_samples(run.split),
        "Number of samples per tumour type, by side of the split",
        "Samples per tumour type. All samples of a patient are in one subset of the split.",
    )
    quality = {key: value for key, value in run.quality.items() if key not in _SIZES}
    return describe_cohort(quality, picture)


def describe_cohort(quality: Mapping[str, Any], picture: Picture) -> Part:
    """Describe a cohort by its quality.json, whose keys every source has of its own, beside a picture.

    Numbers become facts, mappings of numbers folded tables, entries with a ``rule`` rows of a table of rules.
    """
    kept = {key: value for key, value in quality.items() if key not in _TOLD}
    rules = pd.DataFrame(_list_rules(kept))
    tables = [_tabulate_rules(rules)] if len(rules) else []
    facts = _state_facts(kept) | _state_positions(quality)
    return Part(facts=facts, pictures=[picture], tables=[*tables, *_tabulate_counts(kept)])


def _list_rules(quality: Mapping[str, Any], of: str = "") -> Iterator[dict[str, Any]]:
    """Find every entry with a rule, at any depth."""
    for key, value in quality.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping) and "rule" in entry:
                yield _flatten_rule(entry, of or key)
            elif isinstance(entry, Mapping):
                yield from _list_rules(entry, of or key)


def _flatten_rule(entry: Mapping[str, Any], of: str) -> dict[str, Any]:
    by_type = sorted(entry.get("by_type", {}).items(), key=lambda item: -item[1])
    more = {key: value for key, value in entry.items() if key not in _ENTRY}
    return {
        "of": of,
        "rule": entry["rule"],
        "n": entry.get("n"),
        "by_type": ", ".join(f"{name} {n}" for name, n in by_type[:5]) + (" …" if len(by_type) > 5 else ""),
        "examples": ", ".join(entry.get("examples", [])[:3]),
        "more": "; ".join(f"{spell(key).lower()} {format_value(value, key)}" for key, value in more.items()),
    }


def _tabulate_rules(rules: pd.DataFrame) -> Table:
    empty = [column for column in ("by_type", "examples", "more") if not rules[column].any()]
    return Table(
        rules.drop(columns=empty),
        "Rules, in the order in which they were applied",
        "How many samples, genes or values each rule dropped or changed: 0 where it met nothing. A type "
        "under another name drops nothing either.",
        headings={"n": "Dropped or changed", "by_type": "Most by type", "more": "Further"},
    )


def _state_facts(quality: Mapping[str, Any]) -> dict[str, object]:
    facts: dict[str, object] = {}
    for key, value in quality.items():
        if not isinstance(value, Mapping | list):
            told = _WORDS.get(key) or spell(key)
            facts[told] = format_value(value, "share" if key.endswith("_share") else key)
        elif isinstance(value, Mapping) and isinstance(value.get("kept"), int) and "read" in value:
            facts[spell(key)] = f"{value['kept']:,} of {value['read']:,} kept"
    return facts


def _state_positions(quality: Mapping[str, Any]) -> dict[str, object]:
    about = quality.get("genes", {}).get("positions")
    if not about:
        return {}
    build = f"build {about['build']}" if about["build"] else "build not stated"
    return {"Gene positions": f"{about['file']} ({about['format']}, {build})"}


def _tabulate_counts(quality: Mapping[str, Any]) -> Iterator[Table]:
    """Show mappings of numbers as folded tables: one number per name, or several side by side."""
    for key, value in quality.items():
        if not isinstance(value, Mapping) or "rule" in value or "rules" in value:
            continue
        columns = value if all(isinstance(inner, Mapping) for inner in value.values()) else {"n": value}
        rows = pd.DataFrame({spell(str(name)): dict(inner) for name, inner in columns.items()})
        if rows.empty or not all(pd.api.types.is_numeric_dtype(rows[column]) for column in rows):
            continue
        whole = (rows.fillna(0) % 1 == 0).all(axis=None)
        rows = rows.fillna(0).astype("int64") if whole else rows
        yield Table(rows.rename_axis(" ").reset_index(), spell(key), folded=True)
