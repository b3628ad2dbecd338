"""Hostile names where names come in: refused in a sentence that can be shown, or kept as they are."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from expressionist.data import read_cohort, read_external_labels, read_gene_sets, write_cohort
from expressionist.data.cohort import Cohort
from expressionist.data.names import refuse_names
from expressionist.data.readers.raw_files import RawFile
from expressionist.data.sources.table import Options, read_files
from expressionist.errors import CohortError
from hostile_names import KEPT, PLAIN, REFUSED

OPTIONS = {"expression": "m.parquet", "genes_in": "columns", "labels": "l.parquet", "sample_column": "sample"}
OPTIONS |= {"label_column": "tumour_type", "patient_column": "patient", "positions": None, "unit": "TPM"}
ROLES = ("gene", "gene of any kind", "sample", "tumour_type", "patient", "symbol", "chromosome", "name")


def make_cohort(role: str, name: str) -> Cohort:
    """A cohort with a name in some place, from a file where a file holds it."""
    expression = np.random.default_rng(1).uniform(1, 500, (4, 3)).astype(np.float32)
    samples = pd.DataFrame(
        {"patient": list("pqrs"), "tumour_type": list("AABB")}, index=["s0", "s1", "s2", "s3"]
    )
    genes = pd.DataFrame({"symbol": ["G1", "G2", "G3"], "chromosome": "1"}, index=["g1", "g2", "g3"])
    if role in samples:
        samples.iloc[: 2 if role == "tumour_type" else 1, samples.columns.get_loc(role)] = name
    if role in genes:
        genes.loc["g1", role] = name
    samples.index = [name if role == "sample" else "s0", "s1", "s2", "s3"]
    genes.index = [name if role.startswith("gene") else "g1", "g2", "g3"]
    return Cohort(name if role == "name" else "toy", expression, samples, genes, "TPM")


def read_as_table(folder: Path, cohort: Cohort, ids: str) -> Cohort:
    matrix = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index)
    matrix.rename_axis("sample").to_parquet(folder / "m.parquet")
    cohort.samples.rename_axis("sample").reset_index().to_parquet(folder / "l.parquet")
    files = {"expression": folder / "m.parquet", "labels": folder / "l.parquet"}
    return read_files(Options(**OPTIONS, ids=ids, smallest_type=1), files)[0]


@pytest.mark.parametrize("role", ROLES)
def test_a_cohort_has_no_name_that_steers_who_shows_it(role: str) -> None:
    for name in REFUSED:
        with pytest.raises(CohortError) as refused:
            make_cohort(role, name)
        assert str(refused.value).isprintable()
    for name in (*KEPT, *PLAIN):
        make_cohort(role, name)


@pytest.mark.parametrize("role", ["gene", "gene of any kind", "sample", "tumour_type", "patient"])
def test_a_table_is_refused_by_its_path(tmp_path: Path, role: str, monkeypatch) -> None:
    ids = "auto" if role == "gene" else "other"
    with monkeypatch.context() as patch:
        patch.setattr("expressionist.data.cohort._check_names", lambda cohort: None)
        hostile = [make_cohort(role, name) for name in REFUSED if "\ud800" not in name]
    for cohort in hostile:
        with pytest.raises(CohortError, match=r"[ml]\.parquet"):
            read_as_table(tmp_path, cohort, ids)


@pytest.mark.parametrize("names", [KEPT, PLAIN], ids=["hostile", "plain"])
def test_other_names_are_kept_to_the_letter_in_the_table_and_on_disk(tmp_path: Path, names) -> None:
    samples = pd.DataFrame({"patient": names, "tumour_type": names}, index=pd.Index(names, dtype=object))
    genes = pd.DataFrame({"symbol": names}, index=pd.Index(names, dtype=object))
    expression = np.random.default_rng(1).uniform(1, 500, (len(names),) * 2).astype(np.float32)
    cohort = Cohort("<b> [red] $x$", expression, samples, genes, "TPM")
    found = read_as_table(tmp_path, cohort, "other")
    write_cohort(tmp_path / "c.h5ad", found)
    for again in (found, read_cohort(tmp_path / "c.h5ad")):
        assert (
            list(again.genes.index) == list(again.genes["symbol"]) == list(again.samples.index) == list(names)
        )
        assert list(again.samples["patient"]) == list(again.samples["tumour_type"]) == list(names)


def test_labels_of_another_cohort_and_gene_sets_are_held_to_it(tmp_path: Path) -> None:
    for number, name in enumerate(name for name in REFUSED if "\ud800" not in name):
        path = tmp_path / f"{number}.parquet"
        for column in ("tumour_type", "patient"):
            table = pd.DataFrame({"sample": ["s1", "s2"], "tumour_type": ["A", "B"], "patient": ["p", "q"]})
            table.assign(**{column: [f"a{name}" if name[0] in "\t\r\ufeff" else name, "B"]}).to_parquet(path)
            with pytest.raises(CohortError, match="Every label and patient in .* must be"):
                read_external_labels(path, ["s1", "s2"])
    for name in ("=1+1", "\x1b[31m", "a\u202eb"):
        (tmp_path / "sets.gmt").write_text(f"{name}\tabout\tTP53\n", encoding="utf-8")
        with pytest.raises(CohortError, match="Every gene set in sets.gmt must be"):
            read_gene_sets(tmp_path / "sets.gmt")


def test_what_hdf5_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    cohort = make_cohort("name", "toy")
    for column, cell in (("note", "a\0b"), ("no\0te", "a")):
        cohort.samples[column] = cell
        with pytest.raises(CohortError, match="got a NUL in it"):
            write_cohort(tmp_path / "c.h5ad", cohort)
        del cohort.samples[column]
    assert not list(tmp_path.iterdir())
    cohort.samples["note"] = "two\nlines \x1b[31m"
    write_cohort(tmp_path / "c.h5ad", cohort)
    assert anndata.read_h5ad(tmp_path / "c.h5ad").obs["note"].iloc[0] == "two\nlines \x1b[31m"


@pytest.mark.parametrize("name", PLAIN)
def test_names_of_the_field_are_names(name: str) -> None:
    refuse_names([name], "gene id", "x.tsv")


@pytest.mark.parametrize(
    "address", ["https://h/a%00b.csv", "https://h/%1b[31m.csv", "in/a\x1b.csv", "https://h/a%0ab"]
)
def test_a_file_has_a_name_that_can_be_shown(address: str) -> None:
    with pytest.raises(CohortError, match="name that can be shown") as refused:
        RawFile("expression", address)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("address", ["https://h/..%2f..%2fx.csv", "../../x.csv", "https://h/C:%5cx.csv"])
def test_a_file_is_stored_under_its_option_wherever_it_comes_from(address: str) -> None:
    assert RawFile("expression", address).name == "expression.csv"
    assert "/" not in RawFile("expression", address).called
