"""What a source asks `fetch` to bring: its raw files, where they come from and how they are known."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from expressionist.errors import CohortError


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

    Examples
    --------
    >>> RawFile("positions", "https://example.org/gencode.v19.gtf.gz?part=1").name
    'positions.v19.gtf.gz'
    >>> RawFile("expression", "mine/Matrix.csv").is_remote
    False
    """

    option: str
    address: str
    filename: str | None = None
    size: int | None = None
    md5: str | None = None

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
        return self.option + "".join(PurePosixPath(self.called).suffixes)


def list_given(options: object, *names: str) -> tuple[RawFile, ...]:
    """List the files that options name, leaving out those that name none.

    Parameters
    ----------
    options : dataclass
        Options of a source.
    names : str
        Which of them name files.
    """
    given = {name: getattr(options, name) for name in names}
    return tuple(RawFile(name, address) for name, address in given.items() if address is not None)


def digest_file(path: Path) -> str:
    """Return the md5 of a file, as 32 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def verify_file(path: Path, file: RawFile) -> str:
    """Refuse bytes that are not those of a file.

    Parameters
    ----------
    path : pathlib.Path
        Where the bytes are.
    file : RawFile
        What they must be.

    Returns
    -------
    str
        Their md5.

    Raises
    ------
    CohortError
        If size or md5 differ from those that are known.
    """
    mend = "Get it again or from elsewhere, or set verify: false if it is meant to differ."
    size = path.stat().st_size
    if file.size not in (None, size):
        raise CohortError(
            f"{file.called} from {file.address} must have {file.size:,} bytes, but got {size:,}. {mend}"
        )
    md5 = digest_file(path)
    if file.md5 not in (None, md5):
        raise CohortError(
            f"{file.called} from {file.address} must have the md5 {file.md5}, but got {md5}. {mend}"
        )
    return md5
