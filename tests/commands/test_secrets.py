"""A password in a URL is refused, and stands nowhere: not in what is said, nor in what is written."""

import shutil
from pathlib import Path

import pytest
import yaml

from expressionist.errors import Refusal, holds_password
from expressionist.training.studies import open_studies

PARAMS = Path(__file__).parents[2] / "params.yaml"
SECRET = "s3cr3t-c4n4ry"
URLS = [
    f"http://me:{SECRET}@127.0.0.1:9",
    f"https://me:{SECRET}@127.0.0.1:9/mlflow?x=1",
    f"http://:{SECRET}@127.0.0.1:9",
    f"http://me:a/{SECRET}@127.0.0.1:9",
    f"http://me:a@{SECRET}@127.0.0.1:9",
    f"http://me:[{SECRET}@127.0.0.1:9",
    f"postgresql://me:{SECRET}@127.0.0.1:9/db",
    f"postgresql+psycopg://127.0.0.1:9/db?user=me&password={SECRET}",
    f"mysql+pymysql://me:{SECRET}@127.0.0.1:9/db",
]


def hold(folder: Path) -> list[Path]:
    """List the files that hold the secret, but for params.yaml, where it was put."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "params.yaml"]
    return [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("url", URLS)
def test_a_refusal_shows_no_password(url: str) -> None:
    shown = str(Refusal(f"Something must answer at {url}, but got: cannot reach {url}. Start it."))
    assert SECRET not in shown
    assert shown.endswith(" Start it.")


@pytest.mark.parametrize(
    "url",
    [
        "http://h:5000",
        "tcp://head:8786",
        "models:/a@b",
        "sqlite:///a:b.db",
        "http://me@h/x",
        "https://h:80/a@b",
    ],
)
def test_what_is_no_password_is_shown(url: str) -> None:
    assert str(Refusal(f"{url} gave: nothing.")) == f"{url} gave: nothing."
    assert not holds_password(url)
    assert holds_password(f"postgresql://h/db?%70assword={SECRET}")


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "command", [["models"], ["predict", "t.csv", "--model", "models:/a@b"]], ids=["models", "predict"]
)
def test_no_command_says_or_writes_the_servers_password(call, tmp_path, monkeypatch, url, command) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    code, printed, said = call(tmp_path, *command)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert SECRET not in said
    assert not hold(tmp_path)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "key", ["search.storage", "search.storge", "search.depths", "cohort.table.expression"]
)
def test_no_stage_says_or_writes_what_stands_in_params(call, tmp_path, url, key) -> None:
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    *sections, name = key.split(".")
    section = params
    for each in sections:
        section = section[each]
    section[name] = url
    params["cohort"]["source"] = "table"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    code, printed, said = call(tmp_path, "fetch", "--raw", "raw", "--cache", "cache")
    assert (code, printed) == (2, "")
    assert SECRET not in said
    assert not hold(tmp_path)


def test_params_that_cannot_be_read_are_not_repeated_with_it(call, tmp_path) -> None:
    shutil.copyfile(PARAMS, tmp_path / "params.yaml")
    for line in (
        f'storage: "{URLS[6]}',
        f"storage: [{URLS[6]}",
        f"storage: {URLS[6]}: x",
        f"\tstorage: {URLS[6]}",
    ):
        (tmp_path / "params.yaml").write_text(f"search:\n  {line}\n", encoding="utf-8")
        code, _, said = call(tmp_path, "split", "--cohort", "c", "--out", "o")
        assert (code, " in line " in said, SECRET in said) == (2, True, False)


@pytest.mark.parametrize("url", URLS[6:8])
def test_a_database_of_studies_is_not_opened_with_one(url: str) -> None:
    with pytest.raises(Refusal, match="hold no password") as refused, open_studies(url):
        pass
    assert SECRET not in str(refused.value)
