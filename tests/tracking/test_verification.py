"""What made a run or a version is looked for, and is present, differs or is gone."""

import json
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from expressionist.commands.models import MADE_FROM
from expressionist.errors import RegistryError
from expressionist.files.code_digest import digest_code
from expressionist.files.digests import digest_file, md5
from expressionist.tracking.model_folder import seal
from expressionist.tracking.provenance import read_environment
from expressionist.tracking.store import Store, open_experiment, open_store
from expressionist.tracking.verification import verify
from pipeline.checkout import BACKBONE, read_options

PLACES = {"images": "data/images", "split": "data/split.tsv"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = ("data/images/train.npy", "data/split.tsv", "requirements.lock", "data/weights/w.h5")
    for path in (*files, "src/expressionist/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{path}\n")
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def tags(root: Path) -> dict[str, str]:
    """Tags of a run that was made from what lies there."""
    told = {f"environment.{name}": value for name, value in read_environment(root).items()}
    told |= {f"dvc.{name}": md5(root / path) for name, path in PLACES.items()}
    told |= {"dvc.exp": "bold-name", "backbone": BACKBONE, "weights.digest": "random-3"}
    return told | {"code": digest_code("training.finetuner")}


def find(store: Store, root: Path, tags: dict[str, str], **changes: str | None) -> dict[str, tuple[str, str]]:
    """Verify a run with these tags: what was looked for → state and where."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    kept = {key: value for key, value in {**tags, **changed}.items() if value is not None}
    run = store.client.create_run(open_experiment(store, "toy").id, tags=kept)
    found = verify(store, run.info.run_id, root=root, places=PLACES, weights=root / "data" / "weights")
    return {each.what: (each.state, each.where) for each in found}


def cache(root: Path, path: Path) -> None:
    """Put an output into the cache of DVC, as DVC does."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    digests = {md5(file): file for file in files}
    for digest, file in digests.items():
        place = root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    if path.is_dir():
        digest = md5(path)
        listed = [{"md5": each, "relpath": file.name} for each, file in digests.items()]
        place = root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(listed))


def test_all_is_present_where_nothing_has_changed(store: Store, root: Path, tags: dict[str, str]) -> None:
    found = find(store, root, tags)
    assert {state for state, _ in found.values()} == {"present"}
    assert set(found) == {"images", "split", "weights", "code", "lock", "python", "tensorflow", "keras"}
    assert found["images"][1] == "data/images"
    assert found["weights"][1] == "drawn from the seed 3"


@pytest.mark.parametrize("kind", PLACES)
def test_data_that_changed_are_looked_for_in_the_cache(
    store: Store, root: Path, tags: dict[str, str], kind: str
) -> None:
    path = root / PLACES[kind]
    cache(root, path)
    (path / "train.npy" if path.is_dir() else path).write_text("another")
    state, where = find(store, root, tags)[kind]
    assert state == "present"
    assert where == f"DVC cache; {PLACES[kind]} is {md5(path)[:12]}"
    # One file of the cache spoilt, and it is no copy any more.
    spoilt = next(each for each in (root / ".dvc/cache").rglob("*") if each.is_file() and not each.suffix)
    spoilt.write_text("spoilt")
    assert find(store, root, tags)[kind][0] == "differs"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "dvc.lock").write_text(tags[f"dvc.{kind}"])
    hint = "dvc.lock names it: dvc pull"
    assert find(store, root, tags)[kind] == (
        "gone",
        f"no {PLACES[kind]}, not in the DVC cache; {hint}",
    )


def test_pretrained_weights_are_known_by_their_content(
    store: Store, root: Path, tags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from expressionist.network import list_weights

    monkeypatch.setenv("KERAS_HOME", str(root / "keras"))
    path = list_weights(BACKBONE, root / "data" / "weights")[0]
    path.write_text("weights")
    digest = digest_file(path)
    assert find(store, root, tags, weights__digest=digest)["weights"] == ("present", str(path))
    path.write_text("others")
    assert find(store, root, tags, weights__digest=digest)["weights"][0] == "differs"
    path.unlink()
    state, where = find(store, root, tags, weights__digest=digest)["weights"]
    assert (state, "keras" in where, "data/weights" in where) == ("gone", True, True)


def test_other_code_is_present_in_a_commit_without_changes_on_top(
    store: Store, root: Path, tags: dict[str, str]
) -> None:
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    facts = {"code": "another", "git_commit": commit.stdout.strip(), "git_dirty": "false"}
    assert find(store, root, tags, **facts)["code"][0] == "present"
    assert find(store, root, tags, **facts | {"git_dirty": "true"})["code"][0] == "differs"
    assert find(store, root, tags, **facts | {"git_commit": "0" * 40})["code"][0] == "differs"
    assert find(store, root, tags, code=None)["code"][0] == "gone"
    # A project's commits hold no code: what made the run is to be installed.
    subprocess.run([*git, "mv", "src", "other"], check=True)
    subprocess.run([*git, "commit", "-qm", "b"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    state, where = find(store, root, tags, **facts | {"git_commit": commit.stdout.strip()})["code"]
    assert state == "differs"
    assert where.startswith(f"this package; it was expressionist {version('expressionist')}; no git commit")


def test_another_environment_is_told(store: Store, root: Path, tags: dict[str, str]) -> None:
    found = find(store, root, tags, environment__keras="3.0", environment__python=None)
    assert found["keras"][0] == "differs"
    assert found["keras"][1].endswith("it was 3.0")
    assert found["python"] == ("gone", "not recorded with the run")
    (root / "requirements.lock").write_text("another")
    assert find(store, root, tags)["lock"][0] == "differs"
    (root / "requirements.lock").unlink()
    assert find(store, root, tags)["lock"][0] == "gone"
    assert "lock" not in find(store, root, tags, environment__lock=None)


def test_a_versions_files_are_held_against_their_seal(
    store: Store, root: Path, tags: dict[str, str], call: Any
) -> None:
    folder = root / "version" / "artifacts" / "model"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_text("network")
    (folder / "genes.tsv").write_text("genes")
    client, name = store.client, "tumour-type"
    run = client.create_run(open_experiment(store, "toy").id, tags=tags).info.run_id
    client.create_registered_model(name)
    sealed = {"sealed": seal(folder)}
    client.create_model_version(name, str(root / "version"), run, tags=sealed)
    client.set_registered_model_alias(name, "staging", "1")
    assert store.folder is not None
    shutil.copyfile(Path(__file__).parents[2] / "params.yaml", root / "params.yaml")
    words = ("verify", f"models:/{name}@staging", "--root", root, "--tracking-uri", store.uri)
    code, printed, said = call(root, *words)
    assert (code, said) == (0, "")
    heading, *rows = printed.splitlines()
    assert heading.split() == ["what", "state", "where"]
    assert {row.split()[1] for row in rows} == {"present"}
    assert {"images", "code", "digests.json", "model.keras", "genes.tsv"} <= {row.split()[0] for row in rows}
    (folder / "model.keras").write_text("another")
    (folder / "genes.tsv").unlink()
    code, printed, _ = call(root, *words)
    assert code == 1
    states = {row.split()[0]: row.split()[1] for row in printed.splitlines()}
    assert (states["model.keras"], states["genes.tsv"], states["digests.json"]) == (
        "differs",
        "gone",
        "present",
    )
    seal(folder)
    assert "digests.json  differs" in call(root, *words)[1]
    shutil.rmtree(folder)
    assert "digests.json  gone" in call(root, *words)[1]


@pytest.mark.parametrize("asked", ["0123456789abcdef", "models:/none/1"])
def test_what_is_no_run_and_no_version_is_refused(store: Store, root: Path, asked: str) -> None:
    with pytest.raises(RegistryError, match="must be"):
        verify(store, asked, root=root, places=PLACES, weights=root)


def test_what_a_run_is_made_from_is_looked_for_where_the_stages_leave_it() -> None:
    """Paths stand in dvc.yaml; these are the same."""
    options = read_options("register")
    single = {"cohort": "cohort_folder", "split": "split_table", "layout": "layout_folder"}
    single |= {"images": "images", "baselines": "baselines", "refit": "refit"}
    found = {kind: options[name] for kind, name in single.items()}
    for kind, name in {"search": "search", "evaluation": "evaluations"}.items():
        found[kind] = os.path.join(options[name], "{backbone}")  # noqa: PTH118
    found["search"] += ".json"
    assert found == MADE_FROM
