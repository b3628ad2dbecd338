"""What a file holds, by its suffix and its first bytes."""

from pathlib import Path

from expressionist.data.readers.file_content import name_content, suffix_of


def test_suffixes_and_signatures():
    assert suffix_of(Path("expression.v2.TSV.gz")) == ".tsv"
    assert name_content(b"%PDF-1.7") == "a PDF"
