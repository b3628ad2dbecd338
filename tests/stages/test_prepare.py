"""The stage `prepare`: what it writes, and that it shows how far a source of many files is."""

from expressionist.data import read_cohort
from expressionist.files import read_json
from expressionist.params.sections import CohortParams
from expressionist.stages import prepare
from gdc_files import write_counts, write_sheet
from toy import shipped_options


def test_writes_cohort_quality_and_normals_and_tells_of_files(tmp_path, capsys):
    write_counts(tmp_path / "raw" / "counts")
    write_sheet(tmp_path / "raw" / "sample_sheet.tsv")
    cohort = CohortParams(source="gdc", folder="incoming", options=shipped_options("gdc", smallest_type=1))
    prepare.run(cohort, raw=tmp_path / "raw", out=tmp_path / "cohort")
    written = {path.name for path in (tmp_path / "cohort").iterdir()}
    assert written == {"cohort.h5ad", "quality.json", "normals.h5ad"}
    assert read_json(tmp_path / "cohort" / "quality.json")["samples"]["kept"] == 4
    bar, line = capsys.readouterr().out.strip().splitlines()
    assert bar.startswith("samples")
    assert "100%" in bar
    assert line == "gdc-tpm-3: 4 samples × 5 genes, 3 tumour types, TPM"


def test_types_are_merged_in_the_cohort_and_normal_tissue_keeps_its_own(tmp_path, capsys):
    write_counts(tmp_path / "raw" / "counts")
    write_sheet(tmp_path / "raw" / "sample_sheet.tsv")
    options = shipped_options("gdc", smallest_type=1)
    cohort = CohortParams("gdc", "incoming", options, merge_types={"solid": ("ACC", "UVM")})
    prepare.run(cohort, raw=tmp_path / "raw", out=tmp_path / "cohort")
    assert "gdc-tpm-2: 4 samples" in capsys.readouterr().out
    assert read_cohort(tmp_path / "cohort" / "cohort.h5ad").merged == {"solid": ["ACC", "UVM"]}
    assert read_cohort(tmp_path / "cohort" / "normals.h5ad").tumour_types == ["ACC"]
