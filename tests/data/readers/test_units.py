"""Values against their unit: what contradicts it is told, and real cohorts pass."""

from contextlib import nullcontext
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml

from expressionist.data.cohort import Cohort
from expressionist.data.readers.units import (
    check_unit,
    guess_unit,
    measure_spread,
    refuse_negative,
    refuse_other_unit,
    settle_unit,
)
from expressionist.data.sources import embedded, table, tcga
from expressionist.data.units import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT, UNITS, convert, parse_unit
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


def draw_tpm(n_genes: int = 400) -> np.ndarray:
    """With many genes that are 0, as transcriptomes have them."""
    counts = draw_counts(n_genes=n_genes) * (np.arange(n_genes) % 3 > 0)
    return counts / counts.sum(axis=1, keepdims=True) * np.float32(1e6)


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
        (np.log2(draw_tpm() + 0.001), "log2(TPM+0.001)"),
        (np.log2(tpm + 0.5), "log2(x)"),
        (np.log1p(tpm), "ln(TPM+1)"),
        (np.log10(counts + 1), "log10(counts+1)"),
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


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        (draw_counts(), "ln(x+1)", "must stay below 27.7"),
        (draw_counts(), "log10(x+1)", "must stay below 12,"),
        (
            np.log2(draw_tpm() + 1),
            "log2(TPM+0.001)",
            "no value below 0, and 0 for 3.*like log2.TPM.1.. State",
        ),
        (np.log2(draw_tpm() + 1), "log2(x)", r"like log2\(x\+1\)\. State that unit"),
        (np.log2(draw_tpm() + 0.001), "log2(TPM)", r"which is log2\(0.001\). State unit: log2\(TPM\+0.001\)"),
        (np.log2(draw_tpm() + 1e-5), "log2(x+0.001)", "must be at least -9.96578, but got -16.6096"),
        (
            np.log2(draw_tpm() + 1),
            "log2(counts+1)",
            "must be of whole numbers, but got .* below the logarithm",
        ),
        (np.log2(draw_counts() + 1), "ln(counts+1)", "must be of whole numbers"),
        (np.log2(draw_tpm(10_000) + 1), "ln(TPM+1)", "TPM that sum to about 1,000,000, but got"),
        (np.log1p(draw_tpm(10_000)), "log2(TPM+1)", "TPM that sum to about 1,000,000, but got"),
        (
            np.log2(draw_tpm() + 0.001),
            "log2(x+1)",
            r"3\d% of the values below 0, down to -9.96578, like log2\(x",
        ),
    ],
)
def test_logarithms_of_something_else_are_refused(values, unit, said):
    with pytest.raises(CohortError, match=said):
        check(values, unit)
    with pytest.raises(CohortError, match=f"^The table: .*{said}"):
        refuse_other_unit(values.astype(np.float32), unit, ["s"] * 12, ["g"] * values.shape[1], "The table")


@pytest.mark.parametrize("unit", ["TPM", "log2(x+1)", "ln(RPM+1)"])
def test_scaled_genes_are_told(unit):
    logs = np.log2(draw_tpm() + 1)[:, 1::3]
    scaled = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    with pytest.raises(
        CohortError, match=r"like scaled genes .* in an .h5ad name a layer or raw/X as `matrix`"
    ):
        check(scaled, unit)
    check(scaled, "as is")
    with pytest.raises(CohortError, match=r"below 0, down to \S+\. State the unit that they are in"):
        check(logs - 8, unit)


@pytest.mark.parametrize(
    ("share", "lowest", "refused"), [(0.2, -0.96, 0), (0.2, -2, 1), (0.04, -2, 0), (0.3, -0.5, 1)]
)
def test_batch_correction_leaves_few_values_below_0_and_none_far(share, lowest, refused):
    """The Atlas's COAD and READ have 17% in one sample, none of them below -0.97."""
    values = draw_tpm().astype(np.float32)
    values[np.random.default_rng(5).random(values.shape) < share] = lowest
    with pytest.raises(CohortError, match="must be 0 or more") if refused else nullcontext():
        refuse_negative(values, parse_unit("RSEM"), PATH)


def test_to_predict_samples_may_be_alike_and_one_alone():
    counts = draw_counts()
    refuse_other_unit(counts[:1], "counts", ["s"], ["g"] * 400, "The table")
    refuse_other_unit(counts[[0, 0]], "counts", ["s", "t"], ["g"] * 400, "The table")


@pytest.mark.parametrize(
    ("unit", "kept_in"), [("TPM", "TPM"), ("ln(x+1)", LOG2_UNIT), ("log2(TPM+0.001)", "TPM")]
)
def test_values_are_settled_in_a_unit_of_cohorts(unit, kept_in):
    tpm = draw_tpm().astype(np.float32)
    names = [f"s{i}" for i in range(12)], [f"g{i}" for i in range(400)]
    given = convert(tpm, "TPM", unit)
    values, kept, rules = settle_unit(given, unit, *names, PATH)
    assert kept == kept_in
    assert (values is given, len(rules)) == ((True, 1) if unit == "TPM" else (False, 2))
    np.testing.assert_allclose(values, convert(tpm, "TPM", kept_in), rtol=1e-4, atol=1e-4)


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
        "log2(x+0.001)": (np.log2(draw_tpm() + 0.001), "symbol"),
        "as is": (tpm - 1, "other"),
    }
    for unit, (expression, kind) in guesses.items():
        assert guess_unit(measure_spread(expression.astype(np.float32)), kind)[0] == unit
    logs = measure_spread(np.log1p(tpm))
    assert guess_unit(logs, "symbol", "ln")[0] == "ln(x+1)"
    assert guess_unit(measure_spread(counts), "symbol", "ln")[0] == "counts"


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
