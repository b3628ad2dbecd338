"""A fresh clone goes on from what DVC gives back, without the files that a person once brought."""

import shutil

import pytest
import yaml

from pipeline import checkout
from pipeline.checkout import ROOT

INCOMING = "data/my 'own' dätä"
BRINGING = ("fetch", "lists")


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A git and DVC checkout with a cohort of its own, brought and pushed; its path has a space as well."""
    folder = tmp_path_factory.mktemp("clone") / "re po"
    named = {
        "cohort.source": "table",
        "cohort.folder": INCOMING,
        "expression.genes": "my lists/some genes.txt",
    }
    checkout.write_params(folder, **named)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["cohort"]["table"]["expression"] = "my expr.csv"
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / INCOMING / "my lists").mkdir(parents=True)
    (folder / INCOMING / "my expr.csv").write_text("sample,tumour_type,TP53\na,b,1\n", encoding="utf-8")
    (folder / INCOMING / "my lists/some genes.txt").write_text("TP53\n", encoding="utf-8")
    checkout.finish(folder, "git", "init", "-q")
    checkout.finish(folder, "dvc", "remote", "add", "-d", "there", str(folder.parent / "remote"))
    checkout.finish(folder, "dvc", "repro", *BRINGING)
    checkout.finish(folder, "git", "add", ".")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    checkout.finish(folder, "git", *who, "commit", "-qm", "Brought")
    checkout.finish(folder, "dvc", "push", *BRINGING, "code")
    return folder


def test_it_needs_no_file_that_was_brought(repo):
    clone = repo.parent / "clone"
    checkout.finish(repo.parent, "git", "clone", "-q", str(repo), str(clone))
    checkout.finish(clone, "dvc", "pull", *BRINGING, "code")
    brought = {name: checkout.read_tree(repo / "data" / name) for name in ("raw", "lists")}
    # The folder is there, and has other files, as data/incoming with its README.
    (clone / INCOMING).mkdir()
    (clone / INCOMING / "README.md").touch()
    said = checkout.finish(clone, "dvc", "repro", *BRINGING)
    assert "data/raw is kept" in said
    assert "some genes.txt is kept" in said
    assert {name: checkout.read_tree(clone / "data" / name) for name in brought} == brought
