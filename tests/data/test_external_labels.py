from pathlib import Path

import pytest

from expressionist.data.external_labels import read_external_labels, read_renaming
from expressionist.errors import CohortError

SAMPLES = ["S1", "S2", "S3", "S4"]


def write(folder: Path, text: str, name: str = "labels.tsv") -> Path:
    path = folder / name
    path.write_text(text.replace(",", "\t") if name.endswith("tsv") else text, encoding="utf-8")
    return path


def test_columns_are_guessed_and_what_is_missing_is_counted(tmp_path: Path) -> None:
    text = "number,id,cancer_type,donor,sex\n1,S1,ACC,P1,f\n2,S2,UVM,P1,m\n3,S3,,P3,f\n4,S9,ACC,P9,f\n"
    found = read_external_labels(write(tmp_path, text), SAMPLES)
    assert found.columns == {"sample": "id", "label": "cancer_type", "patient": "donor"}
    assert found.table["label"].to_dict() == {"S1": "ACC", "S2": "UVM"}
    assert found.table["patient"].tolist() == ["P1", "P1"]
    assert (found.n_unlabelled, found.n_without_expression) == (2, 1)


def test_columns_are_taken_as_stated(tmp_path: Path) -> None:
    path = write(tmp_path, "a;b;c;d\nS1;x;ACC;q\nS2;y;UVM;q\n", "labels.csv")
    found = read_external_labels(path, SAMPLES, sample_column="a", label_column="c", patient_column="d")
    assert found.table["label"].tolist() == ["ACC", "UVM"]
    assert found.table["patient"].tolist() == ["q", "q"]


def test_barcodes_of_other_lengths_are_the_same_sample(tmp_path: Path) -> None:
    path = write(tmp_path, "barcode,cancer_type\nTCGA-OR-A5J1-01,ACC\nTCGA-OR-A5J1-11,normal\n")
    samples = ["TCGA-OR-A5J1-01A-11R-A29S-07", "TCGA-OR-A5J1-11A-11R-A29S-07", "TCGA-OR-A5J2-01A"]
    assert read_external_labels(path, samples).table["label"].to_dict() == {
        samples[0]: "ACC",
        samples[1]: "normal",
    }


def test_labels_are_renamed(tmp_path: Path) -> None:
    path = write(tmp_path, "sample,label\nS1,adrenal\nS2,UVM\n")
    found = read_external_labels(path, SAMPLES, renamed={"adrenal": "ACC"})
    assert found.table["label"].tolist() == ["ACC", "UVM"]


def test_labels_of_merged_types_are_those_of_the_model_renamed_ones_too(tmp_path: Path) -> None:
    path = write(tmp_path, "sample,label\nS1,COAD\nS2,rectum\nS3,ACC\nS4,CRC\n")
    found = read_external_labels(path, SAMPLES, renamed={"rectum": "READ"}, merged={"CRC": ["COAD", "READ"]})
    assert found.table["label"].tolist() == ["CRC", "CRC", "ACC", "CRC"]


def test_a_renaming_may_be_a_single_row(tmp_path: Path) -> None:
    assert read_renaming(write(tmp_path, "adrenal,ACC\n", "map.csv"), ["ACC"]) == {"adrenal": "ACC"}


@pytest.mark.parametrize("heading", ["theirs,ours\n", ""])
def test_a_renaming_may_have_a_heading(tmp_path: Path, heading: str) -> None:
    path = write(tmp_path, f"{heading}adrenal,ACC\neye,UVM\n", "map.csv")
    assert read_renaming(path, ["ACC", "UVM"]) == {"adrenal": "ACC", "eye": "UVM"}


@pytest.mark.parametrize(
    ("text", "told", "options"),
    [
        ("sample,label\nS1,ACC\n", "must have the column 'type'", {"label_column": "type"}),
        ("sample,label\nX1,ACC\nX2,UVM\n", "none of S1, S2, S3, S4 is among X1, X2", {}),
        ("sample,label\nS1,ACC\nS1,UVM\n", "1 have several: S1", {}),
        ("sample,age\nS1,5\nS2,5\n", "Name it by --label-column", {}),
    ],
)
def test_what_gives_no_labels_is_refused(tmp_path: Path, text: str, told: str, options: dict) -> None:
    with pytest.raises(CohortError, match=told):
        read_external_labels(write(tmp_path, text), SAMPLES, **options)


@pytest.mark.parametrize(
    ("text", "told"), [("a,b,c\n1,2,3\n", "two columns"), ("a,b\nx,ACC\nx,UVM\n", "x stands for several")]
)
def test_a_renaming_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(CohortError, match=told):
        read_renaming(write(tmp_path, text, "map.csv"), ["ACC", "UVM"])
