"""A user without a name or a home, as containers have them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Who may read what root may, as the interpreter may lie in root's home, and write nothing of root's.
NOBODY = (*("setpriv", "--reuid", "12345", "--regid", "0", "--clear-groups"),)
NOBODY += ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search", "env", "-i")
COMPILED = """
import numba

@numba.njit(cache=True)
def double(number):
    return 2 * number
"""
COMMAND = """
import os, sys
from expressionist.commands import app

def work(**_):
    import matplotlib.pyplot, mlflow
    from compiled import double
    from expressionist.tracking.provenance import name_user
    print(double(21), name_user().replace(" ", "_"), os.environ.get("NUMBA_CACHE_DIR"))

app.app, sys.argv = work, ["expressionist"]
app.main()
"""

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="only root becomes another user"
)


def run(folder, *words):
    found = f"PATH={Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    ended = subprocess.run([*NOBODY, found, *words], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize("home", [(), ("HOME=/nonexistent",)], ids=["no home", "a home of others"])
def test_commands_run(tmp_path, home):
    (tmp_path / "compiled.py").write_text(COMPILED)
    number, name, cache = run(tmp_path, *home, f"PYTHONPATH={tmp_path}", sys.executable, "-c", COMMAND)
    assert (number, name) == ("42", "uid_12345")
    # Gone with the process; `None` where the home that was found can be written to.
    assert not Path(cache).exists()
    assert (cache == "None") == (not home)


def test_make_gives_dvc_a_name(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "Makefile").write_text(
        f"include {ROOT / 'project.mk'}\nstatus:\n\t@dvc status && echo $$LOGNAME\n"
    )
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    os.chown(tmp_path, 12345, 0)
    os.chown(tmp_path / ".dvc", 12345, 0)
    assert run(tmp_path, "HOME=/nonexistent", "make", "status")[-1] == "12345"
