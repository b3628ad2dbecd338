"""Files that people hand over, made in memory: good ones, and the ways to spoil them."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather

GOOD = "sample,tumour_type,g1,g2\ns1,A,1,2\ns2,A,3,4\ns3,B,5,6\ns4,B,7,8\n"
ROWS = "gene,s1,s2,s3,s4\ng1,1,3,5,7\ng2,2,4,6,8\n"
LABELS = "sample,tumour_type\ns1,A\ns2,A\ns3,B\ns4,B\n"
MANY = "sample,tumour_type,g1\n" + "".join(f"s{i},{'AB'[i % 2]},{i * 7919 % 1000}\n" for i in range(5000))
FRAME = pd.DataFrame(
    {
        "sample": ["s1", "s2", "s3", "s4"],
        "tumour_type": list("AABB"),
        "g1": [1.0, 3, 5, 7],
        "g2": [2.0, 4, 6, 8],
    }
)


def csv(text: str, **options: object) -> "Files":
    return Files({"expression.csv": text.encode()}, options)


def pair(expression: str, labels: str, **options: object) -> "Files":
    files = {"expression.csv": expression.encode(), "labels.csv": labels.encode()}
    return Files(files, {"genes_in": "rows", "labels": "labels.csv"} | options)


def swap(old: str, new: str) -> "Files":
    assert old in GOOD
    return csv(GOOD.replace(old, new))


def named(name: str, content: bytes, **options: object) -> "Files":
    return Files({name: content}, options)


def beside(name: str, content: bytes) -> "Files":
    return Files({name: content, "labels.csv": LABELS.encode()}, {"labels": "labels.csv"})


@dataclass(frozen=True)
class Files:
    files: Mapping[str, bytes]
    options: Mapping[str, object] = field(default_factory=dict)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet()


def to_feather(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(frame, sink)
    return sink.getvalue()


def xlsx(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_excel(sink, index=False)
    return sink.getvalue()


def h5ad(**parts: object) -> bytes:
    """Write the parts of an AnnData file, or what stands in their place."""
    obs = FRAME.set_index("sample")[["tumour_type"]]
    parts = {"obs": obs, "var": pd.DataFrame(index=["g1", "g2"]), "X": FRAME[["g1", "g2"]].to_numpy()} | parts
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for name, part in parts.items():
            if part is not None:
                anndata.io.write_elem(file, name, part)
    return sink.getvalue()


def tenx(**parts: object) -> bytes:
    """Write a 10x matrix of 2 features and 4 barcodes, or what stands in the place of its parts."""
    whole = {
        "data": np.arange(1, 9),
        "indices": np.array([0, 1] * 4),
        "indptr": np.arange(0, 9, 2),
        "shape": np.array([2, 4]),
        "barcodes": np.array([b"s1", b"s2", b"s3", b"s4"]),
        "features/id": np.array([b"g1", b"g2"]),
        "features/name": np.array([b"A", b"B"]),
    }
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for name, part in (whole | parts).items():
            if part is not None:
                file[f"matrix/{name}"] = part
    return sink.getvalue()


def stretched() -> bytes:
    """Write a file of a few kilobytes that promises 4 terabytes."""
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for part in ("obs", "var"):
            anndata.io.write_elem(file, part, pd.DataFrame({"tumour_type": list("AB")}, index=["a", "b"]))
        file.create_dataset("X", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    return sink.getvalue()


def archive(size: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"0" * size)
    return sink.getvalue()


def cut(content: bytes, share: float = 0.5) -> bytes:
    return content[: int(len(content) * share)]


def wide(n_genes: int, cell) -> str:
    """A table of 4 samples and many genes."""
    lines = ["sample,tumour_type," + ",".join(f"g{i}" for i in range(n_genes))]
    for row, kind in enumerate("AABB"):
        cells = (cell(row, i) for i in range(n_genes))
        lines.append(f"s{row + 1},{kind}," + ",".join(cells))
    return "\n".join(lines) + "\n"


def tcga(expression: str, samples: str, **options: object) -> "Files":
    return Files({"expression.tsv": expression.encode(), "samples.tsv": samples.encode()}, options)


BARCODES = [f"TCGA-OR-A5J{i}-01A-11R-A29S-07" for i in range(1, 5)]
TCGA = "gene_id\t" + "\t".join(BARCODES) + "\nTP53|7157\t1\t3\t5\t7\nEGFR|1956\t2\t4\t6\t8\n"
TCGA_SAMPLES = "barcode\tcancer_type\n" + "".join(
    f"{barcode}\t{kind}\n" for barcode, kind in zip(BARCODES, ["ACC", "ACC", "UVM", "UVM"], strict=True)
)
