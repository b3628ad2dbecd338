"""Downloads from a server that breaks off, lies, refuses and changes its files; and killed five times."""

import hashlib
import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from expressionist.data.readers.download import (
    BLOCK,
    Patience,
    download,
    forget_download,
    refuse_disk_trouble,
)
from expressionist.data.readers.raw_files import RawFile
from expressionist.errors import CohortError
from file_server import Answer

BODY = np.random.default_rng(7).bytes(300_000)
OTHER = np.random.default_rng(8).bytes(300_000)


@pytest.fixture
def server(server):
    server.files["/data/id"] = BODY
    return server


def known(server, body=BODY, path="/data/id"):
    md5 = hashlib.md5(body).hexdigest()
    return RawFile("expression", server.url(path), filename="big.geneExp.tsv", size=len(body), md5=md5)


def unknown(server):
    return RawFile("positions", server.url("/data/id"), filename="genes.gtf.gz")


def fetch(file, cache, *, waits=None, **patience):
    waits = [] if waits is None else waits
    patient = Patience(sleep=waits.append, draw=lambda: 1.0, **patience)
    path = download(file, cache, patience=patient, show=lambda n, total: None)
    assert path.parent == cache
    return path.read_bytes()


def test_brings_a_file_and_tells_how_far_it_is(server, tmp_path):
    told = []
    patience = Patience(sleep=lambda s: None, draw=lambda: 0.0)
    path = download(known(server), tmp_path, patience=patience, show=lambda n, total: told.append((n, total)))
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [n for n, _ in told] == sorted({n for n, _ in told})
    forget_download(known(server), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_not_known_is_taken_from_the_server(server, tmp_path):
    told = []
    patience = Patience(sleep=lambda s: None, draw=lambda: 0.0)
    server.answers = [Answer(cut=100_000)]
    path = download(
        unknown(server), tmp_path, patience=patience, show=lambda n, total: told.append((n, total))
    )
    assert path.read_bytes() == BODY
    assert {total for _, total in told} == {len(BODY)}


@pytest.mark.parametrize("make", [known, unknown])
def test_goes_on_where_the_connection_broke(server, tmp_path, make):
    server.answers = [Answer(cut=100_000), Answer(cut=50_000), Answer(cut=0), Answer()]
    assert fetch(make(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-", "bytes=150000-"]
    assert server.asked[1]["If-Range"] == '"v1"'
    assert server.n_sent == len(BODY)


def test_goes_on_by_date_where_there_is_no_strong_etag(server, tmp_path):
    server.etag, server.modified = 'W/"weak"', "Tue, 01 Dec 2020 10:00:00 GMT"
    server.answers = [Answer(cut=100_000)]
    assert fetch(unknown(server), tmp_path) == BODY
    assert server.asked[1]["If-Range"] == server.modified
    assert server.n_sent == len(BODY)


def test_without_etag_goes_on_if_the_md5_will_tell(server, tmp_path):
    server.etag = None
    server.answers = [Answer(cut=100_000)]
    assert fetch(known(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=100000-"]
    assert "If-Range" not in server.asked[1]


def test_without_etag_and_md5_begins_anew(server, tmp_path):
    server.etag = None
    server.answers = [Answer(cut=100_000)]
    assert fetch(unknown(server), tmp_path) == BODY
    assert server.ranges == [None, None]


@pytest.mark.parametrize("lie", [5_000, -5_000])
def test_a_length_that_lies_is_seen_through(server, tmp_path, lie):
    server.answers = [Answer(lie=lie)]
    assert fetch(known(server), tmp_path) == BODY


def test_a_length_that_promises_too_much_is_refused_where_nothing_else_is_known(server, tmp_path):
    server.always = Answer(lie=5_000)
    with pytest.raises(CohortError, match="the connection ended after 300,000 of 305,000 bytes"):
        fetch(unknown(server), tmp_path, n_attempts=1)


def test_a_body_longer_than_the_file_is_read_no_further(server, tmp_path):
    server.files["/data/id"] = BODY + b"more"
    assert fetch(known(server), tmp_path) == BODY


def test_one_wrong_byte_is_refused_and_the_next_try_begins_anew(server, tmp_path):
    wrong = BODY[:1000] + bytes([BODY[1000] ^ 1]) + BODY[1001:]
    server.files["/data/id"] = wrong
    md5 = hashlib.md5(wrong).hexdigest()
    with pytest.raises(CohortError, match=f"big.geneExp.tsv .* must have the md5 .*, but got {md5}"):
        fetch(known(server), tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.files["/data/id"] = BODY
    assert fetch(known(server), tmp_path) == BODY
    assert server.ranges == [None, None]


def test_waits_as_long_as_it_is_told(server, tmp_path):
    server.answers = [
        Answer(status=429, headers={"Retry-After": "7"}),
        Answer(
            status=503,
            headers={
                "Date": "Wed, 02 Dec 2020 10:00:00 GMT",
                "Retry-After": "Wed, 02 Dec 2020 10:00:20 GMT",
            },
        ),
    ]
    waits = []
    assert fetch(known(server), tmp_path, waits=waits) == BODY
    assert waits == [7, 20]


def test_does_not_wait_for_hours(server, tmp_path):
    server.always = Answer(status=429, headers={"Retry-After": "86400"})
    waits = []
    with pytest.raises(CohortError, match="429 Too Many Requests"):
        fetch(known(server), tmp_path, waits=waits)
    assert waits == []


def test_backs_off_and_gives_up(server, tmp_path):
    server.always = Answer(status=503)
    waits = []
    with pytest.raises(CohortError, match=r"503 Service Unavailable \(6 attempts in a row, 0 bytes kept\)"):
        fetch(known(server), tmp_path, waits=waits, longest_wait=6.0)
    assert waits == [1, 2, 4, 6, 6]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_trouble_passes(server, tmp_path, status):
    server.answers = [Answer(status=status)] * 3
    assert fetch(known(server), tmp_path) == BODY


def test_the_count_of_attempts_starts_anew_with_progress(server, tmp_path):
    server.always = Answer(cut=20_000)
    waits = []
    assert fetch(known(server), tmp_path, waits=waits, n_attempts=2) == BODY
    assert waits == [1] * 14


def test_coming_no_further_is_no_progress(server, tmp_path):
    server.always = Answer(cut=20_000, ranges=False)
    with pytest.raises(CohortError, match=r"20,000 of 300,000 bytes \(3 attempts in a row, 20,000 bytes"):
        fetch(known(server), tmp_path, n_attempts=3)
    assert len(server.asked) == 3


def test_begins_anew_where_ranges_are_ignored(server, tmp_path):
    server.answers = [Answer(cut=100_000), Answer(ranges=False)]
    assert fetch(known(server), tmp_path) == BODY


def test_begins_anew_where_another_part_comes(server, tmp_path):
    server.answers = [Answer(cut=100_000), Answer(start_lie=-50)]
    assert fetch(known(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=100000-", None]


def test_begins_anew_where_there_is_no_such_range(server, tmp_path):
    server.files["/data/id"] = BODY + b"a file that will be shorter"
    server.answers = [Answer(cut=300_010)]
    with pytest.raises(CohortError):
        fetch(unknown(server), tmp_path, n_attempts=1)
    server.files["/data/id"] = BODY
    assert fetch(unknown(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=300010-", None]


def test_a_file_that_changed_between_tries_begins_anew(server, tmp_path):
    server.answers = [Answer(cut=100_000)]
    with pytest.raises(CohortError):
        fetch(unknown(server), tmp_path, n_attempts=1)
    server.files["/data/id"], server.etag = OTHER, '"v2"'
    assert fetch(unknown(server), tmp_path) == OTHER


def test_a_server_that_ignores_if_range_is_seen_through(server, tmp_path):
    server.answers = [Answer(cut=100_000)]
    with pytest.raises(CohortError):
        fetch(unknown(server), tmp_path, n_attempts=1)
    # A part of the new version, although the old one was asked for.
    server.files["/data/id"] = OTHER
    server.answers = [Answer(headers={"ETag": '"v2"'})]
    server.etag, server.modified = None, '"v1"'
    assert fetch(unknown(server), tmp_path) == OTHER


def test_follows_a_redirect_with_its_range(server, tmp_path):
    server.answers = [
        Answer(cut=100_000),
        Answer(status=302, headers={"Location": server.url("/data/id")}),
    ]
    assert fetch(known(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=100000-", "bytes=100000-"]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (204, "204")])
def test_refusals_are_not_repeated(server, tmp_path, status, words):
    server.always = Answer(status=status)
    with pytest.raises(CohortError, match=words) as refusal:
        fetch(known(server), tmp_path)
    assert len(server.asked) == 1
    said = str(refusal.value)
    for word in (server.url("/data/id"), "big.geneExp.tsv", "cohort.folder", "mirror", "as expression"):
        assert word in said
    assert "\n" not in said


def test_without_a_network_one_sentence_says_what_to_do(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        file = RawFile("expression", f"http://127.0.0.1:{unused.getsockname()[1]}/x", filename="big.tsv")
        waits = []
        with pytest.raises(CohortError, match="Connection refused") as refusal:
            fetch(file, tmp_path, waits=waits)
    assert len(waits) == 5
    for word in (file.address, "big.tsv", "cohort.folder", "mirror", "as expression"):
        assert word in str(refusal.value)


def test_a_connection_that_falls_silent_is_broken_off(server, tmp_path):
    server.answers = [Answer(cut=100_000, stall=True)]
    assert fetch(known(server), tmp_path, timeout=0.2) == BODY
    assert server.ranges == [None, "bytes=100000-"]


def test_a_full_disk_is_refused_in_one_sentence_and_what_came_is_kept(server, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            CohortError, match=r"big.geneExp.tsv must be .* have room, but got: File too large"
        ):
            fetch(known(server), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(server.asked) == 1
    assert fetch(known(server), tmp_path) == BODY
    assert server.ranges == [None, "bytes=100000-"]


def test_a_device_that_takes_nothing_is_a_full_disk():
    refused = pytest.raises(CohortError, match="No space left on device")
    with refused as refusal, refuse_disk_trouble(Path("x")):
        Path("/dev/full").write_bytes(b"x")
    assert "\n" not in str(refusal.value)


def test_a_folder_that_cannot_be_made_is_refused(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CohortError, match="file/downloads must be accessible .* but got: Not a directory"):
        fetch(known(server), tmp_path / "file" / "downloads")


def test_a_torn_note_is_no_note(server, tmp_path):
    server.answers = [Answer(cut=100_000)]
    with pytest.raises(CohortError):
        fetch(unknown(server), tmp_path, n_attempts=1)
    (note,) = tmp_path.glob("*.json")
    assert json.loads(note.read_text())["url"] == unknown(server).address
    note.write_text('{"url": "http')
    assert fetch(unknown(server), tmp_path) == BODY
    assert server.ranges == [None, None]


CHILD = """
import sys
from pathlib import Path
from expressionist.data.readers.download import Patience, download
from expressionist.data.readers.raw_files import RawFile
url, size, md5, cache = sys.argv[1:]
file = RawFile("expression", url, filename="big.tsv", size=int(size), md5=md5)
patience = Patience(sleep=lambda seconds: None, draw=lambda: 0.0)
print(download(file, Path(cache), patience=patience, show=lambda n, total: print(n, flush=True)))
"""


def test_killed_five_times_no_byte_comes_twice_beyond_the_last_block(server, tmp_path):
    body = np.random.default_rng(9).bytes(6 << 20)
    server.files["/data/id"] = body
    server.pause = 0.005
    md5 = hashlib.md5(body).hexdigest()
    command = [sys.executable, "-c", CHILD, server.url("/data/id"), str(len(body)), md5, str(tmp_path)]
    for k in range(1, 6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:
                if int(line) > k << 20:
                    child.kill()
                    break
        assert child.returncode == -9
        time.sleep(0.05)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(done.stdout.splitlines()[-1]).read_bytes() == body
    assert len(server.asked) == 6
    assert all(server.ranges[1:])
    assert len(body) <= server.n_sent <= len(body) + 5 * BLOCK
