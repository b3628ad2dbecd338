"""Reading an expression file as large as the Pan-Cancer Atlas's, against `pandas.read_csv` and a transpose.

Run ``python benchmarks/ingest.py [--parts 4 1] [--repeats 3]``. For each part, a file of the atlas's layout
with so much less of its 20,531 genes (rows) and all of its 11,069 aliquots (columns) is generated. Each way
of reading it runs in a process of its own, in turns; ours includes the rules and checks of the source.
Printed are the median seconds, the ratio of each turn, and the greatest peak memory above what the process
held before it read, as a multiple of the float32 matrix.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

N_GENES, N_ALIQUOTS = 20_531, 11_069
TYPES = tuple(f"TYPE{k}" for k in range(33))
OPTIONS = {
    "expression": "expression.tsv",
    "samples": "samples.tsv",
    "positions": None,
    "unit": "RSEM",
    "sample_types": ["01", "03"],
    "more_sample_types": {},
    "aliquots": "first",
    "missing": "drop",
    "unnamed": "keep",
    "smallest_type": 5,
}


def generate(folder: Path, n_genes: int) -> None:
    """Write files of the atlas's layout: genes unnamed or missing somewhere, values below 0."""
    rng = np.random.default_rng(1)
    barcodes = [f"TCGA-{k // 9000:02d}-{k % 9000 + 1000}-01A-11R-A001-07" for k in range(N_ALIQUOTS)]
    rows = [f"{code}\t{TYPES[k % len(TYPES)]}" for k, code in enumerate(barcodes)]
    (folder / "samples.tsv").write_text("barcode\tcancer_type\n" + "\n".join(rows) + "\n", encoding="utf-8")
    # Formatting 227 million numbers would take longer than reading them: rows share segments of 100.
    values = np.round(rng.gamma(0.5, 2000, (5000, 100)), 4)
    values[rng.random(values.shape) < 0.003] = -0.2502
    segments = ["\t".join(f"{value:.6g}" for value in row) for row in values]
    n_segments, rest = divmod(N_ALIQUOTS, 100)
    with (folder / "expression.tsv").open("w", encoding="utf-8") as stream:
        stream.write("\t".join(["gene_id", *barcodes]) + "\n")
        for gene in range(n_genes):
            cells = [segments[k] for k in rng.integers(0, len(segments), n_segments)]
            last = ["NA" if gene % 5 == 0 else "1.5"] * rest
            symbol = "?" if gene < 29 else f"GENE{gene}"
            stream.write("\t".join([f"{symbol}|{gene + 1}", *cells, *last]) + "\n")


def read_ours(folder: Path) -> Callable[[], tuple[int, ...]]:
    """Get ready to read through the source `tcga`."""
    from expressionist.data.sources import find_source
    from expressionist.params.parsing import parse

    source = find_source("tcga")
    options = parse(source.Options, OPTIONS, "options")
    return lambda: source.read(options, folder)[0].expression.shape


def read_with_pandas(folder: Path) -> Callable[[], tuple[int, ...]]:
    """Get ready to read as most notebooks do, to samples × genes in float32."""
    import pandas as pd

    return lambda: pd.read_csv(folder / "expression.tsv", sep="\t", index_col=0).T.astype(np.float32).shape


WAYS = {"ours": read_ours, "pandas": read_with_pandas}


def watch(way: str, folder: Path) -> None:
    """Read in this process, and print what it took."""
    read = WAYS[way](folder)
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    shape = read()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(json.dumps({"seconds": seconds, "peak": peak, "shape": shape}))


def measure(way: str, folder: Path) -> dict[str, float]:
    """Read in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(found.stdout)


def compare(part: int, repeats: int) -> None:
    """Print a line per way for one size of file."""
    n_genes = -(-N_GENES // part)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, n_genes)
        size = (folder / "expression.tsv").stat().st_size
        matrix = 4 * n_genes * N_ALIQUOTS
        print(f"{n_genes} genes × {N_ALIQUOTS} aliquots, {size / 1e9:.2f} GB", flush=True)
        # In turns, so that what else the machine does meets both.
        runs = [{way: measure(way, folder) for way in WAYS} for _ in range(repeats)]
        for way in WAYS:
            seconds = statistics.median(run[way]["seconds"] for run in runs)
            peak = max(run[way]["peak"] for run in runs) / matrix
            n_samples, n_genes_kept = runs[0][way]["shape"]
            print(f"  {way}: {seconds:.1f} s, peak {peak:.2f} of the matrix, {n_samples} × {n_genes_kept}")
        ratios = [run["pandas"]["seconds"] / run["ours"]["seconds"] for run in runs]
        print(f"  ratios {', '.join(f'{ratio:.1f}' for ratio in ratios)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, nargs="+", default=[4, 1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        watch(arguments.way, arguments.folder)
    else:
        for each in arguments.parts:
            compare(each, arguments.repeats)
