"""The raw files of a source: where they come from, how they are known, and where `fetch` has put them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import unquote, urlsplit

from expressionist.errors import CohortError, holds_password, name_some
from expressionist.files import md5
from expressionist.params import Must

# An option that names a server.
Mirror = Annotated[str, Must("be an http or https URL", lambda url: url.startswith(("http://", "https://")))]


@dataclass(frozen=True)
class RawFile:
    """A file that a source reads.

    Parameters
    ----------
    option : str
        Option that stands for it; in the raw folder it is called so.
    address : str
        Where it lies below ``cohort.folder``, or the http or https URL to download it from.
    filename : str, optional
        What it is called where it comes from, if the address does not end in that.
    size : int, optional
        Bytes it must have.
    md5 : str, optional
        Its md5, as 32 hexadecimal digits.
    is_one_of_many : bool, optional
        Whether its option stands for a folder of files; in the raw folder they lie below it.

    Examples
    --------
    >>> RawFile("positions", "https://example.org/gencode.v19.gtf.gz?part=1").name
    'positions.v19.gtf.gz'
    >>> RawFile("counts", "mine/a/b.counts.tsv", is_one_of_many=True).name
    'counts/b.counts.tsv'
    >>> RawFile("expression", "mine/Matrix.csv").is_remote
    False
    """

    option: str
    address: str
    filename: str | None = None
    size: int | None = None
    md5: str | None = None
    is_one_of_many: bool = False

    def __post_init__(self) -> None:
        if self.is_remote and holds_password(self.address):
            raise CohortError(
                f"The URL of {self.option} must hold no password, since manifests and runs name it, but got "
                "one. Download the file, and put it into cohort.folder."
            )

        if not self.called.isprintable():
            raise CohortError(
                f"The file of {self.option} must have a name that can be shown, but got {self.called!r}. "
                "Rename it, or correct the URL."
            )

    @property
    def is_remote(self) -> bool:
        """Whether it has to be downloaded."""
        return self.address.startswith(("http://", "https://"))

    @property
    def called(self) -> str:
        """What it is called where it comes from."""
        path = unquote(urlsplit(self.address).path) if self.is_remote else self.address
        return self.filename or PurePosixPath(path).name

    @property
    def name(self) -> str:
        """What it is called in the raw folder: its option, with the suffixes that tell its format."""
        if self.is_one_of_many:
            return f"{self.option}/{self.called}"
        return self.option + "".join(PurePosixPath(self.called).suffixes)


def list_given(options: object, *names: str) -> tuple[RawFile, ...]:
    """List the files that some options of a source name, leaving out those that are null."""
    given = {name: getattr(options, name) for name in names}
    return tuple(RawFile(name, address) for name, address in given.items() if address is not None)


def find_files(raw: Path, files: Iterable[RawFile]) -> dict[str, Path]:
    """Find what `fetch` has stored for the files of a source: option → path."""
    return {file.option: find_file(raw, file.option) for file in files}


def find_file(raw: Path, option: str) -> Path:
    """Find the one file that `fetch` has stored for an option: it is called so, with any suffixes."""
    found = sorted(path for path in raw.glob(f"{option}*") if path.name.split(".")[0] == option)
    if len(found) != 1:
        held = name_some(path.name for path in found) if found else f"no {option}.*"
        raise CohortError(
            f"{raw} must hold one file {option}.*, but got {held}. Run `expressionist fetch` again."
        )
    if not found[0].is_file():
        raise CohortError(f"{found[0]} must be a file, but got a folder or a broken link. Name a file.")
    return found[0]


def find_many(raw: Path, option: str) -> list[Path]:
    """Find the files that `fetch` has stored for an option that stands for a folder, ordered by name."""
    found = sorted(path for path in (raw / option).glob("*") if path.is_file())
    if not found:
        raise CohortError(
            f"{raw / option} must be a folder of files, but got none. Run `expressionist fetch` again."
        )
    return found


def verify_file(path: Path, file: RawFile) -> str:
    """Return the md5 of the bytes at a path; refuse them if size or md5 are not those known of the file."""
    mend = "Get it again or from elsewhere, or set verify: false if it is meant to differ."
    size, digest = path.stat().st_size, md5(path)
    if file.size not in (None, size):
        raise CohortError(
            f"{file.called} from {file.address} must have {file.size:,} bytes, but got {size:,}. {mend}"
        )
    if file.md5 not in (None, digest):
        raise CohortError(
            f"{file.called} from {file.address} must have the md5 {file.md5}, but got {digest}. {mend}"
        )
    return digest
