"""The sample scripts of docs/cluster.md, run with stand-ins that write down how they are called."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "docs" / "cluster"


@pytest.fixture
def call(tmp_path):
    """Run a script in a checkout whose commands only note their words and their GPU."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("dvc", "expressionist", "ssh"):
        program = programs / name
        # What is told to `ssh` is run here.
        told = 'shift; host=$1; shift; echo "on $host" >> called; bash -c "$*"' if name == "ssh" else ""
        noted = f'echo "{name} $* on GPU ${{CUDA_VISIBLE_DEVICES:-any}}" >> called'
        program.write_text(f"#!/bin/bash\n{told or noted}\n", encoding="utf-8")
        program.chmod(0o755)

    def run(script, *words, **environment):
        command, env = ["bash", str(SCRIPTS / script), *words], {"PATH": os.environ["PATH"], **environment}
        ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        called = tmp_path / "called"
        return ended, sorted(called.read_text(encoding="utf-8").splitlines()) if called.exists() else []

    return run


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_sound_bash(script):
    assert os.access(script, os.X_OK)
    ended = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_first_task_of_an_array_runs_the_pipeline_and_the_others_join(call, tmp_path):
    for task in "012":
        ended, called = call("slurm.sh", SLURM_ARRAY_TASK_ID=task, SLURM_SUBMIT_DIR=str(tmp_path))
        assert ended.returncode == 0, ended.stderr
    worker = "expressionist worker --patience 240 on GPU any"
    assert called == ["dvc repro on GPU any", worker, worker]


def test_outside_of_a_job_it_says_what_is_missing(call):
    ended, called = call("slurm.sh", SLURM_ARRAY_TASK_ID="0")
    assert ended.returncode != 0
    assert "SLURM_SUBMIT_DIR: must be the checkout" in ended.stderr
    assert called == []


def test_one_worker_per_gpu_is_begun_by_ssh(call, tmp_path):
    ended, _ = call("ssh.sh", "node1:2", "node2:1")
    assert ended.returncode == 0, ended.stderr
    called = []
    for _ in range(100):  # the workers are not waited for
        called = sorted((tmp_path / "called").read_text(encoding="utf-8").splitlines())
        if len(called) == 7:
            break
        time.sleep(0.1)
    workers = [f"expressionist worker --patience 60 on GPU {gpu}" for gpu in (0, 0, 1)]
    assert called == ["dvc repro on GPU 0", *workers, "on node1", "on node1", "on node2"]
