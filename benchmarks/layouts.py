"""Every layout method beside pyDeepInsight and TINTOlib: seconds, memory, and how good the layout is.

Run ``python benchmarks/layouts.py [--cohorts real embedded] [--genes 10404] [--methods random pca ...]
[--no-peers] [--environment FOLDER] [--limit 240]``. The real cohort is ../shared/data/tcga-mrna-5. A fifth
of the samples is held out, and scored apart; for painting, rows are drawn until there are 2,000. Every method
runs in a process of its own, on the same arrays; memory is what Linux tells of that process. IGTD, which no
peer finishes on more, is compared on the 1,024 most variable genes. Prints tables in Markdown.

The peers (benchmarks/peers.py) are installed into a virtual environment that is kept in `--environment`, by
pip with whatever settings it has. pyDeepInsight loads torch and paints without it, so the wheel without CUDA
is asked for. Where pip does not find it, name PyTorch's own index:
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from expressionist.data.expression import Scale, choose_genes, to_log2
from expressionist.data.sources import embedded
from expressionist.painting.layout import square_shape
from expressionist.painting.layout_score import score_layout
from expressionist.params import list_layouts

HERE = Path(__file__).parent
REAL = Path("../shared/data/tcga-mrna-5/expression.tsv.gz")
N_PAINTED, N_GENES_IGTD = 2_000, 1_024
PEERS = (
    ["torch==2.13.0+cpu", "TINTOlib==1.3.1", "umap-learn==0.5.12", "opencv-python-headless"],
    # Its other needs come with TINTOlib; torch's plain wheel would bring gigabytes of CUDA.
    ["--no-deps", "pyDeepInsight==0.2.3"],
)
BIG = (
    "pyDeepInsight PCA",
    "pyDeepInsight PCA, quantiles",
    "pyDeepInsight UMAP",
    "pyDeepInsight t-SNE",
    "TINTOlib TINTO PCA",
    "TINTOlib DeepInsight PCA",
    "TINTOlib DeepInsight t-SNE",
)
BESIDE = {"tsne": "pyDeepInsight t-SNE", "umap": "pyDeepInsight UMAP", "pca": "pyDeepInsight PCA"}
HEADINGS = {
    "fit": ("fit s", 1),
    "fit_cpu": ("fit cpu s", 1),
    "paint": ("paint s", 3),
    "peak": ("peak GB", 1),
    "pixels_used": ("pixels used", 3),
    "genes_alone": ("genes alone", 3),
    "neighbour_correlation": ("neighbours", 3),
    "neighbour_correlation_held_out": ("held out", 3),
    "trustworthiness": ("trustworthiness", 3),
}


def read_log2(cohort: str) -> tuple[np.ndarray, pd.DataFrame]:
    if cohort == "embedded":
        found, _ = embedded.read(embedded.Options(n_samples=990, n_genes=10_404, seed=33), Path())
        return to_log2(found.expression, found.unit), found.genes
    table = pd.read_csv(REAL, sep="\t", index_col=0)
    return to_log2(table.to_numpy(np.float32).T, "RSEM"), pd.DataFrame(index=table.index)


def divide(log2: np.ndarray, n_genes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scaled training and held-out rows, and the positions of the genes."""
    order = np.random.default_rng(1).permutation(len(log2))
    training, held_out = np.split(log2[order], [int(0.8 * len(log2))])
    chosen = choose_genes(training, n_genes)
    scale = Scale.fit(training[:, chosen])
    return scale.apply(training[:, chosen]), scale.apply(held_out[:, chosen]), chosen


def write_arrays(folder: Path, training: np.ndarray, held_out: np.ndarray, genes: pd.DataFrame) -> None:
    rows = np.concatenate([training, held_out])
    drawn = np.random.default_rng(2).integers(0, len(rows), N_PAINTED)
    np.save(folder / "training.npy", training)
    np.save(folder / "samples.npy", rows[drawn])
    genes.rename_axis("gene").to_csv(folder / "genes.tsv", sep="\t")


def install_peers(environment: Path) -> Path:
    """Return the Python of the peers' environment, made if it is not there whole."""
    python = environment / "bin" / "python"
    if (environment / "done").exists():
        return python
    print(f"Installing the peers into {environment} (minutes)", file=sys.stderr)
    venv.create(environment, with_pip=True, clear=True)
    for packages in PEERS:
        command = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages]
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(
                f"pip must install {' '.join(packages)}, but failed (see above). Name an index that has them "
                "(PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS), or leave the peers out with --no-peers."
            )
    (environment / "done").touch()
    return python


def measure(
    python: Path | str, script: str, folder: Path, method: str, limit: float, *more: str
) -> dict[str, Any]:
    """Run one method in a process of its own; without numbers where it failed or was stopped."""
    begun = time.perf_counter()
    command = [python, HERE / script, folder, method, *more]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"told": f"not finished in {limit:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"told": f"failed after {time.perf_counter() - begun:.0f} s: {last}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def report(
    name: str, measured: dict[str, Any], pixel: np.ndarray, training: np.ndarray, held_out: np.ndarray
) -> dict[str, Any]:
    """Print the row of one method, and return all that is in it."""
    score = score_layout(training, pixel, square_shape(training.shape[1]), held_out=held_out)
    found = {**measured, **score}
    write_row([name, *(f"{found[key]:.{n}f}" if key in found else "" for key, (_, n) in HEADINGS.items())])
    return found


def compare(
    folder: Path, methods: list[str], peers: Path | None, limit: float, rivals: list[str]
) -> dict[str, dict[str, Any]]:
    """Print the table of all methods on the arrays of a folder; return its numbers by method."""
    training, held_out = np.load(folder / "training.npy"), np.load(folder / "held_out.npy")
    todo = [(sys.executable, "ours.py", method) for method in methods]
    todo += [(peers, "peers.py", method) for method in rivals if peers]
    write_row(["method", *(heading for heading, _ in HEADINGS.values())])
    write_row(["---"] * (1 + len(HEADINGS)))
    found = {}
    for python, script, method in todo:
        measured = measure(python, script, folder, method, limit)
        if "told" in measured:
            write_row([method, measured["told"], *[""] * (len(HEADINGS) - 1)])
            continue
        for name, numbers in ((method, measured), (f"{method}, binned", {})):
            if (folder / f"{name}.npy").exists():
                found[name] = report(name, numbers, np.load(folder / f"{name}.npy"), training, held_out)
    return found


def print_ratios(found: dict[str, dict[str, Any]]) -> None:
    """Print ours beside theirs, peer by peer: how many times faster, and the better score."""
    ours = [each for name, each in found.items() if name in list_layouts()]
    # All of ours paint by the same code: what differs between them is what else the machine does.
    paint, floor = (float(np.median([each[key] for each in ours])) for key in ("paint", "floor"))
    compiling = max(each["compile"] for each in ours)
    print(f"\nPainting: ours takes {paint:.3f} s (median of the methods), the compiled floor {floor:.3f} s.")
    print(f"That is {paint / floor:.1f} times the floor; compiling, once, takes {compiling:.1f} s more.")
    for name, each in found.items():
        if name not in list_layouts() and "paint" in each:
            print(f"- {name}: {each['paint'] / paint:,.0f} times as long as ours")
    for name, peer in BESIDE.items():
        if name in found and peer in found:
            mine, theirs = found[name], found[peer]
            print(
                f"- {name} against {peer}: fitted {theirs['fit'] / mine['fit']:.1f} times as fast "
                f"({theirs['fit_cpu'] / mine['fit_cpu']:.1f} by processor seconds), "
                f"{mine['peak']:.1f} GB against {theirs['peak']:.1f}, trustworthiness "
                f"{mine['trustworthiness']:.3f} against {theirs['trustworthiness']:.3f}"
            )


def print_growth(folder: Path, method: str) -> None:
    print("\nFrom a memory-mapped file to a file, compiling included:")
    for n_samples in (N_PAINTED, 10 * N_PAINTED):
        told = measure(sys.executable, "ours.py", folder, method, 600, str(n_samples))
        said = told.get("told") or f"{told['paint']:.1f} s, {told['peak'] * 1000:.0f} MB of its own"
        print(f"- {n_samples:,} samples: {said}")


def count_rank_error(training: np.ndarray, pixel: np.ndarray, shape: tuple[int, int]) -> float:
    """Return IGTD's error as TINTOlib has it: squared differences of distance ranks over all pairs."""
    places = np.stack(np.unravel_index(pixel, shape), axis=1)
    rows, columns = np.tril_indices(len(pixel), k=-1)
    apart = np.around(1 - np.corrcoef(training.astype(np.float64).T), decimals=10)[rows, columns]
    away = np.sqrt(((places[rows] - places[columns]) ** 2).sum(axis=1))
    return float(np.square(rankdata(apart) - rankdata(away)).sum())


def compare_igtd(folder: Path, peers: Path | None, limit: float) -> None:
    methods = [name for name in ("igtd", "tsne") if name in list_layouts()]
    found = compare(folder, methods, peers, limit, ["TINTOlib IGTD"])
    training = np.load(folder / "training.npy")
    shape = square_shape(training.shape[1])
    print("\nIGTD's error: " + ", ".join(
        f"{name} {count_rank_error(training, np.load(folder / f'{name}.npy'), shape):.4e}"
        for name in found if "fit" in found[name]
    ))  # fmt: skip
    if {"igtd", "TINTOlib IGTD"} <= set(found):
        print(f"igtd is {found['TINTOlib IGTD']['fit'] / found['igtd']['fit']:.1f} times as fast.")


def run_cohort(cohort: str, arguments: argparse.Namespace, peers: Path | None) -> None:
    log2, table = read_log2(cohort)
    for n_genes in (arguments.genes, N_GENES_IGTD):
        training, held_out, chosen = divide(log2, n_genes)
        genes = table.iloc[chosen]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_arrays(folder, training, held_out, genes)
            np.save(folder / "held_out.npy", held_out)
            shape = square_shape(len(genes))
            print(f"\n{cohort}, {len(training)} training samples, {len(genes):,} genes, {shape}\n")
            if n_genes == arguments.genes:
                placed = {"chromosome", "start"} <= set(genes)
                methods = [each for each in arguments.methods if placed or each != "chromosome"]
                found = compare(folder, methods, peers, arguments.limit, list(BIG))
                mine = next(name for name in found if name in list_layouts())
                print_ratios(found)
                print_growth(folder, mine)
            elif cohort == "real":
                compare_igtd(folder, peers, arguments.limit)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", nargs="+", choices=("real", "embedded"), default=["real", "embedded"])
    parser.add_argument("--genes", type=int, default=10_404)
    parser.add_argument("--methods", nargs="+", choices=list_layouts(), default=list_layouts())
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--environment", type=Path, default=Path.home() / ".cache" / "expressionist" / "peers"
    )
    parser.add_argument("--limit", type=float, default=240, help="seconds per method")
    arguments = parser.parse_args()
    peers = None if arguments.no_peers else install_peers(arguments.environment)
    for cohort in arguments.cohorts:
        run_cohort(cohort, arguments, peers)


if __name__ == "__main__":
    main()
