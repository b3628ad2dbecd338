"""The map of the house in CONTRIBUTING.md, against the contract and the tree."""

import ast
import re
import tomllib

from architecture.source_tree import MODULES, PACKAGE, ROOT, read_imports, read_surface, read_tree

ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", re.MULTILINE)
MAP = [(int(floor), name, job) for floor, name, job in ROW.findall((ROOT / "CONTRIBUTING.md").read_text())]

FOLDERS = [path.parent for path in PACKAGE.glob("*/__init__.py")]


def read_floors():
    """Read the folders and files of every floor, from the top, as import-linter holds them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {each["id"]: each for each in project["tool"]["importlinter"]["contracts"]}
    return [set(layer.split(" | ")) for layer in contracts["floors"]["layers"]]


def find_top(module):
    """Name the folder, or the file on top, that a module is in."""
    return module.removeprefix("expressionist").lstrip(".").partition(".")[0]


def test_the_map_has_the_floors_of_the_contract():
    floors = {}
    for floor, name, _ in MAP:
        floors.setdefault(floor, set()).add(name)
    assert list(floors) == sorted(floors, reverse=True)
    assert list(floors.values()) == read_floors()


def test_the_map_is_the_tree():
    parts = {path.stem for path in [*PACKAGE.glob("*.py"), *FOLDERS]} - {"__init__"}
    assert {name for _, name, _ in MAP} == parts


def test_the_map_says_what_they_say_of_themselves():
    for _, name, job in MAP:
        assert ast.get_docstring(read_tree(f"expressionist.{name}")).splitlines()[0] == job


def test_a_newcomer_meets_few_folders_and_files():
    assert len(FOLDERS) <= 12
    assert len(list(PACKAGE.glob("*.py"))) <= 5


def test_from_outside_a_folder_one_imports_from_its_surface_only():
    """Stages are named by the command line, each as the module that it is."""
    for module in MODULES:
        for node in ast.walk(read_tree(module)):
            if not (isinstance(node, ast.ImportFrom) and node.module.startswith("expressionist.")):
                continue
            top = find_top(node.module)
            if top in {find_top(module), "stages"} or module == "expressionist":
                continue
            assert node.module == f"expressionist.{top}", f"{module} reaches into {node.module}"
            if (PACKAGE / top).is_dir():
                asked = {item.name for item in node.names}
                assert asked <= read_surface(node.module).keys(), f"{module}: {node.module} lends no such"


def test_surfaces_name_nothing_that_nobody_asks_for():
    """But for what a user of the package imports by hand."""
    asked = {
        (node.module, item.name)
        for path in [*ROOT.joinpath("src").rglob("*.py"), *ROOT.joinpath("benchmarks").glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for item in node.names
    }
    for module in MODULES:
        idle = {name for name in read_surface(module) if (module, name) not in asked}
        assert idle <= {"ExpressionImager"}, f"{module} lends {sorted(idle)} to nobody"


def test_whom_a_module_imports_is_known_by_surface():
    """The reading of surfaces above finds what `from a folder import a name` stands for."""
    assert "expressionist.data.cohort" in read_imports("expressionist.painting.images")
