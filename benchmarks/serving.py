"""What a served model takes beside its bare network, at 1, 32 and 1,000 samples, and how much memory.

Run ``python benchmarks/serving.py`` in a checkout: it makes a mobilenet with random weights of 10,404 genes
and 33 types, for which nothing is needed. ``python benchmarks/serving.py MODEL`` takes a version of the
checkout's registry, such as models:/tumour-type@challenger. Samples are drawn around the training means, to
four digits.

- `network`: its graph, on an array of its genes, in batches of 32.
- `predict`: what is done with a table: genes found, the network, novelty, a table of answers.
- `JSON`, `CSV`: a request with that table, from its bytes to those of the answer, without the connection.
- memory: the greatest of the process so far: after loading, after 32 requests of 32 samples at the same time
  (each answer is compared with that to its table alone), and after one of 1,000.

Prints Markdown: least of 9 rounds (1 for 1,000 samples), by the clock and, in brackets, by processor seconds.
"""

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import mlflow
import numpy as np
import orjson
import pandas as pd
from mlflow.pyfunc import scoring_server

from expressionist.data import Scale
from expressionist.evaluation import Novelty
from expressionist.network import (
    assemble,
    attach_head,
    build_backbone,
    choose_strides,
    divide,
    find_backbone,
    fit_ranks,
    image_front,
    trace_prediction,
)
from expressionist.painting import Layout
from expressionist.tracking import NOVELTY_FILE, Served, find_store, predict, seal, write_served
from expressionist.tracking import served_model as model_file
from expressionist.tracking.scoring_server import Guard
from expressionist.tracking.split_table import hasten

SIDE, N_TYPES, BATCH, MEGABYTES = 102, 33, 32, 200
TITLE = "| samples | network, s | predict | JSON | CSV |\n|---|---|---|---|---|"


def make_model(folder: Path) -> str:
    """Save a model of random weights as the stage register does, and return where."""
    rng, n_genes = np.random.default_rng(0), SIDE**2
    types = np.arange(20 * N_TYPES) % N_TYPES
    log2 = rng.gamma(3, 2, n_genes) + rng.normal(size=(N_TYPES, n_genes))[types]
    log2 = np.maximum(log2 + rng.normal(size=log2.shape), 0).astype(np.float32)
    ids = pd.Index([f"ENSG{number:011d}" for number in range(n_genes)], name="gene")
    layout = Layout(ids.to_numpy(str), rng.permutation(n_genes), (SIDE, SIDE), "random")
    scale = Scale.fit(log2)
    front = image_front((SIDE, SIDE), 1, find_backbone("mobilenet").mode)
    backbone, ranks = build_backbone("mobilenet", (SIDE, SIDE), None, seed=0), fit_ranks(layout, scale)
    division, shape = divide(backbone, 2, choose_strides(backbone, 1)), (SIDE, SIDE, 1)
    head = attach_head(division, N_TYPES, dropout=0.5, seed=0, genes=shape, ranks=shape, n_hidden=512)
    network = assemble(layout, scale, "RSEM", front, division.prefix, head, ranks)
    inner = folder / "model"
    inner.mkdir()
    network.save(inner / "model.keras")
    novelty = Novelty.fit(log2, types, None, rng=rng)
    novelty = novelty.calibrate(novelty.measure(log2[::7]), false_alarms=0.01)
    np.savez(inner / NOVELTY_FILE, **novelty.to_arrays())
    genes = pd.DataFrame({"symbol": ids, "fill": np.exp2(log2.mean(axis=0)) - 1}, ids)
    names = tuple(f"T{number}" for number in range(N_TYPES))
    facts = {"synthetic": True, "weights": "RANDOM", "cohort": "none", "about": {}}
    write_served(inner, Served(genes, names, "RSEM", 0.05, **facts))
    seal(inner)
    mlflow.pyfunc.save_model(
        folder / "saved",
        python_model=model_file.__file__,
        artifacts={"model": str(inner)},
        model_config={"output": "table"},
        pip_requirements=[],
    )
    return str(folder / "saved")


async def ask(app: Guard, body: bytes, kind: str) -> bytes:
    """Send a request as uvicorn does, and return the answer."""
    scope = {"type": "http", "method": "POST", "path": "/invocations", "query_string": b"", "root_path": ""}
    scope |= {"headers": [(b"content-type", kind.encode())], "http_version": "1.1", "scheme": "http"}
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise SystemExit(str(sent))
    return bytes(sent[1]["body"])


async def ask_all(app: Guard, bodies: list[bytes]) -> list[bytes]:
    return await asyncio.gather(*(ask(app, body, "application/json") for body in bodies))


def clock(run: Callable[[], object], n_rounds: int) -> np.ndarray:
    took = []
    for _ in range(n_rounds):
        begun = time.perf_counter(), time.process_time()
        run()
        took.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    return np.min(took, axis=0)


def write_json(table: pd.DataFrame) -> bytes:
    rows = [[name, *row] for name, row in zip(table.index, table.to_numpy().tolist(), strict=True)]
    return orjson.dumps({"dataframe_split": {"columns": ["sample", *table.columns], "data": rows}})


def peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as folder:
        if model:
            mlflow.set_tracking_uri(find_store(Path(), None).uri)
        wrapped = mlflow.pyfunc.load_model(model or make_model(Path(folder)))
    loaded = served, network, _ = wrapped.unwrap_python_model().model
    app = Guard(hasten(scoring_server.init(wrapped), wrapped), MEGABYTES)
    bare, rng = trace_prediction(network), np.random.default_rng(0)

    def draw(n: int) -> pd.DataFrame:
        drawn = served.genes["fill"].to_numpy() * rng.gamma(4, 0.25, (n, len(served.genes)))
        digits = 10.0 ** (3 - np.floor(np.log10(np.maximum(drawn, 1e-9))))
        names = [f"S{number}" for number in range(n)]
        return pd.DataFrame(np.round(drawn * digits) / digits, names, served.genes.index)

    print(TITLE)
    for n in (1, BATCH):
        print(row(n, *measure(app, loaded, bare, draw(n), 9)), flush=True)
    print(f"\n| greatest memory so far | |\n|---|---|\n| loaded | {peak()} |")
    bodies = [write_json(draw(BATCH)) for _ in range(32)]
    print(f"| 32 × 32 to come | {peak()} |", flush=True)
    alone = [asyncio.run(ask(app, body, "application/json")) for body in bodies]
    same = [
        np.allclose(*([each["probability"] for each in json.loads(said)["predictions"]] for said in pair))
        for pair in zip(asyncio.run(ask_all(app, bodies)), alone, strict=True)
    ]
    print(f"| 32 × 32, {sum(same)} of 32 answers right | {peak()} |", flush=True)
    table = draw(1000)
    body = write_json(table)
    print(f"| 1,000 to come, {len(body) / 1e6:.0f} MB | {peak()} |", flush=True)
    asyncio.run(ask(app, body, "application/json"))
    print(f"| 1,000 | {peak()} |\n\n{TITLE}", flush=True)
    print(row(1000, *measure(app, loaded, bare, table, 1)))


def measure(
    app: Guard, loaded: tuple, bare: Callable, table: pd.DataFrame, n_rounds: int
) -> list[np.ndarray]:
    """Clock the network alone, predictions, and requests."""
    array, as_json = table.to_numpy(np.float32), write_json(table)
    as_csv = table.rename_axis("sample").to_csv().encode()
    return [
        clock(lambda: [bare(array[at : at + BATCH]).numpy() for at in range(0, len(array), BATCH)], n_rounds),
        clock(lambda: predict(*loaded, table), n_rounds),
        clock(lambda: asyncio.run(ask(app, as_json, "application/json")), n_rounds),
        clock(lambda: asyncio.run(ask(app, as_csv, "text/csv")), n_rounds),
    ]


def row(n: int, base: np.ndarray, *others: np.ndarray) -> str:
    ratios = [each / base for each in others]
    shown = " | ".join(f"{clocked:.2f} × ({spent:.2f} ×)" for clocked, spent in ratios)
    return f"| {n:,} | {base[0]:.4f} ({base[1]:.4f}) | {shown} |"


if __name__ == "__main__":
    main()
