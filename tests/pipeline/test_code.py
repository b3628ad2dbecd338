"""The text of a stage's code against what the stage calls: nothing runs that it does not name."""

import inspect
import sys
from pathlib import Path

import pytest

from expressionist import stages
from expressionist.commands.params_file import read_params
from expressionist.files.code_digest import Code
from expressionist.stages import code
from pipeline.checkout import copy_data, run_stage

PACKAGE = Path(stages.__file__).parents[1]
NEEDED = {"split": ["cohort"], "layout": ["cohort", "split.tsv"], "images": ["cohort", "split.tsv", "layout"]}


def list_called(run):
    """List the functions of the package that are called: module and name of the outermost definition."""
    names = {str(path): name for name, path in Code(PACKAGE).modules.items()}
    called = set()

    def watch(frame, event, _):
        ran = frame.f_code
        # The bodies of modules and classes run when they are imported.
        if event == "call" and ran.co_filename in names and ran.co_flags & inspect.CO_OPTIMIZED:
            outermost = ran.co_qualname.partition(".")[0]
            if not outermost.startswith("<"):
                called.add((names[ran.co_filename].removeprefix("expressionist."), outermost))

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize("stage", NEEDED)
def test_what_a_stage_calls_is_in_its_text(tiny, tmp_path, stage):
    copy_data(tiny, tmp_path, *NEEDED[stage])
    params = read_params(tmp_path / "params.yaml")
    called = list_called(lambda: run_stage(tmp_path, stage, params))
    code.run(params.cohort, params.layout, package=PACKAGE, out=tmp_path / "code")
    lines = (tmp_path / f"code/{stage}.txt").read_text(encoding="utf-8").splitlines()
    named = {(line.split()[0], name) for line in lines for name in line.split()[2:]}
    assert (f"stages.{stage}", "run") in called
    assert len(called) > 10
    assert called <= named
