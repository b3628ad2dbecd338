"""The simulated patients and their samples: tumour type, relative, purity, depth, batch."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressionist.data.resources import read_resource

LEAST_PATIENTS = 8
_SECOND_SAMPLE = 0.05
_N_BATCHES = 8
_OLD_BATCHES = 2


@dataclass(frozen=True)
class Samples:
    """Everything that a sample brings to its genes.

    Samples of a type stand together in `table`. `activity`, (n_samples, n_modules), says how active each
    co-expression module is; `immune` is the share of immune cells among those that are not tumour, and
    `depth` the library size relative to the typical one, both (n_samples,).
    """

    table: pd.DataFrame
    activity: np.ndarray
    immune: np.ndarray
    depth: np.ndarray


def draw_samples(n_samples: int, n_modules: int, rng: np.random.Generator) -> Samples:
    """Draw the patients, types in alphabetical order, and their samples: one in twenty has a second one."""
    patients = _draw_patients(n_samples, rng)
    owner = np.repeat(np.arange(len(patients)), patients["n_samples"])
    table = patients.drop(columns="n_samples").iloc[owner].reset_index(drop=True)
    table.index = pd.Index(
        table["patient"] + "-" + (table.groupby("patient").cumcount() + 1).astype(str).str.zfill(2),
        name="sample",
    )
    batch = rng.integers(_N_BATCHES, size=n_samples)
    table["platform"] = np.where(batch < _OLD_BATCHES, "sequencer-1", "sequencer-2")
    table["batch"] = [f"batch-{number + 1}" for number in batch]
    table["purity"] = np.clip(rng.beta(6, 2.5, n_samples), 0.15, 0.98)
    # Two samples of one patient agree in most of what varies between patients.
    of_patient = rng.normal(0, 0.9, (len(patients), n_modules))[owner]
    return Samples(
        table=table[["patient", "tumour_type", "platform", "batch", "purity", "resembles", "resemblance"]],
        activity=of_patient + rng.normal(0, 0.4, (n_samples, n_modules)),
        immune=rng.beta(2, 3, n_samples),
        depth=rng.lognormal(0, 0.22, n_samples),
    )


def share_out(n_samples: int, sizes: np.ndarray) -> np.ndarray:
    """Scale the types' true sizes to a cohort, by largest remainder, with `LEAST_PATIENTS` at the least."""
    small = np.zeros(len(sizes), bool)
    while True:
        quota = np.where(small, LEAST_PATIENTS, 0.0)
        large = sizes * ~small
        quota += large * (n_samples - LEAST_PATIENTS * small.sum()) / max(large.sum(), 1)
        too_small = ~small & (quota < LEAST_PATIENTS)
        if not too_small.any():
            break
        small |= too_small
    whole = np.floor(quota).astype(int)
    rest = n_samples - whole.sum()
    whole[np.argsort(whole - quota, kind="stable")[:rest]] += 1
    return whole


def _draw_patients(n_samples: int, rng: np.random.Generator) -> pd.DataFrame:
    types = read_resource("tumour_types.tsv")
    relatives = read_resource("relatives.tsv")
    parts = []
    for code, n in zip(types["code"], share_out(n_samples, types["n_samples"].to_numpy()), strict=True):
        n_second = min(rng.binomial(n - LEAST_PATIENTS, _SECOND_SAMPLE), n // 2)
        n_patients = n - n_second
        part = pd.DataFrame(
            {"patient": [f"SYN-{code}-{number + 1:04d}" for number in range(n_patients)], "tumour_type": code}
        )
        part["n_samples"] = 1 + (rng.permutation(n_patients) < n_second)
        parts.append(part.join(_draw_relatives(n_patients, relatives[relatives["type"] == code], rng)))
    return pd.concat(parts, ignore_index=True)


def _draw_relatives(n_patients: int, relatives: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    names = np.append(relatives["relative"].to_numpy(object), "")
    least, most = (np.append(relatives[column].to_numpy(float), 0.0) for column in ("least", "most"))
    share = relatives["share"].to_numpy(float)
    drawn = rng.choice(len(names), n_patients, p=np.append(share, 1 - share.sum()))
    return pd.DataFrame({"resembles": names[drawn], "resemblance": rng.uniform(least[drawn], most[drawn])})
