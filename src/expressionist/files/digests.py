"""Digests of files and folders."""

import hashlib
import json
from pathlib import Path


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5(path: Path) -> str:
    """Return the digest that DVC records for a file or a folder in ``dvc.lock``.

    Parameters
    ----------
    path : pathlib.Path
        File or folder.

    Returns
    -------
    str
        md5 of a file, as 32 hexadecimal digits; of a folder that of a list of its files, and ``.dir``.
    """
    if path.is_dir():
        files = {item.relative_to(path).as_posix(): item for item in path.rglob("*") if item.is_file()}
        listed = json.dumps([{"md5": md5(files[name]), "relpath": name} for name in sorted(files)])
        return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
