"""What is followed from a definition, and what of it counts, in packages of a few lines."""

from pathlib import Path

import pytest

from expressionist.files import code_digest
from expressionist.files.code_digest import Code

MODULES = {
    "__init__": "",
    "start": """
        import numpy as np
        from toy import far, plugins
        from toy.near import Near, help_out as help
        from toy.shop import bought

        LIMIT, OTHER = 3, 4

        def run():
            from toy.late import act
            return act(LIMIT, np.zeros(1), far.away(), help(), bought)

        def read():
            return files("toy") / "table.tsv"

        def find(name):
            return plugins.find(name)

        def hand_over():
            return far

        def unused():
            return Near
        """,
    "near": """
        class Near:
            def method(self):
                return _helped

        _helped = 1

        def help_out():
            return _helped
        """,
    "far": """
        def away(): return 1
        def astray(): return 2
        """,
    "late": "def act(*_): return 1",
    "shop/__init__": "from toy.shop.counter import bought\nfrom toy.shop.cellar import stored",
    "shop/counter": "bought = 1",
    "shop/cellar": "@register\nclass Stored: pass\nstored = 1",
    "plugins/__init__": 'def find(name):\n    return import_module(f"{__name__}.{name}")',
    "plugins/red": "def paint(): return 1",
    "plugins/blue": "def paint(): return 2",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    for name, text in MODULES.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "\n".join(line.removeprefix("        ") for line in text.splitlines()), encoding="utf-8"
        )
    (folder / "table.tsv").write_text("a\tb\n", encoding="utf-8")
    return folder


def find(package: Path, *entries: str, chosen=None, **more) -> dict[str, list[str]]:
    return {module: names for module, (_, names) in Code(package, chosen).find(*entries, **more).items()}


def test_what_is_mentioned_is_followed_and_nothing_else(package) -> None:
    assert find(package, "start:run") == {
        "start": ["LIMIT", "OTHER", "run"],
        "far": ["away"],
        "late": ["act"],
        "near": ["_helped", "help_out"],
        "shop": [],
        "shop.counter": ["bought"],
        # What is registered when its module is imported may be found by anyone.
        "shop.cellar": [],
    }


@pytest.mark.parametrize(
    ("entry", "module", "names"),
    [("start:unused", "near", ["Near", "_helped"]), ("start:hand_over", "far", ["astray", "away"])],
    ids=["class", "module that is handed around"],
)
def test_it_counts_as_a_whole(package, entry, module, names) -> None:
    assert find(package, entry)[module] == names


def test_of_plug_ins_the_chosen_one_counts(package) -> None:
    found = find(package, "start:find", chosen={"plugins": "red"})
    assert found["plugins.red"] == ["paint"]
    assert "plugins.blue" not in found


def test_what_has_no_part_is_not_entered(package) -> None:
    found = find(package, "start:run", without=("far", "near:_helped"))
    assert "far" not in found
    assert found["near"] == ["help_out"]


def test_who_looks_names_up_may_use_any(package) -> None:
    with (package / "far.py").open("a", encoding="utf-8") as stream:
        stream.write("\ndef ask(name): return globals()[name]\n")
    assert find(package, "far:ask")["far"] == ["ask", "astray", "away"]


@pytest.mark.parametrize(
    ("entry", "file", "old", "new"),
    [
        ("run", "start.py", "help_out as help", "Near as help"),
        ("run", "start.py", "import numpy as np", "import cupy as np"),
        ("run", "start.py", "LIMIT, OTHER = 3", "LIMIT, OTHER = 4"),
        ("run", "start.py", "def run():", "def run(odd=1):"),
        ("read", "table.tsv", "b", "c"),
    ],
)
def test_what_counts_is_in_the_digest(package, entry, file, old, new) -> None:
    path, name = package / file, file.removesuffix(".py")
    before, text = Code(package).find(f"start:{entry}")[name], path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert Code(package).find(f"start:{entry}")[name][0] != before[0]


def test_networks_hang_on_no_baseline_and_baselines_on_no_network() -> None:
    code = Code(Path(code_digest.__file__).parents[1], {"painting.layouts": "pca"})
    networks = code.find("pipeline", without=("evaluation.baselines",))
    baselines = code.find("pipeline", without=("training", "network"))
    assert "training.loop" in networks
    assert "evaluation.baselines" not in networks
    assert "evaluation.baselines" in baselines
    assert not [name for name in baselines if name.startswith("training.")]
    assert {"painting.layouts.pca", "painting.fitting", "evaluation.metrics"} <= set(networks) & set(
        baselines
    )
