"""What can be named in params.yaml: files and rows of tables, found without loading any of them."""

import ast
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def list_sources() -> list[str]:
    """Return the words for the sources of cohorts: the files of ``sources``, with hyphens.

    >>> "embedded" in list_sources(), "pancan-mrna" in list_sources()
    (True, True)
    """
    return [name.replace("_", "-") for name in _list_files("data/sources")]


def list_layouts() -> list[str]:
    """Return the words for the layout methods: the files of ``layouts``."""
    return _list_files("painting/layouts")


def list_backbones() -> list[str]:
    """Return the words for the backbones: the rows of their table."""
    return _list_rows("network/backbones.py", "BACKBONES")


def list_baselines() -> list[str]:
    """Return the words for the baseline models: the rows of their table."""
    return _list_rows("evaluation/baselines.py", "BASELINES")


def layout_defines(name: str, definition: str) -> bool:
    """Say whether the file of a layout method defines a function or class; loading it may take seconds.

    >>> layout_defines("tsne", "embed"), layout_defines("random", "embed")
    (True, False)
    """
    body = _read(f"painting/layouts/{name}.py").body
    return any(getattr(statement, "name", None) == definition for statement in body)


def _list_files(folder: str) -> list[str]:
    """Name the modules and packages in a folder whose names do not begin with an underscore."""
    modules = [*(_PACKAGE / folder).glob("[!_]*.py"), *(_PACKAGE / folder).glob("[!_]*/__init__.py")]
    return sorted(path.parent.name if path.stem == "__init__" else path.stem for path in modules)


def _list_rows(file: str, table: str) -> list[str]:
    """Name the rows of a table that a module writes out, in its order."""
    rows: list[str] = []
    for statement in _read(file).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Dict):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if table in map(ast.unparse, targets):
                rows += [ast.literal_eval(row) for row in statement.value.keys if row is not None]
    return rows


def _read(file: str) -> ast.Module:
    return ast.parse((_PACKAGE / file).read_text(encoding="utf-8"))
