"""Commands on registered versions: their aliases, their files, and what they have learned."""

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from expressionist.commands.options import PATH, list_store_options, read_project_params
from expressionist.commands.tensorflow_start import hush, spare
from expressionist.commands.terminal import say

# First genes of a tumour type that two versions are compared in.
_N_COMPARED = 20
# Beside 1, not passed by the gate, and 2, refused.
_HOOK_FAILED = 3
# Where the stages leave what a run says it was made from.
MADE_FROM = {
    **{name: f"data/{name}" for name in ("cohort", "layout", "images", "baselines")},
    "split": "data/split.tsv",
    "search": "data/search/{backbone}.json",
    "evaluation": "data/evaluation/{backbone}",
    "refit": "data/refit",
}
_REASON = click.option("--reason", default="", help="Why, in a line, for the history.")


@click.command(params=list_store_options())
@click.option("--to", default="staging", show_default=True, help="Alias to set.")
@click.option(
    "--allow-synthetic", "synthetic", is_flag=True, help="Promote although the samples were simulated."
)
@click.option(
    "--allow-random-weights",
    "random_weights",
    is_flag=True,
    help="Promote although no weights were pretrained.",
)
@click.option(
    "--across-data", is_flag=True, help="Promote although the present version was tested on other samples."
)
@click.option("--dry-run", is_flag=True, help="Show the gate's checks and promote nothing.")
@_REASON
def promote(
    to: str, root: Path, tracking_uri: str | None, reason: str, *, dry_run: bool, **waivers: bool
) -> None:
    """Promote the challenger, or to production what is staging, if it passes the gate of params.yaml."""
    from expressionist.tracking import Waivers, find_store, name_user
    from expressionist.tracking import promote as promote_version

    store, params = find_store(root, tracking_uri), read_project_params(root).registry
    outcome = promote_version(
        store,
        params.name,
        to=to,
        gate=params.gate,
        who=name_user(),
        when=datetime.now(UTC),
        why=reason,
        waivers=Waivers(**waivers),
        dry_run=dry_run,
    )
    version = f"Version {outcome.version} of {params.name}"
    if not outcome.checks:
        say(f"{version} is {to} already.")
        return
    _show_checks(outcome.checks)
    if not outcome.passed:
        say(f"{version} is not promoted; {to} stays as it was.")
        say("What a person can allow: expressionist promote --help")
        sys.exit(1)
    before = f"(before: {outcome.from_version or 'none'})"
    say(f"{version} passes; {to} stays as it was." if dry_run else f"{version} is {to} {before}.")
    if not dry_run:
        _run_afterwards(params, to, outcome.version, outcome.from_version or "", root)


def _run_afterwards(params: Any, alias: str, version: str, before: str, root: Path) -> None:  # noqa: ANN401
    """Run the command of params.yaml now that an alias has moved; its failure is told, and undoes nothing."""
    if params.after_promotion is None:
        return
    facts = {"MODEL": f"models:/{params.name}@{alias}", "VERSION": version, "ALIAS": alias, "FROM": before}
    environment = {**os.environ, **{f"EXPRESSIONIST_{key}": value for key, value in facts.items()}}
    sys.stdout.flush()
    ended = subprocess.run(params.after_promotion, shell=True, cwd=root, env=environment, check=False)
    if ended.returncode:
        say(f"registry.after_promotion ended with {ended.returncode}; {alias} stays as it is now.", err=True)
        sys.exit(_HOOK_FAILED)


def _show_checks(checks: Sequence[Any]) -> None:
    """Print the gate's table, and what speaks against the version in words."""
    rows = [["check", "found", "asked", "held"]]
    for check in checks:
        held = "yes" if check.held else "allowed" if check.waived else "NO"
        rows.append([check.what, check.found, check.asked, held])
    _show_table(rows)
    for check in checks:
        if not check.passed:
            say(check.said)


def _show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of which are the headings, in columns as wide as what they hold."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@click.command(params=list_store_options())
@click.option("--from", "alias", default="staging", show_default=True, help="Alias to take away.")
@_REASON
def demote(alias: str, root: Path, tracking_uri: str | None, reason: str) -> None:
    """Take an alias away from the version that has it."""
    _move_back(root, tracking_uri, alias, None, reason)


@click.command(params=list_store_options())
@click.option("--to", required=True, help="Version that had the alias before; `history` lists them.")
@click.option("--alias", default="staging", show_default=True, help="Alias to set.")
@_REASON
def rollback(to: str, alias: str, root: Path, tracking_uri: str | None, reason: str) -> None:
    """Give an alias back to a version that had it before."""
    _move_back(root, tracking_uri, alias, to, reason)


def _move_back(root: Path, tracking_uri: str | None, alias: str, to: str | None, reason: str) -> None:
    from expressionist.tracking import find_store, move_back, name_user

    store, params = find_store(root, tracking_uri), read_project_params(root).registry
    by: dict[str, Any] = {"who": name_user(), "when": datetime.now(UTC), "why": reason}
    move = move_back(store, params.name, alias=alias, to=to, **by)
    say(f"{alias} of {params.name}: from version {move.from_version} to {move.to_version}.")
    if to is not None:
        before = "" if move.from_version == "none" else move.from_version
        _run_afterwards(params, alias, to, before, root)


@click.command(params=list_store_options())
@click.option("--alias", help="Whose moves; of all aliases if not given.")
def history(alias: str | None, root: Path, tracking_uri: str | None) -> None:
    """List every move of an alias: when, by whom, from which version to which, and why."""
    from expressionist.tracking import find_store, list_history

    moves = list_history(find_store(root, tracking_uri), read_project_params(root).registry.name, alias)
    _show_table([[*map(str, moves)], *moves.to_numpy().tolist()])


@click.command(params=list_store_options())
def models(root: Path, tracking_uri: str | None) -> None:
    """List the versions of the registered model and their aliases."""
    from expressionist.tracking import find_store, list_versions

    versions = list_versions(find_store(root, tracking_uri), read_project_params(root).registry.name)
    say(versions.to_string(index=False))


@click.command(params=list_store_options())
@click.argument("model")
@click.argument("out", type=PATH)
@click.option("--onnx", is_flag=True, help="Write model.onnx as well.")
def export(model: str, out: Path, root: Path, tracking_uri: str | None, *, onnx: bool) -> None:
    """Write a version as a SavedModel, which TensorFlow runs without this package.

    MODEL is a version, such as models:/tumour-type@staging, or data/served; OUT the folder to make.
    """
    from expressionist.tracking import export_version, find_model

    version = find_model(root, tracking_uri, model)
    with hush(), spare("matplotlib", "sklearn"):
        importlib.import_module("expressionist.network.assembly")
    export_version(version, out, onnx=onnx)
    say(f"{out}: {version.title} as a SavedModel, genes.tsv and about.json")


@click.command("compare-explanations", params=list_store_options())
@click.argument("first")
@click.argument("second")
def compare_explanations(first: str, second: str, root: Path, tracking_uri: str | None) -> None:
    """Say how far two versions agree on the genes that mark a tumour type.

    FIRST and SECOND are versions, such as models:/tumour-type@staging and models:/tumour-type/7. Compared are
    the genes that both have: how many of a type's first 20 are shared, and the rank correlation of all.
    """
    from expressionist.explain import compare_rankings
    from expressionist.tracking import find_store, find_version, read_ranking

    store = find_store(root, tracking_uri)
    rankings = [read_ranking(find_version(store, model)) for model in (first, second)]
    found = compare_rankings(*rankings, n_top=_N_COMPARED)
    say(found.to_string(index=False, float_format="%.3f"))
    means = found.mean(numeric_only=True)
    n_genes = len(rankings[0].columns.intersection(rankings[1].columns))
    say(
        f"Mean over {len(found)} types: {means['n_shared']:.1f} of the first {_N_COMPARED} genes, rank "
        f"correlation {means['correlation']:.3f}; {n_genes:,} genes are in both."
    )


@click.command(params=list_store_options())
@click.argument("run_or_version")
def verify(run_or_version: str, root: Path, tracking_uri: str | None) -> None:
    """Say whether all that made a run or a version is still there, and still what it was.

    RUN_OR_VERSION is a run id of MLflow, or a version such as models:/tumour-type@staging. Exit code 1 if
    something differs or is gone.
    """
    from expressionist.tracking import PRESENT, find_store, verify

    store, weights = find_store(root, tracking_uri), Path(read_project_params(root).weights.folder)
    found = verify(store, run_or_version, root=root, places=MADE_FROM, weights=root / weights)
    rows = [[each.what, each.state, each.where] for each in found]
    _show_table([["what", "state", "where"], *rows])
    if any(each.state != PRESENT for each in found):
        sys.exit(1)


COMMANDS = (models, verify, promote, demote, rollback, history, compare_explanations, export)
