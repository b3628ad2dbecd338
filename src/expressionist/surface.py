"""The surface of a folder: what its `__init__` imports for type checkers is imported on first use.

So it is written down once, and who takes one name of a folder does not wait for TensorFlow.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from expressionist.errors import name_extra


def lend(package: str, file: str) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package from its ``__name__`` and ``__file__``."""

    @cache
    def find_modules() -> dict[str, str]:
        found = ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
        imports = [node for node in found if isinstance(node, ast.ImportFrom)]
        return {item.name: str(node.module) for node in imports for item in node.names}

    def find(name: str) -> Any:  # noqa: ANN401
        module = find_modules().get(name, "")
        if not module.startswith(f"{package}."):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with name_extra():
            value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
