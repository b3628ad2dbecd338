"""Files of STAR counts: what is read of one, of many, and what is refused."""

import gzip

import numpy as np
import pytest

from expressionist.data.readers.star_counts import UNIT_OF, read_star_counts, read_star_rows, read_star_values
from expressionist.errors import CohortError
from gdc_files import GENES, HEADER, SUFFIX, make_counts

COUNTS = np.array([[1, 101, 201, 301, 401], [2, 102, 202, 302, 402]], np.float32)


def write(folder, *bodies, suffix=SUFFIX):
    paths = [folder / f"s{place}{suffix}" for place in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_bytes(gzip.compress(body) if suffix.endswith(".gz") else body)
    return paths


@pytest.mark.parametrize("suffix", [SUFFIX, f"{SUFFIX}.gz"])
@pytest.mark.parametrize(("column", "by"), zip(UNIT_OF, (1, 2, 4, 8), strict=True))
def test_samples_genes_and_values(tmp_path, suffix, column, by):
    paths = write(tmp_path, make_counts(0), make_counts(1), suffix=suffix)
    samples, genes, values = read_star_counts(paths, column)
    assert samples == ["s0", "s1"]
    assert list(genes.index) == [gene.split(".")[0] for gene, _, _ in GENES[:-1]]
    assert list(genes["symbol"]) == ["TSPAN6", "TNMD", "TP53", "XIST", "CD99"]
    assert genes.loc["ENSG00000141510", "id_with_version"] == "ENSG00000141510.18"
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, COUNTS / by, atol=1e-4)


def test_one_file_and_what_is_no_gene(tmp_path):
    (path,) = write(tmp_path, make_counts(0))
    assert read_star_counts([path], "unstranded")[2].shape == (1, 5)
    told = {example for rule in read_star_rows(path).rules for example in rule["examples"] if rule["n"]}
    assert told >= {"N_unmapped", "ENSG00000002586.20_PAR_Y"}


def test_values_of_chosen_genes_and_progress(tmp_path):
    paths = write(tmp_path, *(make_counts(place) for place in range(7)))
    told = []
    rows = read_star_rows(paths[0]).take(np.array([False, True, False, True, False]), {})
    values = read_star_values(paths, "unstranded", rows, lambda *n: told.append(n))
    np.testing.assert_array_equal(values, [[101 + place, 301 + place] for place in range(7)])
    assert told == [(n, 7) for n in range(1, 8)]
    # The samples of a gene lie side by side, which is how cohorts drop genes without a second array.
    assert values.flags.f_contiguous


OTHER = [*GENES[:2], ("ENSG00000141510.19", "TP53", "protein_coding"), *GENES[3:]]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (make_counts(1, OTHER), "but got ENSG00000141510.19 for ENSG00000141510.18 in row 7 of .*s1.rna_seq"),
        (make_counts(1, GENES[:3]), "but got the end for ENSG00000229807.13 in row 8 of .*s1.rna_seq"),
        (make_counts(1, [*GENES, ("ENSG1.1", "a", "b")]), "but got ENSG1.1 for the end in row 11 of .*s1"),
        (b"", "s1.* must have the columns"),
        (b"#", "s1.* must have the columns"),
        (f"{HEADER}\n".encode(), "but got the end for N_unmapped in row 1"),
        (
            make_counts(1).replace(b"\t202\t", b"\tmany\t"),
            "s1.* must be a file of STAR counts, but got: .*many",
        ),
        (
            make_counts(1).replace(b"\t202\t", b"\t\t"),
            "number in unstranded for ENSG00000141510, but got none",
        ),
        (make_counts(1)[:-9], "s1.* must be a file of STAR counts, but got"),
        (make_counts(1).replace(b"unstranded", b"reads"), "lacks unstranded"),
    ],
)
def test_refuses_and_names_the_file(tmp_path, body, sentence):
    paths = write(tmp_path, make_counts(0), body)
    with pytest.raises(CohortError, match=sentence) as refusal:
        read_star_counts(paths, "unstranded")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("genes", "sentence"),
    [
        ([("TP53", "TP53", "protein_coding")], "must be of the stated kind, ensembl, but got .*: TP53"),
        (
            [GENES[0], ("ENSG00000000003.14", "TSPAN6", "x")],
            "must stand in one version, but got ENSG",
        ),
        ([], "must have genes, but got only N_unmapped"),
    ],
)
def test_genes_must_be_ensembl_ids_that_stand_once(tmp_path, genes, sentence):
    (path,) = write(tmp_path, make_counts(0, genes))
    with pytest.raises(CohortError, match=sentence):
        read_star_rows(path)


def test_a_packed_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / f"s{SUFFIX}.gz"
    path.write_bytes(gzip.compress(make_counts(0))[:-20])
    with pytest.raises(CohortError, match="must be readable from start to end"):
        read_star_rows(path)
