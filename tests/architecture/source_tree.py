"""The package's source as the architecture tests see it: modules and their imports."""

import ast
from functools import cache
from pathlib import Path

from expressionist.code_digest import Code

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/expressionist"

MODULES = Code(PACKAGE).modules
SHORT = {name.removeprefix("expressionist."): path for name, path in MODULES.items()}


@cache
def read_tree(module):
    """Parse a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _walk(node, *, at_load):
    """Walk a tree; `at_load` leaves out what only a call or a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        called = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not (at_load and (called or checked)):
            yield from _walk(child, at_load=at_load)


@cache
def read_imports(module, *, at_load=False):
    """Name what a module imports anywhere in its text (`import_module("...")` too), or when it is loaded."""
    found = set()
    for node in _walk(read_tree(module), at_load=at_load):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {item.value for item in node.args if isinstance(item, ast.Constant)}
    return frozenset(found)


def find_tools(module, *, at_load=False):
    """Name the other packages that a module imports."""
    return {name.partition(".")[0] for name in read_imports(module, at_load=at_load)} - {"expressionist"}


def close_over(module, *, at_load=False):
    """Name all modules that a module imports, directly or not, with the packages they are in."""
    seen, todo = set(), {module}
    while todo:
        name = todo.pop()
        seen.add(name)
        parts = name.split(".")
        loaded = {".".join(parts[:n]) for n in range(1, len(parts))} | read_imports(name, at_load=at_load)
        todo |= (loaded & MODULES.keys()) - seen
    return seen
