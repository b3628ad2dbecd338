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

import gdc_files
from expressionist.data.sources import _pancan, find_source, gdc, pancan_mirna, pancan_mrna
from expressionist.errors import CohortError
from expressionist.params.parsing import parse
from expressionist.params.sections import CohortParams
from expressionist.stages import fetch
from file_server import Answer
from pancan_files import publish
from toy import shipped_options

PARAMS = Path(__file__).parents[2] / "params.yaml"
TCGA = shipped_options("tcga", expression="E.v2.tsv", samples="S.tsv", positions=None, smallest_type=1)


def read_folder(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def published(tmp_path, server, monkeypatch):
    """Serve what a source of the Pan-Cancer Atlas reads: its word, its options, and the files by kind."""

    def serve(source=pancan_mrna, folder="published"):
        (tmp_path / folder).mkdir()
        bodies = publish(monkeypatch, server, tmp_path / folder, source, mirna=source is pancan_mirna)
        word = source.__name__.rpartition(".")[2].replace("_", "-")
        return word, shipped_options(word, mirror=server.url("/data"), smallest_type=1), bodies

    return serve


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
        (TCGA | {"samples": "T.tsv"}, "cohort.tcga.samples must be a file in .*, but got .*/T.tsv"),
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
def test_pancan_from_server_to_cohort(tmp_path, server, monkeypatch, published, source):
    word, options, bodies = published(source)
    server.answers = [Answer(cut=100)]
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
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


@pytest.fixture
def counts(server, tmp_path):
    """Serve STAR counts by their UUIDs, and write their manifest and sample sheet into the folder."""
    (tmp_path / "incoming").mkdir()
    bodies = {gdc_files.name_file(place): gdc_files.make_counts(place) for place in range(6)}
    gdc_files.write_manifest(tmp_path / "incoming" / "manifest.txt", bodies)
    gdc_files.write_sheet(tmp_path / "incoming" / "gdc_sample_sheet.tsv")
    for place, body in enumerate(bodies.values()):
        server.files[f"/data/{gdc_files.name_id(place)}"] = body
    return bodies


def choose_counts(server):
    mirror = server.url("/data/")
    return shipped_options("gdc", counts=None, manifest="manifest.txt", mirror=mirror, smallest_type=1)


def test_star_counts_from_manifest_to_cohort(tmp_path, server, monkeypatch, counts):
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    server.answers = [Answer(), Answer(cut=100), Answer(status=503)]
    options = choose_counts(server)
    manifest = run(tmp_path, "gdc", options)
    assert server.ranges[:4] == [None, None, "bytes=100-", "bytes=100-"]
    assert read_folder(tmp_path / "raw" / "counts") == counts
    assert set(manifest["files"]) == {"sample_sheet.tsv", *(f"counts/{name}" for name in counts)}
    assert manifest["files"][f"counts/{gdc_files.name_file(2)}"]["from"].endswith(gdc_files.name_id(2))
    assert [path.name for path in (tmp_path / "cache" / "downloads").iterdir()] == ["lock"]
    n_asked = len(server.asked)
    # With another rule nothing is downloaded again; a damaged file is, alone.
    (tmp_path / "raw" / "counts" / gdc_files.name_file(4)).write_text("damaged")
    run(tmp_path, "gdc", options | {"column": "unstranded"})
    assert len(server.asked) == n_asked + 1
    assert read_folder(tmp_path / "raw" / "counts") == counts
    cohort, _ = gdc.read(parse(gdc.Options, options, "gdc"), tmp_path / "raw")
    assert cohort.tumour_types == ["ACC", "TARGET-AML", "UVM"]


def test_star_counts_with_another_md5_are_refused_and_the_others_kept(tmp_path, server, counts):
    path = f"/data/{gdc_files.name_id(3)}"
    whole, server.files[path] = server.files[path], server.files[path].replace(b"TP53", b"TP35")
    with pytest.raises(CohortError, match=f"{gdc_files.name_file(3)} from .* must have the md5"):
        run(tmp_path, "gdc", choose_counts(server))
    assert not (tmp_path / "raw").exists()
    server.files[path] = whole
    run(tmp_path, "gdc", choose_counts(server))
    # The three before it came once, the wrong one twice, and the two behind it once.
    assert len(server.asked) == 7


@pytest.mark.parametrize("nested", [False, True])
def test_star_counts_of_a_folder_are_copied(tmp_path, nested):
    incoming = tmp_path / "incoming"
    gdc_files.write_counts(incoming / "counts", nested=nested)
    gdc_files.write_sheet(incoming / "gdc_sample_sheet.tsv")
    manifest = run(tmp_path, "gdc", shipped_options("gdc"))
    assert len(list((tmp_path / "raw" / "counts").iterdir())) == len(manifest["files"]) - 1 == 6
    assert not (tmp_path / "cache").exists()


def test_a_file_on_disk_is_taken_if_it_is_the_published_one(tmp_path, server, published):
    word, options, _ = published(folder="incoming")
    options["expression"] = "expression.geneExp.tsv"
    run(tmp_path, word, options)
    assert len(server.asked) == 2
    with (tmp_path / "incoming" / "expression.geneExp.tsv").open("r+b") as stream:
        stream.write(b"G")
    before = read_folder(tmp_path / "raw")
    with pytest.raises(CohortError, match="expression.geneExp.tsv .* must have the md5 .* verify: false"):
        run(tmp_path, word, options)
    assert read_folder(tmp_path / "raw") == before
    run(tmp_path, word, options | {"verify": False})
    assert (tmp_path / "raw" / "expression.geneExp.tsv").read_bytes().startswith(b"G")


def test_a_file_of_an_earlier_run_that_was_damaged_is_downloaded_again(tmp_path, server, published):
    word, options, bodies = published()
    run(tmp_path, word, options)
    (tmp_path / "raw" / "annotations.tsv").write_text("damaged")
    run(tmp_path, word, options)
    assert len(server.asked) == 4
    assert (tmp_path / "raw" / "annotations.tsv").read_bytes() == bodies["annotations"]


def test_what_came_before_a_failure_is_not_fetched_again(tmp_path, server, published):
    word, options, bodies = published()
    address = f"/data/{_pancan.CLINICAL.address}"
    del server.files[address]
    with pytest.raises(CohortError, match="404"):
        run(tmp_path, word, options)
    assert not (tmp_path / "raw").exists()
    server.files[address] = bodies["clinical"]
    run(tmp_path, word, options)
    assert len(server.asked) == 4


def test_what_dvc_gave_back_is_kept_where_the_folder_has_none_of_it(tmp_path, capsys):
    incoming = write_incoming(tmp_path)
    manifest = run(tmp_path, "tcga", TCGA)
    before = read_folder(tmp_path / "raw")
    (incoming / "S.tsv").unlink()
    with pytest.raises(CohortError, match=r"S.tsv, which is not there"):
        run(tmp_path, "tcga", TCGA)
    (incoming / "E.v2.tsv").unlink()
    assert run(tmp_path, "tcga", TCGA) == manifest
    assert read_folder(tmp_path / "raw") == before
    assert "raw is kept, as" in capsys.readouterr().out
    with pytest.raises(CohortError, match=r"E.v2.tsv, which is not there"):
        run(tmp_path, "tcga", TCGA | {"unit": "TPM"})
    (tmp_path / "raw" / "samples.tsv").write_text("changed\n")
    with pytest.raises(CohortError, match=r"E.v2.tsv, which is not there"):
        run(tmp_path, "tcga", TCGA)


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


def fetch_and_kill(tmp_path, source, options, is_enough):
    """Run the command in a process that is killed, and then again to its end."""
    params = yaml.safe_load(PARAMS.read_text())
    params["cohort"] |= {"source": source, "folder": str(tmp_path / "incoming"), source: options}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    command = [sys.executable, "-m", "expressionist", "fetch", "--raw", "data/raw", "--cache", "data/cache"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as child:
        while not is_enough():
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        child.kill()
    assert not (tmp_path / "data" / "raw").exists()
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    return tmp_path / "data" / "raw"


def test_killed_in_the_middle_nothing_half_written_is_left(tmp_path, server):
    write_incoming(tmp_path)
    server.files["/genes.tsv"] = bytes(4 << 20)
    server.pause = 0.01
    options = TCGA | {"positions": server.url("/genes.tsv")}
    raw = fetch_and_kill(tmp_path, "tcga", options, lambda: server.n_sent >= 1 << 20)
    assert (raw / "positions.tsv").read_bytes() == server.files["/genes.tsv"]
    assert server.ranges[1] is not None
    assert server.n_sent < (4 << 20) + (1 << 20)


def test_killed_among_many_files_those_that_came_are_kept(tmp_path, server, counts):
    # The fourth never ends, so that no other can come before the process is killed.
    server.answers = [Answer(), Answer(), Answer(), Answer(cut=100, stall=True)]
    raw = fetch_and_kill(tmp_path, "gdc", choose_counts(server), lambda: len(server.asked) >= 4)
    assert read_folder(raw / "counts") == counts
    # Only the one that was on its way may have been asked for again.
    assert len(server.asked) <= 7
