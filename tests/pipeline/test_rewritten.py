"""The real cohorts through `tcga`, and rewritten through `table`: the same cohort, bit for bit."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow.feather as feather
import pytest

from expressionist.data.cohort import Cohort
from expressionist.data.sources import table, tcga
from expressionist.params.parsing import parse
from toy import shipped_options

REAL = Path(__file__).parents[2].parent / "shared" / "data"
UNITS = {"tcga-mirna-32": "RPM", "tcga-mrna-5": "RSEM"}
FORMATS = {
    "csv": lambda frame, path: frame.to_csv(path),
    "tsv.gz": lambda frame, path: frame.to_csv(
        path, sep="\t", compression={"method": "gzip", "compresslevel": 1}
    ),
    "parquet": lambda frame, path: frame.to_parquet(path),
    "feather": lambda frame, path: feather.write_feather(frame.reset_index(), path),
}


@pytest.fixture(scope="module", params=UNITS)
def real(request: pytest.FixtureRequest) -> Cohort:
    name = request.param
    if not (REAL / name).is_dir():
        pytest.skip(f"the real data are not at {REAL / name}")
    found = parse(tcga.Options, shipped_options("tcga", unit=UNITS[name]), "options")
    return tcga.read(found, REAL / name)[0]


def read_rewritten(real: Cohort, folder: Path, expression: str, genes_in: str, labels: str | None) -> Cohort:
    options = shipped_options(
        "table",
        expression=expression,
        genes_in=genes_in,
        labels=labels,
        patient_column="patient",
        unit=real.unit,
    )
    return table.read(parse(table.Options, options, "options"), folder)[0]


def check_same(found: Cohort, real: Cohort) -> None:
    assert found.expression.tobytes() == np.ascontiguousarray(real.expression).tobytes()
    pd.testing.assert_index_equal(found.samples.index, real.samples.index, check_names=False)
    # Rewritten with nothing but Entrez ids, genes have no symbols left.
    assert list(found.genes.index) == list(real.genes.index)
    for column in ("patient", "tumour_type"):
        assert list(found.samples[column]) == list(real.samples[column])
    assert found.unit == real.unit


@pytest.mark.parametrize("genes_in", ["columns", "rows"])
@pytest.mark.parametrize("form", FORMATS)
def test_rewritten_it_is_the_same_cohort(real, tmp_path, form, genes_in):
    frame = pd.DataFrame(real.expression, real.samples.index, real.genes.index).rename_axis(index="sample")
    FORMATS[form](
        frame if genes_in == "columns" else frame.T.rename_axis("gene"), tmp_path / f"expression.{form}"
    )
    labels = real.samples[["patient", "tumour_type"]].rename_axis("sample")
    labels.to_csv(tmp_path / "labels.tsv", sep="\t")
    check_same(read_rewritten(real, tmp_path, f"expression.{form}", genes_in, "labels.tsv"), real)


@pytest.mark.parametrize("genes_in", ["columns", "rows"])
def test_rewritten_as_h5ad_it_is_the_same_cohort(real, tmp_path, genes_in):
    data = anndata.AnnData(
        X=real.expression, obs=real.samples.copy(), var=pd.DataFrame(index=real.genes.index.astype(str))
    )
    (data if genes_in == "columns" else data.T).copy().write_h5ad(tmp_path / "expression.h5ad")
    check_same(read_rewritten(real, tmp_path, "expression.h5ad", genes_in, None), real)
