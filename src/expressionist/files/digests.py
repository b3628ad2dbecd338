"""Digests of what lies on disk: ours by SHA-256, and those that DVC writes into ``dvc.lock`` by md5."""

import hashlib
import json
from pathlib import Path


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5(path: Path) -> str:
    """Return what DVC records: a file's md5, as 32 hexadecimal digits; a folder's of its list of files.

    That of a folder ends in ``.dir``.
    """
    if path.is_dir():
        files = {item.relative_to(path).as_posix(): item for item in path.rglob("*") if item.is_file()}
        listed = json.dumps([{"md5": md5(files[name]), "relpath": name} for name in sorted(files)])
        return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
