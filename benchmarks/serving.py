"""What a served model takes beside its bare network: seconds at 1, 32 and 1,000 samples, and their ratio.

Run ``python benchmarks/serving.py MODEL`` in a checkout that has a registry, MODEL being a version such as
models:/tumour-type@challenger. Samples are drawn around the training means.

- `network`: its graph, on an array of its genes, in batches of 32.
- `predict`: what is done with a table: genes found, the network, novelty, a table of answers.
- `server`: what MLflow's scoring server does with the same table as JSON, without the connection.

Prints Markdown: medians of 7, after one round.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server import invocations

from expressionist.network import trace_prediction
from expressionist.tracking import find_store, find_version, load_model, predict

N_ROUNDS, BATCH = 7, 32


def clock(run: Callable[[], object]) -> float:
    run()
    took = []
    for _ in range(N_ROUNDS):
        begun = time.perf_counter()
        run()
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    model = parser.parse_args().model
    store = find_store(Path(), None)
    loaded = served, network, _ = load_model(find_version(store, model).folder)
    mlflow.set_tracking_uri(store.uri)
    wrapped = mlflow.pyfunc.load_model(model)
    bare, rng = trace_prediction(network), np.random.default_rng(0)
    print("| samples | network, s | predict | server |\n|---|---|---|---|")
    for n in (1, 32, 1000):
        drawn = served.genes["fill"].to_numpy() * rng.gamma(4, 0.25, (n, len(served.genes)))
        table = pd.DataFrame(drawn.astype(np.float32), columns=served.genes.index)
        array, sent = (
            table.to_numpy(),
            json.dumps({"dataframe_split": json.loads(table.to_json(orient="split"))}),
        )
        base = clock(lambda a=array: [bare(a[at : at + BATCH]).numpy() for at in range(0, len(a), BATCH)])
        whole = clock(lambda t=table: predict(*loaded, t))
        server = clock(lambda s=sent: invocations(s, "application/json", wrapped, None))
        print(f"| {n:,} | {base:.4f} | {whole / base:.2f} × | {server / base:.2f} × |")


if __name__ == "__main__":
    main()
