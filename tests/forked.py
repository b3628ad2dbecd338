"""Processes that have TensorFlow imported: copies of a server that imports it once and computes nothing.

They are killed, waited for and measured like any other. What a process of its own must show, such as what is
imported at all, is no matter for them.
"""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
_context = multiprocessing.get_context("forkserver")


def start_server():
    """Start the server, if it does not run yet; `distributed` takes its workers from it too."""
    _context.set_forkserver_preload(["preloaded"])
    with pytest.MonkeyPatch.context() as patch:
        # Before what is there already: a copy of the checkout says so where its code is.
        patch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
        forkserver.ensure_running()


class Forked:
    """A function in a process of its own, as `subprocess.Popen` has a command."""

    def __init__(self, function, *arguments, folder, environment, stdout, stderr):
        start_server()
        about = (str(folder), dict(environment), str(stdout), str(stderr))
        # A daemon: it does not outlive the tests.
        self._process = _context.Process(target=_run, args=(about, function, arguments), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode

    def kill(self):
        self._process.kill()


def _run(about, function, arguments):
    folder, environment, *streams = about
    os.setsid()
    os.chdir(folder)
    for number, name in enumerate(streams, start=1):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)


def run_main(*words):
    """Run the command line, to be told of in a `Forked`."""
    from expressionist.commands.app import main

    sys.argv = ["expressionist", *words]
    main()
