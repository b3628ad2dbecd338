"""The command line, run in this process: starting one costs seconds for every import."""

import sys

import pytest

from expressionist.commands.app import main


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in a checkout: exit code, stdout and stderr."""

    def run(folder, *words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["expressionist", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run
