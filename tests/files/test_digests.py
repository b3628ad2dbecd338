"""Digests: those of DVC, which tell contents and names apart."""

from pathlib import Path

from expressionist.files.digests import md5


def test_md5_tells_contents_and_names(tmp_path: Path) -> None:
    for folder, name, text in [("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    digests = {folder: md5(tmp_path / folder) for folder in "abcd"}
    assert digests["a"] == digests["b"]
    assert len(set(digests.values())) == 3
    assert md5(tmp_path / "a" / "x") == "c4ca4238a0b923820dcc509a6f75849b"  # md5 of "1"


def test_a_folder_has_the_md5_that_dvc_gives_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, text in (("x", "1"), ("sub/y", "2"), ("sub-z", "3"), ("é", "ü")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    # As dvc.lock had it.
    assert md5(tmp_path) == "8d10c7a0c095d26bec25eab47aaf2449.dir"
