"""What code a result hangs on: every definition that is reached from where it is made, as it counts.

A definition is a function, class or constant of a module. What it mentions is followed from module to module,
also through imports inside functions. What no result can show does not count: comments, docstrings, line
breaks, quotes, the order of definitions, and what nothing mentions. In doubt more counts, never less: a class
counts as a whole, and so does a module that is handed around; what importing a module does, other than to
define, always counts.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path

# As the name of a definition: all that there are, and what importing the module does.
_ALL, _IMPORTING = "*", ""
# Decorators that only give back what they were given, in other clothes. Any other may note it somewhere.
_PURE = {"cache", "contextmanager", "dataclass", "lru_cache", "section"}
# Whoever mentions one of these may look anything up by its name.
_OPEN = {"globals", "vars", "eval", "exec"}
_LONGEST_NAME = 80
# What `expressionist init` writes; it is there where the package is installed, and no code hangs on it.
_TEMPLATE = "template"
_Node = tuple[str, str]  # a module and the name of a definition


@dataclass
class _Definition:
    """What one name of a module stands for."""

    texts: list[str] = field(default_factory=list)
    # Names with what is asked of them: `np.zeros` → ("np", "zeros").
    mentions: set[tuple[str, ...]] = field(default_factory=set)
    imports: set[_Node] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    chooses: bool = False
    # For an import at the top of a module: what is imported, and whether importing the module imports it.
    alias: _Node | None = None
    deferred: bool = False


def list_files(folder: Path) -> list[Path]:
    """List the modules and resources of the package in a folder, as they are in a checkout, too."""
    inside = [(path, path.relative_to(folder).parts) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path, parts in inside if "__pycache__" not in parts and parts[0] != _TEMPLATE]


class Code:
    """The code of the package in a folder; files in it that are no modules are its resources.

    ``chosen`` says of packages inside that import one of their modules by a word of params.yaml which one,
    such as ``{"painting.layouts": "pca"}``. ``modules`` go by their whole names, packages by their folders'.

    >>> list(Code(Path(__file__).parents[1]).find("data.split:split_by_patient"))
    ['data.split', 'errors']
    """

    def __init__(self, folder: Path, chosen: Mapping[str, str] | None = None) -> None:
        self._package = folder.name
        self._chosen = {f"{folder.name}.{name}": word for name, word in (chosen or {}).items()}
        files = list_files(folder)
        parts = {path: path.relative_to(folder.parent).with_suffix("").parts for path in files}
        self.modules = {
            ".".join(parts[path]).removesuffix(".__init__"): path for path in files if path.suffix == ".py"
        }
        self._resources = {path.name: path for path in files if path.suffix != ".py"}
        self._read: dict[str, dict[str, _Definition]] = {}

    def find(self, *entries: str, without: Collection[str] = ()) -> dict[str, tuple[str, list[str]]]:
        """Find all that is reached from modules, or definitions such as ``stages.tune:run``.

        The packages, modules and definitions in ``without`` are not entered. Gives for every module, or
        resource, that counts a digest of what is reached of it, and the names of that which are no imports.
        """
        closed = {f"{self._package}.{name}" for name in without}
        found: set[_Node] = set()
        split = [f"{self._package}.{entry}".partition(":") for entry in entries]
        todo = [(module, name or _ALL) for module, _, name in split]
        while todo:
            module, name = node = todo.pop()
            packages = accumulate(module.split("."), "{}.{}".format)
            if node not in found and not closed & {f"{module}:{name}", *packages}:
                found.add(node)
                todo += self._follow(module, name)
        gathered: dict[str, list[str]] = {}
        for module, name in sorted(found):
            known = self._define(module).get(name)
            if module in self._resources or (known and known.texts):
                gathered.setdefault(module, []).append(name)
        return {
            module.removeprefix(f"{self._package}."): self._digest(module, names)
            for module, names in gathered.items()
        }

    def _define(self, module: str) -> dict[str, _Definition]:
        """Give what a module defines; of what is none of the package's modules, nothing."""
        if module not in self._read:
            path = self.modules.get(module)
            self._read[module] = _read_module(path.read_text(encoding="utf-8")) if path else {}
        return self._read[module]

    def _follow(self, module: str, name: str) -> Iterator[_Node]:
        """Name what is reached next."""
        if module not in self.modules:
            return
        definitions = self._define(module)
        if name == _IMPORTING:
            yield module.rpartition(".")[0], _IMPORTING
            for each in definitions.values():
                if each.alias and not each.deferred:
                    yield self._find_child(*each.alias) or each.alias[0], _IMPORTING
        else:
            yield module, _IMPORTING
        if name == _ALL:
            for known in definitions:
                yield from self._descend(module, known, [])
        elif name in definitions:
            yield from self._resolve(module, definitions[name])
        elif name != _IMPORTING:
            # One of a module's own attributes, or what is made only when it is asked for.
            yield module, _ALL

    def _resolve(self, module: str, definition: _Definition) -> Iterator[_Node]:
        """Name what a definition hangs on."""
        definitions = self._define(module)
        for root, *rest in definition.mentions:
            if root in definitions:
                yield from self._descend(module, root, rest)
            elif root in _OPEN:
                yield module, _ALL
        for imported in definition.imports:
            yield from self._descend(*imported, [])
        yield from ((word, _ALL) for word in definition.words & self._resources.keys())
        if definition.chooses and module in self._chosen:
            yield f"{module}.{self._chosen[module]}", _ALL

    def _descend(self, module: str, name: str, rest: Sequence[str]) -> Iterator[_Node]:
        """Follow `a.b.c` through packages, and what they import, to a definition, or to a whole module."""
        while name != _ALL or rest:
            if name == _ALL:
                name, *rest = rest
            elif child := self._find_child(module, name):
                module, name = child, _ALL
            else:
                yield module, name
                known = self._define(module).get(name)
                if known is None or known.alias is None:
                    return
                module, name = known.alias
        yield module, _ALL

    def _find_child(self, module: str, name: str) -> str | None:
        child = f"{module}.{name}"
        return child if child in self.modules else None

    def _digest(self, module: str, names: Sequence[str]) -> tuple[str, list[str]]:
        """Digest a resource, or these definitions of a module, and list those that are no imports."""
        if module in self._resources:
            content, own = self._resources[module].read_bytes(), []
        else:
            definitions = self._define(module)
            content = "".join("\n".join([name, *definitions[name].texts, ""]) for name in names).encode()
            own = [name for name in names if name and not definitions[name].alias]
        return hashlib.sha256(content).hexdigest()[:20], own


@cache
def _read_module(text: str) -> dict[str, _Definition]:
    """Sort a module's statements by the names that they define; what else they do is done on importing."""
    definitions = {_IMPORTING: _Definition()}
    for statement in _Undocumented().visit(ast.parse(text)).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, alias, told in _read_imports(statement):
                definitions[name] = _Definition(texts=[told], alias=alias)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            definitions |= _read_surface(statement)
        elif not isinstance(statement, ast.Pass):
            for name in _list_names(statement):
                definition = definitions.setdefault(name, _Definition())
                definition.texts.append(ast.unparse(statement))
                _Mentions(definition).visit(statement)
    return definitions


class _Undocumented(ast.NodeTransformer):
    """Takes out docstrings, other text that stands for itself, and what `parsing.key` is told of a key."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def visit_body(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]  # type: ignore[attr-defined]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_body

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "key":
            node.args = []
        return node


def _read_imports(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Node, str]]:
    """Say of everything imported by what name it goes, where it is defined, and how it was imported."""
    for item in statement.names:
        name = item.asname or item.name
        if isinstance(statement, ast.ImportFrom):
            module = str(statement.module)
            yield name, (module, item.name), f"from {module} import {item.name} as {name}"
        else:
            # `import a.b` binds a; `import a.b as c` binds a.b.
            bound = name if item.asname else name.partition(".")[0]
            yield bound, (item.name if item.asname else bound, _ALL), f"import {item.name} as {bound}"


def _read_surface(statement: ast.If) -> dict[str, _Definition]:
    """Read the names that a package lends (`expressionist.surface`): they count for who asks for them."""
    imports = [each for each in statement.body if isinstance(each, ast.ImportFrom) and statement.orelse]
    read = [found for each in imports for found in _read_imports(each)]
    return {name: _Definition(alias=alias, deferred=True) for name, alias, _ in read}


def _list_names(statement: ast.stmt) -> list[str]:
    """Name what a statement defines; one that may do anything else counts whenever the module is imported."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        called = [each.func if isinstance(each, ast.Call) else each for each in statement.decorator_list]
        is_pure = all(ast.unparse(each).rpartition(".")[2] in _PURE for each in called)
        return [statement.name] if is_pure else [statement.name, _IMPORTING]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    flat = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
    names = [each.id for each in flat if isinstance(each, ast.Name)]
    return names if flat and len(names) == len(flat) else [*names, _IMPORTING]


class _Mentions(ast.NodeVisitor):
    """Notes what a statement mentions."""

    def __init__(self, definition: _Definition) -> None:
        self._noted = definition

    def visit_Name(self, node: ast.Name) -> None:
        self._noted.mentions.add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        names, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            names, root = [root.attr, *names], root.value
        if isinstance(root, ast.Name):
            self._noted.mentions.add((root.id, *names))
        else:
            self.visit(root)

    def visit_Import(self, node: ast.Import) -> None:
        self._noted.imports |= {(item.name, _ALL) for item in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._noted.imports |= {(str(node.module), item.name) for item in node.names}

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and len(node.value) < _LONGEST_NAME:
            self._noted.words.add(Path(node.value).name)

    def visit_Call(self, node: ast.Call) -> None:
        if node.args and ast.unparse(node.func).endswith("import_module"):
            if isinstance(node.args[0], ast.Constant):
                self._noted.imports.add((str(node.args[0].value), _ALL))
            else:
                self._noted.chooses = True
        self.generic_visit(node)


@cache
def digest_code(
    *entries: str, without: tuple[str, ...] = (), chosen: tuple[tuple[str, str], ...] = ()
) -> str:
    """Digest the code that a result hangs on, as 32 hexadecimal digits; as `Code.find` of this package.

    What is kept on disk (activations, checkpoints, trials) carries it, so that nothing outlives a change of
    the code that made it.
    """
    # What names a result has no part in it.
    closed = (*without, "files.code_digest")
    found = Code(Path(__file__).parents[1], dict(chosen)).find(*entries, without=closed)
    text = "\n".join(f"{module} {digest}" for module, (digest, _) in found.items())
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@cache
def digest_package() -> str:
    """Digest all of this package, to the byte, as 32 hexadecimal digits."""
    folder = Path(__file__).parents[1]
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in list_files(folder)}
    parts = (f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in found.items())
    return hashlib.md5("\n".join(parts).encode(), usedforsecurity=False).hexdigest()
