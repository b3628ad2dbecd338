"""Units: what is understood, what becomes what and back, what is refused, and RSEM against TCGA's own."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from expressionist.data.units import (
    AS_IS_UNIT,
    LINEAR_UNITS,
    LOG2_UNIT,
    UNITS,
    convert,
    is_unit,
    parse_unit,
    undo_logarithm,
)
from expressionist.errors import CohortError

REAL = Path(__file__).parents[2].parent / "shared" / "data"
WRITTEN = ["log2({}+1)", "log2({}+0.001)", "log2({})", "ln({}+1)", "log10({}+1)"]
LOGARITHMS = [form.format(unit) for form in WRITTEN for unit in (*LINEAR_UNITS, "x")]
N_GENES = 10_000
rows = arrays(
    np.float32, (3, 8), elements=st.floats(np.float32(0.01), np.float32(1e6), width=32, allow_subnormal=False)
)


def draw(n_samples: int = 3, n_genes: int = N_GENES) -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.poisson(2.0 ** rng.normal(4, 3, n_genes), (n_samples, n_genes)).astype(np.float32)


@pytest.mark.parametrize("unit", [*UNITS, *LOGARITHMS])
def test_a_unit_prints_as_it_is_read(unit):
    assert str(parse_unit(unit)) == unit


@pytest.mark.parametrize(
    ("text", "unit", "kept_in"),
    [
        ("tpm", "TPM", "TPM"),
        (" Counts ", "counts", "counts"),
        ("CPM", "RPM", "RPM"),
        ("fpkm-uq", "FPKM-UQ", "FPKM-UQ"),
        ("As  Is", "as is", "as is"),
        ("Log2( tpm + 0.001 )", "log2(TPM+0.001)", "TPM"),
        ("LN(cpm+1)", "ln(RPM+1)", "RPM"),
        ("log10(X + 1)", "log10(x+1)", "log2(x+1)"),
        ("log2(x+0.001)", "log2(x+0.001)", "log2(x+1)"),
        ("log2(FPKM-UQ)", "log2(FPKM-UQ)", "FPKM-UQ"),
    ],
)
def test_units_are_read_whatever_their_case_and_spaces(text, unit, kept_in):
    assert is_unit(text)
    assert (str(parse_unit(text)), parse_unit(text).kept_in) == (unit, kept_in)


@pytest.mark.parametrize("text", ["", "x", "log2", "TMM", "log2(x+2)", "ln(x)", "log3(x+1)", "log2(foo+1)"])
def test_other_units_are_refused_with_the_known_ones(text):
    assert not is_unit(text)
    with pytest.raises(
        CohortError, match=r"unit must be one of counts, RSEM.*log10\(x\+1\).*but got"
    ) as told:
        parse_unit(text)
    assert repr(text) in str(told.value)


@pytest.mark.parametrize("unit", LOGARITHMS)
@given(linear=rows)
def test_logarithms_are_undone(unit, linear):
    of = parse_unit(unit).of
    if of == "counts":
        linear = np.maximum(np.rint(linear), 1)
    told = of if of != "x" else "TPM"
    logs = convert(linear, told, unit)
    assert logs.dtype == np.float32
    # Half a unit in the last place of a logarithm near 20 is a millionth of it.
    np.testing.assert_allclose(convert(logs, unit, told), linear, rtol=2e-5, atol=1e-5)
    flat = logs.ravel()[np.argsort(linear.ravel())]
    assert np.all(np.diff(flat) >= 0)


@pytest.mark.parametrize("unit", [*UNITS, *LOGARITHMS])
def test_a_unit_is_itself(unit):
    given = draw(n_genes=5)
    assert convert(given, unit, unit) is given


@pytest.mark.parametrize(("one", "other"), [("ln(x+1)", LOG2_UNIT), ("log2(TPM+0.001)", "log10(TPM+1)")])
def test_one_logarithm_becomes_another(one, other):
    linear = draw() * np.float32(0.3)
    np.testing.assert_allclose(
        convert(convert(linear, "TPM", one), one, other), convert(linear, "TPM", other), rtol=1e-4, atol=1e-4
    )


def test_what_was_added_leaves_nothing_below_0():
    logs = np.array([[np.log2(0.001), -9.9658, -9.97, -20, 0]], np.float32)
    linear = convert(logs, "log2(TPM+0.001)", "TPM")
    assert linear.min() == 0
    np.testing.assert_allclose(linear, [[0, 0, 0, 0, 0.999]], atol=1e-6)


def test_counts_come_out_whole():
    counts = draw()
    np.testing.assert_array_equal(
        convert(np.log2(counts + 1).round(4), "log2(counts+1)", "counts")[counts < 1000],
        counts[counts < 1000],
    )


@pytest.mark.parametrize(("unit", "to"), [("counts", "RPM"), ("FPKM", "TPM"), ("FPKM-UQ", "TPM")])
def test_shares_sum_to_a_million_in_the_same_proportions(unit, to):
    given = draw()
    shares = convert(given, unit, to)
    np.testing.assert_allclose(shares.sum(axis=1, dtype=float), 1e6, rtol=1e-5)
    ratios = shares[0, given[0] > 0] / given[0, given[0] > 0]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
    np.testing.assert_allclose(
        convert(np.log2(given + 1), f"log2({unit}+1)", f"ln({to}+1)"), np.log1p(shares), atol=1e-3
    )


@given(seed=st.integers(0, 99), scale=st.floats(0.1, 100))
def test_tpm_does_not_know_how_deep_a_sample_was_sequenced(seed, scale):
    lengths = np.random.default_rng(seed).uniform(200, 1e5, N_GENES)
    counts = draw()
    tpm = convert(counts, "counts", "TPM", lengths=lengths)
    np.testing.assert_allclose(tpm.sum(axis=1, dtype=float), 1e6, rtol=1e-5)
    np.testing.assert_allclose(
        convert(counts * np.float32(scale), "counts", "TPM", lengths=lengths), tpm, rtol=1e-4
    )
    fpkm = counts / lengths * 1e9 / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(convert(fpkm, "FPKM", "TPM"), tpm, rtol=1e-4)
    rpm = convert(counts, "counts", "RPM")
    np.testing.assert_allclose(convert(rpm, "RPM", "TPM", lengths=lengths), tpm, rtol=1e-4)


def test_rsem_has_its_upper_quartile_at_1000_and_few_reads_do_not_move_it():
    counts = draw()
    rsem = convert(counts, "counts", "RSEM")
    for sample in rsem:
        assert np.quantile(sample[sample > 0], 0.75) == pytest.approx(1000, rel=1e-5)
    np.testing.assert_allclose(convert(convert(counts, "counts", "CPM"), "CPM", "RSEM"), rsem, rtol=1e-4)
    high = draw(n_genes=17_000) + 1
    few = np.hstack([high, np.ones((3, 40_000), np.float32)])
    np.testing.assert_allclose(
        convert(few, "counts", "RSEM")[:, :17_000], convert(high, "counts", "RSEM"), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("unit", "to", "said"),
    [
        (
            "TPM",
            "counts",
            "Only counts, or their logarithms, can be given where counts are taken, but got TPM.",
        ),
        ("RSEM", "TPM", "must be TPM or FPKM or FPKM-UQ or counts or RPM, if the genes' lengths are given "),
        (
            "TPM",
            "RSEM",
            "What is to become RSEM must be RSEM or counts or RPM, linear or a logarithm, but got",
        ),
        ("counts", "TPM", "lengths are given (--gene-lengths), linear or a logarithm, but got counts."),
        ("log2(FPKM+1)", "log2(RPM+1)", "What is to become RPM must be RPM or counts,"),
        ("TPM", "FPKM", "What is to become FPKM must be FPKM, linear"),
        (AS_IS_UNIT, "TPM", "but got as is for TPM. Give values in TPM."),
        (LOG2_UNIT, AS_IS_UNIT, "but got log2(x+1) for as is. Give values in as is."),
        ("TPM", "TMM", "but got 'TMM'."),
    ],
)
def test_what_cannot_be_converted_is_refused_with_what_can(unit, to, said):
    with pytest.raises(CohortError, match=re.escape(said)):
        convert(draw(), unit, to)


@pytest.mark.parametrize(("unit", "to"), [("FPKM", "TPM"), ("counts", "RSEM"), ("log2(counts+1)", "RSEM")])
def test_too_few_genes_are_no_whole_sample(unit, to):
    with pytest.raises(CohortError, match="must come with all genes .* at least 10,000, but got 9,999"):
        convert(draw(n_genes=N_GENES - 1), unit, to)


def test_a_sample_without_expression_is_refused():
    counts = draw()
    counts[1] = 0
    for to in ("RPM", "RSEM"):
        with pytest.raises(CohortError, match=r"but 1 have none: row 2\."):
            convert(counts, "counts", to)


@pytest.mark.parametrize("lengths", [np.ones(3), np.zeros(N_GENES), np.full(N_GENES, np.nan)])
def test_lengths_must_fit(lengths):
    with pytest.raises(CohortError, match="must have a length above 0"):
        convert(draw(), "counts", "TPM", lengths=lengths)


def test_a_logarithm_of_0_is_refused():
    with pytest.raises(CohortError, match=r"log2\(x\) must be of values above 0"):
        convert(np.zeros((1, 2), np.float32), "TPM", "log2(x)")


def test_missing_values_stay_missing():
    logs = np.array([[np.nan, 1]], np.float32)
    np.testing.assert_allclose(undo_logarithm(logs, parse_unit(LOG2_UNIT)), [[np.nan, 1]])


@pytest.mark.parametrize("kind", ["ACC", "UVM"])
def test_counts_become_what_tcga_calls_rsem(kind):
    """The same aliquots by two pipelines: GRCh38 counts of Ensembl genes, and RSEM of GRCh37."""
    if not (REAL / "tcga-counts-hg38").is_dir():
        pytest.skip(f"{REAL / 'tcga-counts-hg38'} is not here")
    counts = pd.read_csv(REAL / f"tcga-counts-hg38/{kind}.counts.tsv.gz", sep="\t", index_col=0)
    counts = counts.iloc[:, ::4].rename(columns=lambda barcode: barcode[:15])
    path = REAL / "tcga-mrna-7/expression.tsv.gz"
    samples = [name for name in pd.read_csv(path, sep="\t", nrows=0) if name in set(counts)]
    rsem = pd.read_csv(path, sep="\t", usecols=["gene_id", *samples], index_col="gene_id")
    rsem.index = rsem.index.str.partition("|").get_level_values(2)
    ids = pd.read_csv(REAL / "hgnc.tsv.gz", sep="\t", dtype=str).dropna(
        subset=["entrez_id", "ensembl_gene_id"]
    )
    entrez = ids.drop_duplicates("ensembl_gene_id").set_index("ensembl_gene_id")["entrez_id"]
    names = pd.Series(counts.index.map(entrez), counts.index)
    shared = names[names.isin(rsem.index) & ~names.duplicated(keep=False)]
    theirs = np.log2(rsem.loc[shared, samples].to_numpy() + 1)
    expressed = theirs.mean(axis=1) > 5
    for genes in (counts.index, shared.index):
        given = counts.loc[genes, samples].to_numpy(np.float32).T
        made = pd.DataFrame(convert(given, "counts", "RSEM").T, genes, samples)
        ours = np.log2(made.loc[shared.index].to_numpy() + 1)
        by_rank = pd.DataFrame(ours).corrwith(pd.DataFrame(theirs), method="spearman")
        assert by_rank.median() > 0.95
        bias = np.median((ours - theirs)[expressed], axis=1)
        assert abs(np.median(bias)) < 0.15
        assert np.mean(np.abs(bias) < 0.5) > 0.8
