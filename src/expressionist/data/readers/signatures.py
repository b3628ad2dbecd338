"""What files of other formats begin with, so that one under a wrong name is told what it is."""

_SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind (.xls)",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather file",
    b"FEA1": "a Feather file of the old kind",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"<!doctype": "a web page or XML",
    b"<html": "a web page or XML",
    b"<?xml": "a web page or XML",
}


def name_content(start: bytes) -> str | None:
    """Say what a file is by its first bytes; None for what may be a table.

    Examples
    --------
    >>> name_content(b"%PDF-1.7")
    'a PDF'
    """
    lowered = start.lstrip()[:16].lower()
    return next(
        (what for magic, what in _SIGNATURES.items() if start.startswith(magic) or lowered.startswith(magic)),
        None,
    )
