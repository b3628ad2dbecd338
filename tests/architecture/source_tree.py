"""The package's source as the architecture tests see it: modules and their imports."""

import ast
from functools import cache
from pathlib import Path

from expressionist.files.code_digest import Code

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/expressionist"

MODULES = Code(PACKAGE).modules


@cache
def read_tree(module):
    """Parse a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _is_for_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@cache
def read_surface(module):
    """Read which names a package lends: name → the module that has it."""
    blocks = [node for node in read_tree(module).body if _is_for_checkers(node) and node.orelse]
    return {
        alias.name: node.module
        for block in blocks
        for node in block.body
        for alias in getattr(node, "names", ())
        if isinstance(node, ast.ImportFrom)
    }


def _walk(node, *, at_load):
    """Walk a tree without what packages lend; `at_load` leaves out what calls and type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        called = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = _is_for_checkers(child)
        if not (at_load and (called or checked)) and not (checked and child.orelse):
            yield from _walk(child, at_load=at_load)


def _list_imported(node):
    """Name the modules that `from ... import ...` may mean, and what it asks of a package's surface."""
    yield node.module
    lent = read_surface(node.module) if node.module in MODULES else {}
    for alias in node.names:
        yield lent.get(alias.name, f"{node.module}.{alias.name}")


@cache
def read_imports(module, *, at_load=False):
    """Name what a module imports anywhere in its text (`import_module("...")` too), or when it is loaded."""
    found = set()
    for node in _walk(read_tree(module), at_load=at_load):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= set(_list_imported(node))
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
