"""Moves of aliases: each is kept with who, when and why, in order, and two people do not undo one another."""

import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expressionist.errors import RegistryError
from expressionist.params.sections import GateParams
from expressionist.tracking import promotion
from expressionist.tracking.promotion import list_history, move_back, promote
from expressionist.tracking.runs import KEY
from expressionist.tracking.store import Store, open_experiment, open_store
from pipeline.checkout import write_params

NAME = "tumour-type"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GATE = GateParams(0.5, 0.5, 0.0)
ANN = {"who": "ann", "when": NOW}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with four versions without files, the third of which is too bad for the gate."""
    root = tmp_path_factory.mktemp("store")
    store = open_store(root)
    experiment, client = open_experiment(store, "toy"), store.client
    client.create_registered_model(NAME)
    # MLflow looks the model up wherever its module-level functions point.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store.uri)
        for score in (0.7, 0.8, 0.3, 0.9):
            run = client.create_run(experiment.id).info.run_id
            origin = {"synthetic": "no", "weights": "imagenet"}
            model = client.create_logged_model(experiment.id, NAME, source_run_id=run, params=origin)
            client.finalize_logged_model(model.model_id, "READY")
            for metric in ("accuracy", "f1_macro"):
                client.log_metric(run, metric, score, model_id=model.model_id)
            tags = {KEY: str(score), "dvc.images": "i", "dvc.split": "s"}
            client.create_model_version(
                NAME, f"models:/{model.model_id}", run, tags=tags, model_id=model.model_id
            )
    return root


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    return open_store(shutil.copytree(made, tmp_path / "store"))


def challenge(store: Store, version: str) -> None:
    store.client.set_registered_model_alias(NAME, "challenger", version)


def read_rows(store: Store, alias: str | None = "staging") -> list[tuple[str, ...]]:
    moves = list_history(store, NAME, alias)
    assert list(moves) == ["when", "who", "alias", "move", "from", "to", "why"]
    return list(moves[["who", "move", "from", "to", "why"]].itertuples(index=False, name=None))


def find_alias(store: Store, alias: str) -> str | None:
    version = store.client.get_registered_model(NAME).aliases.get(alias)
    return None if version is None else str(version)


def test_two_promotions_a_failed_gate_a_rollback_and_a_demotion(store: Store) -> None:
    for version in "123":
        challenge(store, version)
        promote(store, NAME, gate=GATE, who="bob", when=NOW, why=f"try {version}")
    move_back(store, NAME, alias="staging", to="1", **ANN, why="2 fails on KIRC")
    move_back(store, NAME, alias="staging", to=None, **ANN)
    promoted, second, refused, back, gone = read_rows(store)
    assert promoted == ("bob", "promoted", "none", "1", "try 1")
    assert second == ("bob", "promoted", "1", "2", "try 2")
    assert refused[:4] == ("bob", "refused", "2", "3")
    assert refused[4].startswith("try 3; accuracy is 0.3000, below 0.5000.")
    assert back == ("ann", "rolled back", "2", "1", "2 fails on KIRC")
    assert gone == ("ann", "demoted", "1", "none", "")
    assert find_alias(store, "staging") is None
    assert set(list_history(store, NAME, "staging")["when"]) == {"2026-01-02T03:04:05+00:00"}
    # As a server is asked.
    assert read_rows(Store(store.uri, None)) == read_rows(store)
    moves = {key: json.loads(value) for key, value in store.client.get_registered_model(NAME).tags.items()}
    assert [key[:12] for key in sorted(moves)] == [f"move/{number:06d}-" for number in range(1, 6)]


def test_a_dry_run_checks_and_writes_nothing(store: Store) -> None:
    challenge(store, "3")
    tags = store.client.get_model_version(NAME, "3").tags
    found = promote(store, NAME, gate=GATE, **ANN, dry_run=True)
    assert [check.what for check in found.checks if not check.passed] == ["accuracy", "f1_macro"]
    challenge(store, "1")
    assert promote(store, NAME, gate=GATE, **ANN, dry_run=True).passed
    assert find_alias(store, "staging") is None
    assert store.client.get_model_version(NAME, "3").tags == tags
    assert not store.client.get_registered_model(NAME).tags


def test_to_production_goes_what_is_staging(store: Store) -> None:
    challenge(store, "1")
    with pytest.raises(RegistryError, match="must be the staging, but none is. Promote one to staging first"):
        promote(store, NAME, to="production", gate=GATE, **ANN)
    promote(store, NAME, gate=GATE, **ANN)
    challenge(store, "2")
    assert promote(store, NAME, to="production", gate=GATE, **ANN).version == "1"
    assert find_alias(store, "production") == "1"
    # The gate is asked again.
    strict = GateParams(0.75, 0.5, 0.0)
    move_back(store, NAME, alias="production", to=None, **ANN)
    assert not promote(store, NAME, to="production", gate=strict, **ANN).passed
    assert find_alias(store, "production") is None


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("4", "must go to a version that was staging before, but got '4'"),
        ("9", "must go to a version that was staging before, but got '9'"),
        ("1", "must go to another version, but 1 is staging already"),
    ],
)
def test_what_was_never_there_is_no_rollback(store: Store, to: str, reason: str) -> None:
    challenge(store, "1")
    promote(store, NAME, gate=GATE, **ANN)
    # A refused one never was.
    challenge(store, "4")
    promote(store, NAME, gate=GateParams(1, 1, 0.0), **ANN)
    before = read_rows(store)
    with pytest.raises(RegistryError, match=reason):
        move_back(store, NAME, alias="staging", to=to, **ANN)
    assert read_rows(store) == before


def test_what_is_nowhere_cannot_be_demoted(store: Store) -> None:
    with pytest.raises(RegistryError, match="must be staging to be demoted, but none is"):
        move_back(store, NAME, alias="staging", to=None, **ANN)


def test_a_version_promoted_before_there_was_a_history_can_come_back(store: Store) -> None:
    store.client.set_model_version_tag(NAME, "4", "promoted_to", "staging")
    challenge(store, "1")
    promote(store, NAME, gate=GATE, **ANN)
    move_back(store, NAME, alias="staging", to="4", **ANN)
    assert find_alias(store, "staging") == "4"


def test_what_others_did_to_an_alias_is_told(store: Store) -> None:
    challenge(store, "1")
    promote(store, NAME, gate=GATE, **ANN)
    store.client.set_registered_model_alias(NAME, "staging", "4")
    assert read_rows(store)[-1][:4] == ("", "unrecorded", "1", "4")
    store.client.delete_registered_model_alias(NAME, "staging")
    assert read_rows(store)[-1][:4] == ("", "unrecorded", "1", "none")


def test_a_move_that_was_cut_off_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    challenge(store, "1")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(store.client), "set_registered_model_alias", fail)
    with pytest.raises(KeyboardInterrupt):
        promote(store, NAME, gate=GATE, **ANN)
    assert [row[1:4] for row in read_rows(store)] == [("promoted", "none", "1"), ("unrecorded", "1", "none")]


@pytest.mark.parametrize("others", ["promotes", "rolls back"])
def test_of_two_at_once_one_wins_and_the_other_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    challenge(store, "1")
    promote(store, NAME, gate=GATE, **ANN)
    challenge(store, "2")
    promote(store, NAME, gate=GATE, **ANN)
    challenge(store, "4")
    seen, read, told = threading.Semaphore(0), promotion.list_entries, []

    def see(*given: object) -> object:
        found = read(*given)
        seen.release()
        return found

    def move(who: str, *, back: bool) -> None:
        try:
            if back:
                move_back(store, NAME, alias="staging", to="1", who=who, when=NOW)
            else:
                promote(store, NAME, gate=GATE, who=who, when=NOW)
        except RegistryError as error:
            told.append((who, str(error)))

    monkeypatch.setattr(promotion, "list_entries", see)
    people = [
        threading.Thread(target=move, args=(who,), kwargs={"back": who == "cem" and others == "rolls back"})
        for who in ("bob", "cem")
    ]
    # Both have looked before either may move.
    with store.hold():
        for person in people:
            person.start()
        for _ in people:
            assert seen.acquire(timeout=60)
    for person in people:
        person.join(60)
    ((loser, reason),) = told
    winner = "bob" if loser == "cem" else "cem"
    to = "1" if winner == "cem" and others == "rolls back" else "4"
    assert f"must stay where it is while you move one, but {winner} moved it from 2 to {to}" in reason
    assert reason.count("\n") == 0
    assert find_alias(store, "staging") == to
    assert [row[0] for row in read_rows(store)] == ["ann", "ann", winner]


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31mred", "a" * 501])
def test_a_reason_is_one_line(store: Store, reason: str) -> None:
    challenge(store, "1")
    with pytest.raises(RegistryError, match="A reason must be one line of at most 500 characters"):
        promote(store, NAME, gate=GATE, **ANN, why=reason)
    assert find_alias(store, "staging") is None


def test_what_others_wrote_into_the_tags_cannot_speak_to_the_terminal(store: Store) -> None:
    forged = json.dumps({"alias": "staging", "move": "refused", "who": "\x1b]0;owned\x07", "why": 5})
    store.client.set_registered_model_tag(NAME, "move/000001-x", forged)
    store.client.set_registered_model_tag(NAME, "move/000002-y", "[1")
    store.client.set_registered_model_tag(NAME, "move/next", "no move")
    unreadable = ("", "refused", "", "", "not readable: [1")
    assert read_rows(store, None) == [(" ]0;owned ", "refused", "", "", "5"), unreadable]


AFTERWARDS = (
    'echo "$EXPRESSIONIST_MODEL $EXPRESSIONIST_VERSION $EXPRESSIONIST_ALIAS from:$EXPRESSIONIST_FROM" >>told'
)


@pytest.mark.parametrize(("ends", "code"), [("", 0), ("; exit 7", 3)])
def test_a_command_runs_once_an_alias_has_moved_and_its_failure_undoes_nothing(store, call, ends, code):
    """Not in a dry run, nor where the gate refuses or nothing moves."""
    assert store.folder is not None
    root = store.folder.parent
    gate = {"accuracy": 0.5, "f1_macro": 0.5}
    write_params(root, **{"registry.after_promotion": AFTERWARDS + ends, "registry.gate": vars(GATE) | gate})
    for version in "12":
        challenge(store, version)
        assert call(root, "promote", "--dry-run")[0] == 0
        assert call(root, "promote")[0] == code
    assert call(root, "promote")[0] == 0
    ended, printed, said = call(root, "rollback", "--to", "1")
    assert (ended, printed) == (code, "staging of tumour-type: from version 2 to 1.\n")
    assert said == (
        "" if code == 0 else "registry.after_promotion ended with 7; staging stays as it is now.\n"
    )
    challenge(store, "3")
    assert call(root, "promote")[0] == 1
    moves = ["1 staging from:", "2 staging from:1", "1 staging from:2"]
    assert (root / "told").read_text().splitlines() == [f"models:/{NAME}@staging {move}" for move in moves]
    assert store.client.get_registered_model(NAME).aliases["staging"] == 1
