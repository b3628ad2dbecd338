"""Downloads over HTTP that go on where they broke off, and whose bytes are verified before they count.

What has come of a file lies in a cache folder, beside a note of its URL and of what the server says to tell
versions of it apart (its ETag, or else when it was last modified). Every block is written as it comes, so a
process that is killed loses nothing that had reached it. A range is asked for with ``If-Range``, so a file
that changed in between begins anew (RFC 9110, sections 13.1.5 and 14).
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from http.client import responses as PHRASES
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from expressionist.data.readers.raw_files import RawFile, verify_file
from expressionist.errors import CohortError

# Most bytes that are asked of a connection, and then written, at a time.
BLOCK = 1 << 20
_PASSING = (429, 500, 502, 503, 504)
_WHOLE, _PART, _NO_SUCH_RANGE = 200, 206, 416


@dataclass(frozen=True)
class Patience:
    """How long a download is tried; all times are in seconds.

    Parameters
    ----------
    sleep : callable
        Waits.
    draw : callable
        Gives a random number in [0, 1), so that many who failed together do not come back together.
    n_attempts : int
        Attempts in a row that bring no byte further, the first included, before giving up.
    first_wait, longest_wait : float
        Wait before the second attempt, doubled before each further one up to the longest.
    longest_told : float
        Most to wait when a server says for how long (``Retry-After``).
    timeout : float
        Without an answer or a byte for so long, a connection counts as broken.
    """

    sleep: Callable[[float], None]
    draw: Callable[[], float]
    n_attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_told: float = 600.0
    timeout: float = 60.0

    def choose_wait(self, n_failed: int) -> float:
        """Return the seconds to wait after so many attempts in a row have failed: half of them by chance."""
        most = min(self.longest_wait, self.first_wait * 2 ** (n_failed - 1))
        return most * (1 + self.draw()) / 2


class _BrokenOff(Exception):
    """An attempt failed in a way that the next one may not."""

    def __init__(self, reason: str, told: float = 0.0) -> None:
        super().__init__(reason)
        self.told = told


def download(
    file: RawFile, cache: Path, *, patience: Patience, show: Callable[[int, int | None], None]
) -> Path:
    """Download a remote file, going on with what an earlier call has left, and verify it.

    It stays in the folder `cache`, into which only one process may download at a time, until
    `forget_download` is called. `show` is told, after each block, how many bytes have come and of how many,
    None if that is not known.

    Raises
    ------
    CohortError
        If the server cannot be reached or refuses, the disk cannot be written, or the bytes are wrong.
    """
    with refuse_disk_trouble(cache):
        cache.mkdir(parents=True, exist_ok=True)
    arrived = _Arrived(file, cache)
    n_failed, furthest = 0, arrived.size
    while True:
        try:
            _receive(file, arrived, patience.timeout, show)
            break
        except (_BrokenOff, OSError, HTTPException) as error:
            broken = error
        n_failed = 1 if arrived.size > furthest else n_failed + 1
        furthest = max(furthest, arrived.size)
        told = broken.told if isinstance(broken, _BrokenOff) else 0.0
        if n_failed >= patience.n_attempts or told > patience.longest_told:
            raise _give_up(file, arrived.size, n_failed, broken) from broken
        patience.sleep(max(told, patience.choose_wait(n_failed)))
    try:
        verify_file(arrived.path, file)
    except CohortError:
        arrived.discard()
        raise
    return arrived.path


def forget_download(file: RawFile, cache: Path) -> None:
    """Remove what a download has left in the cache, once the file stands where it belongs."""
    _Arrived(file, cache).discard()


@contextmanager
def refuse_disk_trouble(path: Path) -> Iterator[None]:
    """Turn the errors of a disk, such as that it is full, into a refusal that names what was written."""
    try:
        yield
    except OSError as error:
        raise CohortError(
            f"{error.filename or path} must be accessible and its disk have room, but got: {error.strerror}. "
            "Make room or correct the path, and run it again: what has come is kept."
        ) from error


class _Arrived:
    """What has come of a file so far, and which version of it that is."""

    def __init__(self, file: RawFile, cache: Path) -> None:
        key = hashlib.md5(file.address.encode(), usedforsecurity=False).hexdigest()[:8]
        self.url = file.address
        self.path = cache / f"{key}-{file.called}"
        self.note = cache / f"{key}-{file.called}.json"

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str | None:
        """What the server called the version, if it did; a note that was cut off by a kill says nothing."""
        try:
            version: str | None = json.loads(self.note.read_text(encoding="utf-8"))["version"]
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return version

    def begin(self, version: str | None) -> None:
        """Start with no bytes of a version; the note comes last, so that it never tells of older bytes."""
        self.discard()
        with refuse_disk_trouble(self.path):
            self.path.touch()
            self.note.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")

    def discard(self) -> None:
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _receive(
    file: RawFile, arrived: _Arrived, timeout: float, show: Callable[[int, int | None], None]
) -> None:
    """Make one attempt at the bytes that are still missing."""
    version = arrived.version
    # Without a md5 only the server can tell that its file is still the one that was begun.
    start = arrived.size if version or file.md5 else 0
    if start and start == file.size:
        return
    headers = {"User-Agent": "expressionist", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    with _open(file, headers, timeout, arrived) as response:
        # What may stand in `If-Range`: a strong ETag or a date.
        tag = response.headers.get("ETag", "")
        came = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        part = response.headers.get("Content-Range", "")
        if response.status == _WHOLE:
            start = 0
            arrived.begin(came)
        elif not part.startswith(f"bytes {start}-") or (version and came and came != version):
            arrived.discard()
            raise _BrokenOff("another part or version of the file than was asked for")
        # A size that is known counts for more than what the server says of this answer.
        size = file.size
        if size is None and response.length is not None:
            size = start + response.length
        with arrived.path.open("ab", buffering=0) as stream:
            for n in _pour(response, stream, start, file.size):
                show(n, size)
    if size is not None and arrived.size < size:
        raise _BrokenOff(f"the connection ended after {arrived.size:,} of {size:,} bytes")


def _open(file: RawFile, headers: dict[str, str], timeout: float, arrived: _Arrived) -> HTTPResponse:
    """Open a URL, telling refusals for good from passing ones."""
    try:
        response: HTTPResponse = urlopen(Request(file.address, headers=headers), timeout=timeout)
    except HTTPError as error:
        with error:
            status = error.code
            if status == _NO_SUCH_RANGE:
                arrived.discard()
                raise _BrokenOff("no such range, so from the start") from error
            if status in _PASSING:
                raise _BrokenOff(_name_status(status), _read_wait(error.headers)) from error
            raise _refuse(file, _name_status(status)) from error
    if response.status not in (_WHOLE, _PART):
        with response:
            raise _refuse(file, _name_status(response.status))
    return response


def _pour(response: HTTPResponse, stream: BinaryIO, start: int, size: int | None) -> Iterator[int]:
    """Write blocks as they come and give the bytes there are after each; no more than `size` of them."""
    n = start
    while wanted := BLOCK if size is None else min(BLOCK, size - n):
        block = memoryview(response.read1(wanted))
        if not block:
            return
        n += len(block)
        with refuse_disk_trouble(Path(stream.name)):
            while block:
                block = block[stream.write(block) :]
        yield n


def _read_wait(headers: Message) -> float:
    """Return the seconds that ``Retry-After`` asks for; a date is taken from the server's own clock."""
    told = headers.get("Retry-After", "0")
    if told.isdecimal():
        return float(told)
    try:
        wait = parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, wait.total_seconds())


def _name_status(status: int) -> str:
    return f"{status} {PHRASES.get(status, '')}".strip()


def _give_up(file: RawFile, n_bytes: int, n_failed: int, broken: Exception) -> CohortError:
    reason = broken.reason if isinstance(broken, URLError) else broken
    told = " ".join(str(reason).split()) or type(reason).__name__
    told = f"{told} ({n_failed} attempts in a row, {n_bytes:,} bytes kept)"
    return _refuse(file, told, " A later run goes on from there.")


def _refuse(file: RawFile, told: str, more: str = "") -> CohortError:
    return CohortError(
        f"{file.address} must give {file.called}, but got {told}. Correct the URL or the mirror, or put the "
        f"file into cohort.folder and name it as {file.option}.{more}"
    )
