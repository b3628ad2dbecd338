"""Values against their unit: what contradicts it is told, and real cohorts pass."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml

from expressionist.data.cohort import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT, UNITS, Cohort
from expressionist.data.readers.units import check_unit, guess_unit, measure_spread
from expressionist.data.sources import embedded, table, tcga
from expressionist.errors import CohortError
from expressionist.params.parsing import parse

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data"
TCGA = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["cohort"]["tcga"]
PATH = Path("expression.csv")


def check(expression: np.ndarray, unit: str) -> list[dict]:
    n_samples, n_genes = expression.shape
    samples, genes = [f"s{i}" for i in range(n_samples)], [f"g{i}" for i in range(n_genes)]
    return check_unit(expression.astype(np.float32), unit, samples, genes, PATH)


def draw_counts(n_samples: int = 12, n_genes: int = 400) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.poisson(2.0 ** rng.normal(6, 3, n_genes), (n_samples, n_genes)).astype(np.float32)


def test_every_unit_is_of_a_kind_that_is_checked():
    assert set(UNITS) == {*LINEAR_UNITS, LOG2_UNIT, AS_IS_UNIT}


def test_spread():
    spread = measure_spread(np.array([[0, 2], [4.5, 6]], "float32"))
    assert (spread.highest, spread.middle, spread.first_fraction) == (6.0, 4.5, (1, 0))


def test_values_pass_in_their_own_unit():
    counts = draw_counts()
    tpm = counts / counts.sum(axis=1, keepdims=True) * 1e6
    for expression, unit in (
        (counts, "counts"),
        (tpm, "TPM"),
        (np.log2(tpm + 1), "log2(x+1)"),
        (tpm - 7, "as is"),
    ):
        assert check(expression, unit)[0]["n"] == (expression.min(axis=0) == expression.max(axis=0)).sum()


@pytest.mark.parametrize("unit", ["TPM", "FPKM", "RSEM", "RPM", "counts"])
def test_logarithms_are_no_linear_unit(unit):
    with pytest.raises(CohortError, match=r"[Ss]tate unit: log2\(x\+1\)"):
        check(np.log2(draw_counts() + 1), unit)


def test_linear_values_are_no_logarithms():
    with pytest.raises(CohortError, match="must stay below 40, but got values up to"):
        check(draw_counts(), "log2(x+1)")
    with pytest.raises(CohortError, match=r"must have fractions, but got whole numbers only \(up to 30\)"):
        check(np.minimum(draw_counts(), 30), "log2(x+1)")


def test_few_genes_may_be_low_and_alike():
    logs = np.log2(draw_counts(n_genes=49) + 1)
    check(logs, "TPM")
    with pytest.raises(CohortError):
        check(np.hstack([logs, logs]), "TPM")


def test_one_fraction_contradicts_counts_and_is_named():
    counts = draw_counts(n_samples=200, n_genes=30)
    counts[150, 7] += 0.5
    with pytest.raises(
        CohortError, match=r"must be whole numbers, but got \S+\.5 for gene g7 in sample s150"
    ):
        check(counts, "counts")


def test_odd_sums_of_tpm_are_told_where_nearly_all_genes_are_there():
    counts = draw_counts(n_samples=4, n_genes=10_000)
    tpm = counts / counts.sum(axis=1, keepdims=True) * 1e6
    tpm[2] *= 0.4
    rules = check(tpm, "TPM")
    assert rules[1]["rule"] == "sample whose TPM do not sum to about 1,000,000 (kept)"
    assert rules[1]["n"] == 1
    assert len(check(tpm, "FPKM")) == 1


def test_units_are_guessed():
    counts = draw_counts()
    tpm = counts / counts.sum(axis=1, keepdims=True) * 1e6
    guesses = {
        "counts": (counts, "symbol"),
        "TPM": (tpm, "symbol"),
        "RPM": (tpm, "mirna"),
        "RSEM": (tpm * 3, "symbol"),
        "log2(x+1)": (np.log2(tpm + 1), "symbol"),
        "as is": (tpm - 1, "other"),
    }
    for unit, (expression, kind) in guesses.items():
        assert guess_unit(measure_spread(expression.astype(np.float32)), kind)[0] == unit


def need(folder: str) -> Path:
    if not (REAL / folder).is_dir():
        pytest.skip(f"{REAL / folder} is not here")
    return REAL / folder


def read_real(folder: str, unit: str) -> Cohort:
    options = parse(tcga.Options, TCGA | {"unit": unit}, "tcga")
    return tcga.read(options, need(folder))[0]


@pytest.mark.parametrize(("folder", "unit"), [("tcga-mrna-5", "RSEM"), ("tcga-mirna-32", "RPM")])
def test_real_cohorts_pass_in_their_unit_and_not_as_another(folder, unit):
    cohort = read_real(folder, unit)
    check(cohort.expression, unit)
    check(np.log2(cohort.expression + 1), "log2(x+1)")
    for values, wrong in (
        (cohort.expression, "log2(x+1)"),
        (cohort.expression, "counts"),
        (np.log2(cohort.expression + 1), unit),
    ):
        with pytest.raises(CohortError):
            check(values, wrong)


def test_the_simulated_cohort_passes():
    cohort = embedded.read(embedded.Options(n_samples=264, n_genes=1000), Path())[0]
    check(cohort.expression, cohort.unit)
    with pytest.raises(CohortError):
        check(np.log2(cohort.expression + 1), cohort.unit)


@pytest.mark.parametrize("form", ["csv", "transposed csv", "parquet", "h5ad"])
def test_a_real_cohort_rewritten_is_the_same_cohort(tmp_path, form):
    """With Entrez ids only, as `tcga` has made them."""
    cohort = read_real("tcga-mrna-5", "RSEM").take(samples=np.arange(0, 300, 6))
    matrix = cohort.samples[["tumour_type", "patient"]].rename_axis("sample")
    values = _to_frame(cohort)
    options = {"genes_in": "auto", "ids": "auto", "labels": None}
    if form == "csv":
        matrix.join(values).to_csv(tmp_path / "expression.csv")
    elif form == "parquet":
        matrix.join(values).to_parquet(tmp_path / "expression.parquet")
    elif form == "h5ad":
        anndata.AnnData(values.to_numpy(), obs=matrix, var=cohort.genes[[]]).write_h5ad(
            tmp_path / "expression.h5ad"
        )
    else:
        values.T.rename_axis("gene").to_csv(tmp_path / "expression.csv")
        matrix.to_csv(tmp_path / "labels.csv")
        options |= {"labels": "labels.csv"}
    again, quality = table.read(
        table.Options(
            expression="tcga",
            sample_column="sample",
            label_column="tumour_type",
            patient_column="patient",
            positions=None,
            unit="RSEM",
            smallest_type=1,
            **options,
        ),
        tmp_path,
    )
    assert again.expression.tobytes() == cohort.expression.tobytes()
    assert list(again.genes.index) == list(cohort.genes.index)
    assert again.samples[["patient", "tumour_type"]].equals(cohort.samples[["patient", "tumour_type"]])
    assert quality["read"]["ids"] == "entrez"


def _to_frame(cohort: Cohort) -> pd.DataFrame:
    return pd.DataFrame(cohort.expression, index=cohort.samples.index, columns=cohort.genes.index)
