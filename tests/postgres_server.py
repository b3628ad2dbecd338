"""A PostgreSQL server of one's own for the time of a test: on loopback, with a password, gone afterwards."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "not-to-be-seen"
USER = "searcher"


def find_programs():
    """Find the folder of Debian's or anybody's server programs."""
    places = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


def as_somebody():
    """Give the words before a command and the owner that make it run, since the server refuses to be root."""
    if os.geteuid() != 0:
        return [], None
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"], "postgres"


def why_not():
    """Say what is missing for a server and a client, if anything is."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed (the extra `postgres`)"
    if find_programs() is None:
        return "no PostgreSQL server is installed"
    if os.geteuid() == 0 and not (shutil.which("setpriv") and Path("/var/lib/postgresql").exists()):
        return "the server refuses to run as root, and there is no user postgres"
    return None


needed = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def find_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve():
    """Run a server; give its URL, without the password, which clients must have in PGPASSWORD."""
    words, owner = as_somebody()
    programs, port = find_programs(), find_port()
    # Not pytest's folder: it is closed to the server's user.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        secret, log = folder / "password", folder / "log"
        secret.write_text(PASSWORD, encoding="utf-8")
        if owner:
            for path in (folder, secret):
                shutil.chown(path, owner, owner)
        made = [str(programs / "initdb"), "-D", f"{name}/data", "-U", USER, "--auth=scram-sha-256"]
        made += [f"--pwfile={secret}", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*words, *made], cwd=name, check=True, capture_output=True, timeout=120)
        run = [str(programs / "postgres"), "-D", f"{name}/data", "-h", "127.0.0.1", "-p", str(port)]
        run += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        with log.open("w") as stream:
            server = subprocess.Popen([*words, *run], cwd=name, stdout=stream, stderr=stream)
        try:
            wait_for(port, server, log)
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()  # "smart": waits for its clients
            stop = [*words, str(programs / "pg_ctl"), "-D", f"{name}/data", "-m", "immediate", "stop"]
            subprocess.run(stop, cwd=name, check=False, capture_output=True, timeout=60)
            server.wait(60)


def wait_for(port, server, log):
    asked = [str(find_programs() / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    for _ in range(600):
        assert server.poll() is None, log.read_text(encoding="utf-8")
        if subprocess.run(asked, check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))
