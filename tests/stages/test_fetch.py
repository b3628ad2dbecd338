"""The stage `fetch`: files copied or downloaded, verified, and a raw folder that is whole or untouched."""

import fcntl
import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from expressionist.data.sources import _pancan, find_source, pancan_mirna, pancan_mrna
from expressionist.errors import CohortError
from expressionist.params.parsing import parse
from expressionist.params.sections import CohortParams
from expressionist.stages import fetch
from file_server import Answer, serve_files
from pancan_files import publish

PARAMS = Path(__file__).parents[2] / "params.yaml"
TCGA = {
    "expression": "E.v2.tsv",
    "samples": "S.tsv",
    "positions": None,
    "unit": "RSEM",
    "sample_types": ["01"],
    "more_sample_types": {},
    "aliquots": "first",
    "missing": "drop",
    "unnamed": "keep",
    "smallest_type": 1,
}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serve_files() as files:
        yield files


@pytest.fixture
def shipped():
    return yaml.safe_load(PARAMS.read_text())["cohort"]


def read_folder(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(tmp_path, source, options):
    (tmp_path / "incoming").mkdir(exist_ok=True)
    cohort = CohortParams(source=source, folder=str(tmp_path / "incoming"), options=options)
    fetch.run(cohort, raw=tmp_path / "raw", cache=tmp_path / "cache")
    return json.loads((tmp_path / "raw" / "manifest.json").read_text())


def write_incoming(tmp_path):
    incoming = tmp_path / "incoming"
    incoming.mkdir(exist_ok=True)
    (incoming / "E.v2.tsv").write_text("gene_id\ta\n")
    (incoming / "S.tsv").write_text("barcode\n")
    return incoming


def test_files_of_the_folder_are_copied_not_linked(tmp_path):
    incoming = write_incoming(tmp_path)
    manifest = run(tmp_path, "tcga", TCGA)
    assert set(manifest["files"]) == {"expression.v2.tsv", "samples.tsv"}
    md5 = hashlib.md5(b"barcode\n").hexdigest()
    assert manifest["files"]["samples.tsv"] == {"from": "S.tsv", "bytes": 8, "md5": md5}
    (incoming / "S.tsv").write_text("changed\n")
    assert (tmp_path / "raw" / "samples.tsv").read_text() == "barcode\n"
    # Nothing is remote, so there is nothing to cache.
    assert not (tmp_path / "cache").exists()


def test_a_failed_fetch_leaves_the_earlier_folder_as_it_was(tmp_path, server):
    write_incoming(tmp_path)
    run(tmp_path, "tcga", TCGA)
    before = read_folder(tmp_path / "raw")
    for options, words in (
        (TCGA | {"samples": "T.tsv"}, "cohort.tcga.samples must be a file in .*, but got T.tsv"),
        (TCGA | {"positions": server.url("/none.gtf")}, "404 Not Found"),
    ):
        with pytest.raises(CohortError, match=words):
            run(tmp_path, "tcga", options)
        assert read_folder(tmp_path / "raw") == before
        assert [path.name for path in tmp_path.glob(".*")] == []


def test_any_file_may_be_a_url_and_is_recorded(tmp_path, server):
    write_incoming(tmp_path)
    server.files["/genes.v1.tsv?x=1"] = b"entrez\tchromosome\tstart\n"
    options = TCGA | {"positions": server.url("/genes.v1.tsv?x=1")}
    manifest = run(tmp_path, "tcga", options)
    entry = manifest["files"]["positions.v1.tsv"]
    assert entry["from"] == options["positions"]
    assert (tmp_path / "raw" / "positions.v1.tsv").read_bytes() == server.files["/genes.v1.tsv?x=1"]
    # Again, with another rule: what was published has not changed, so it is not downloaded again.
    run(tmp_path, "tcga", options | {"smallest_type": 3})
    assert len(server.asked) == 1
    # But another address is another file.
    server.files["/other.v1.tsv"] = b"symbol\tchromosome\tstart\n"
    run(tmp_path, "tcga", options | {"positions": server.url("/other.v1.tsv")})
    assert len(server.asked) == 2
    assert (tmp_path / "raw" / "positions.v1.tsv").read_bytes() == server.files["/other.v1.tsv"]


@pytest.mark.parametrize("source", [pancan_mrna, pancan_mirna])
def test_pancan_from_server_to_cohort(tmp_path, server, monkeypatch, shipped, source):
    published = tmp_path / "published"
    published.mkdir()
    bodies = publish(monkeypatch, server, published, source, mirna=source is pancan_mirna)
    server.answers = [Answer(cut=100)]
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    word = source.__name__.rpartition(".")[2].replace("_", "-")
    options = shipped[word] | {"mirror": server.url("/data"), "smallest_type": 1}
    manifest = run(tmp_path, word, options)
    assert {name.split(".")[0] for name in manifest["files"]} == {"expression", "annotations", "clinical"}
    for name, entry in manifest["files"].items():
        assert (tmp_path / "raw" / name).read_bytes() == bodies[name.split(".")[0]]
        assert entry["from"].startswith(server.url("/data/"))
    assert [path.name for path in (tmp_path / "cache" / "downloads").iterdir()] == ["lock"]
    parsed = parse(source.Options, options, word)
    cohort, quality = find_source(word).read(parsed, tmp_path / "raw")
    assert cohort.tumour_types == ["ACC", "LAML", "SKCM"]
    assert quality["samples"]["kept"] == 7


def test_a_file_on_disk_is_taken_if_it_is_the_published_one(tmp_path, server, monkeypatch, shipped):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    publish(monkeypatch, server, incoming, pancan_mrna)
    options = shipped["pancan-mrna"] | {
        "mirror": server.url("/data"),
        "expression": "expression.geneExp.tsv",
    }
    run(tmp_path, "pancan-mrna", options)
    assert len(server.asked) == 2
    with (incoming / "expression.geneExp.tsv").open("r+b") as stream:
        stream.write(b"G")
    before = read_folder(tmp_path / "raw")
    with pytest.raises(CohortError, match="expression.geneExp.tsv .* must have the md5 .* verify: false"):
        run(tmp_path, "pancan-mrna", options)
    assert read_folder(tmp_path / "raw") == before
    run(tmp_path, "pancan-mrna", options | {"verify": False})
    assert (tmp_path / "raw" / "expression.geneExp.tsv").read_bytes().startswith(b"G")


def test_a_file_of_an_earlier_run_that_was_damaged_is_downloaded_again(
    tmp_path, server, monkeypatch, shipped
):
    published = tmp_path / "published"
    published.mkdir()
    bodies = publish(monkeypatch, server, published, pancan_mrna)
    options = shipped["pancan-mrna"] | {"mirror": server.url("/data")}
    run(tmp_path, "pancan-mrna", options)
    (tmp_path / "raw" / "annotations.tsv").write_text("damaged")
    run(tmp_path, "pancan-mrna", options)
    assert len(server.asked) == 4
    assert (tmp_path / "raw" / "annotations.tsv").read_bytes() == bodies["annotations"]


def test_what_came_before_a_failure_is_not_fetched_again(tmp_path, server, monkeypatch, shipped):
    published = tmp_path / "published"
    published.mkdir()
    publish(monkeypatch, server, published, pancan_mrna)
    clinical = server.files.pop(f"/data/{_pancan.CLINICAL.address}")
    options = shipped["pancan-mrna"] | {"mirror": server.url("/data")}
    with pytest.raises(CohortError, match="404"):
        run(tmp_path, "pancan-mrna", options)
    assert not (tmp_path / "raw").exists()
    server.files[f"/data/{_pancan.CLINICAL.address}"] = clinical
    run(tmp_path, "pancan-mrna", options)
    assert len(server.asked) == 4


def test_a_second_process_waits_and_finds_what_the_first_has_brought(tmp_path, server):
    write_incoming(tmp_path)
    server.files["/genes.tsv"] = b"entrez\tchromosome\tstart\n"
    options = TCGA | {"positions": server.url("/genes.tsv")}
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    with (downloads / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threads = [threading.Thread(target=run, args=(tmp_path, "tcga", options)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        assert server.asked == []
    for thread in threads:
        thread.join(10)
    assert len(server.asked) == 1
    assert (tmp_path / "raw" / "positions.tsv").is_file()


def test_killed_in_the_middle_nothing_half_written_is_left(tmp_path, server):
    incoming = write_incoming(tmp_path)
    server.files["/genes.tsv"] = bytes(4 << 20)
    server.pause = 0.01
    options = TCGA | {"positions": server.url("/genes.tsv")}
    params = yaml.safe_load(PARAMS.read_text())
    params["cohort"] |= {"source": "tcga", "folder": str(incoming), "tcga": options}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    command = [sys.executable, "-m", "expressionist", "fetch", "--raw", "data/raw", "--cache", "data/cache"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as child:
        while server.n_sent < 1 << 20:
            time.sleep(0.01)
        child.kill()
    assert not (tmp_path / "data" / "raw").exists()
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "data" / "raw" / "positions.tsv").read_bytes() == server.files["/genes.tsv"]
    assert server.ranges[1] is not None
    assert server.n_sent < (4 << 20) + (1 << 20)
