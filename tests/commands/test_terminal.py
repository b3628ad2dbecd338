"""What commands say: names are shown, and steer no terminal."""

import ast
from pathlib import Path

import pandas as pd
import pytest
import yaml

from expressionist import commands
from expressionist.errors import Refusal, make_printable, name_some
from hostile_names import KEPT, PLAIN, REFUSED

SHOWN_ONLY = {"terminal.py": 1, "tables.py": 1}  # predictions as a table, whose names were read before


def is_shown(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_shows_any_name_and_obeys_none(name: str) -> None:
    for said in (str(Refusal(f"got {name}.")), name_some([name])):
        assert is_shown(said)
    assert "\n" not in name_some([name])
    assert (make_printable(name) == name) is is_shown(name)


def test_what_can_be_shown_stays_as_it_is_unless_it_is_very_long() -> None:
    for name in (*KEPT, *PLAIN):
        assert make_printable(name) == name
        assert name_some([name]) == (name if len(name) < 100 else f"{name[:100]}...")


def test_commands_say_all_but_tables_by_the_function_that_does_so() -> None:
    found = {}
    for path in Path(commands.__path__[0]).glob("*.py"):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        found[path.name] = sum(
            ast.unparse(call.func) in ("click.echo", "click.secho", "print") for call in calls
        )
    assert {name: n for name, n in found.items() if n} == SHOWN_ONLY


def test_inspect_shows_a_file_of_hostile_names_and_prints_params_that_are_read_back(call, tmp_path) -> None:
    names = [name for name in (*REFUSED, *KEPT) if "\ud800" not in name and "\0" not in name]
    path = tmp_path / "\x1b[31m\u202e[red].parquet"
    matrix = pd.DataFrame(1.5, index=names, columns=["g1", "g2"])
    matrix.insert(0, "\x1b[2Jtype", ["A", *names[1:]])
    matrix.rename_axis("\x9b1msample").to_parquet(path)
    code, printed, said = call(tmp_path, "inspect", path)
    assert (code, said) == (1, "")
    assert is_shown(printed)
    params = yaml.safe_load(printed[printed.index("\ncohort:") :])["cohort"]
    assert params["table"]["expression"] == path.name
