"""Damaged files: whatever bytes change, a reader gives a cohort or a refusal of one line."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.readers.bad_files import FRAME, GOOD, LABELS, h5ad, parquet, tenx, to_feather, xlsx, zstd
from expressionist.data.cohort import Cohort
from expressionist.data.readers import damage
from expressionist.data.sources import table
from expressionist.errors import Refusal
from rounds import count_rounds

# Rounds for each format; the same ones on every run. HDF5 is tried in a child process first, which takes
# longer.
N_ROUNDS = count_rounds(60, 300)
N_HDF5_ROUNDS = count_rounds(20, 100)
FIXED = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
VALID = {
    "expression.csv": GOOD.encode(),
    "expression.tsv": GOOD.replace(",", "\t").encode(),
    "expression.csv.gz": gzip.compress(GOOD.encode(), mtime=0),
    "expression.csv.zst": zstd(GOOD.encode()),
    "expression.parquet": parquet(FRAME),
    "expression.feather": to_feather(FRAME),
    "expression.xlsx": xlsx(FRAME),
    "expression.h5ad": h5ad(),
    "expression.h5": tenx(),
}
MUTATION = st.tuples(
    st.sampled_from(["set", "insert", "delete", "repeat", "cut", "zero"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(
        st.binary(min_size=1, max_size=4), st.sampled_from([b"\0", b'"', b",", b"\n", b"\r", b"-", b"\xff"])
    ),
)
MUTATIONS = st.lists(MUTATION, min_size=1, max_size=3)


def mutate(content: bytes, mutations: list) -> bytes:
    for kind, where, data in mutations:
        at = int(where * len(content))
        behind = at + len(data)
        changed = {
            "set": data + content[behind:],
            "insert": data + content[at:],
            "delete": content[behind:],
            "repeat": content[max(0, at - 20) :],
            "cut": b"",
            "zero": b"\0" * 16 + content[at + 16 :],
        }
        content = content[:at] + changed[kind]
    return content


def read(name: str, content: bytes) -> Cohort | Refusal:
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        (raw / name).write_bytes(content)
        (raw / "labels.csv").write_text(LABELS, encoding="utf-8")
        options = table.Options(
            expression=name,
            genes_in="columns",
            ids="auto",
            labels="labels.csv" if name.endswith(".h5") else None,
            sample_column="sample",
            label_column="tumour_type",
            patient_column=None,
            positions=None,
            unit="TPM",
            smallest_type=1,
        )
        try:
            return table.read(options, raw)[0]
        except Refusal as refusal:
            return refusal


@pytest.fixture(autouse=True, scope="module")
def _little_patience():
    """HDF5 can be made to run for ever; a small file needs no minute to show that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(damage, "_PATIENCE", 1.0)
        yield


@pytest.mark.parametrize("name", VALID)
def test_what_is_mutated_is_valid(name):
    cohort = read(name, VALID[name])
    assert isinstance(cohort, Cohort)
    assert cohort.expression.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def need_cohort_or_refusal(name: str, mutations: list) -> None:
    found = read(name, mutate(VALID[name], mutations))
    assert isinstance(found, Cohort | Refusal)
    if isinstance(found, Refusal):
        assert "\n" not in str(found)
        assert len(str(found)) < 500


@pytest.mark.parametrize("name", [name for name in VALID if ".h5" not in name])
@settings(FIXED, max_examples=N_ROUNDS)
@given(mutations=MUTATIONS)
def test_damage_is_refused_or_harmless(name, mutations):
    need_cohort_or_refusal(name, mutations)


@pytest.mark.parametrize("name", [name for name in VALID if ".h5" in name])
@settings(FIXED, max_examples=N_HDF5_ROUNDS)
@given(mutations=MUTATIONS)
def test_damage_to_hdf5_is_refused_or_harmless(name, mutations):
    need_cohort_or_refusal(name, mutations)


@pytest.mark.parametrize(
    ("cell", "number"), [("1e-3", True), ("", True), ("NA", True), ("5,1", False), ("1_000", False)]
)
def test_cells_that_are_numbers(cell, number):
    assert damage.is_number(cell) is number
