"""What containers and conda are told agrees with the package and the Makefile."""

import re
import tomllib

import yaml
from packaging.specifiers import SpecifierSet

from architecture.source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
DOCKERFILE = (ROOT / "containers/Dockerfile").read_text("utf-8")


def test_all_use_the_same_python():
    (conda,) = [each.removeprefix("python=") for each in CONDA if str(each).startswith("python=")]
    assert conda in SpecifierSet(PROJECT["requires-python"])
    assert f"ARG BASE=python:{conda}-" in DOCKERFILE
    assert f"PYTHON ?= python{conda}\n" in (ROOT / "Makefile").read_text("utf-8")


def test_the_extras_are_there():
    (pip,) = [each["pip"] for each in CONDA if isinstance(each, dict)]
    asked = [*re.findall(r"\[(\w+)\]", " ".join(pip)), *re.findall(r"--extra (\w+)", DOCKERFILE)]
    assert len(asked) > 1
    assert set(asked) <= set(PROJECT["optional-dependencies"])


def test_the_container_serves_as_make_does():
    (made,) = re.findall(r"(uvicorn .*)", (ROOT / "project.mk").read_text("utf-8"))
    served = [
        word
        for line in DOCKERFILE.splitlines()
        if "uvicorn" in line
        for word in re.findall(r'"([^"]+)"', line)
    ]
    assert " ".join(served) == made.replace("127.0.0.1", "0.0.0.0").replace("$(SERVE_PORT)", "5001")
