"""The stage that brings lists of genes: copies lie flat, and outlive the files that they were made of."""

from dataclasses import replace

import pytest
from tests.report.made_up import ATTRIBUTION

from expressionist.data.gene_list import name_copy
from expressionist.errors import CohortError
from expressionist.params.sections import CohortParams, ExpressionParams, LayoutParams
from expressionist.stages import lists


def run(tmp_path, genes, gene_sets=None, pathways=None):
    layout = LayoutParams("pathway", 1, {"gene_sets": gene_sets} if gene_sets else {})
    cohort = CohortParams("table", str(tmp_path / "in"), {})
    attribution = replace(ATTRIBUTION, gene_sets=pathways)
    lists.run(cohort, ExpressionParams(96, genes=genes), layout, attribution, out=tmp_path / "lists")
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "lists").iterdir()}
    assert "lists of genes" in made.pop("README.md")
    return made


@pytest.fixture
def given(tmp_path):
    (tmp_path / "in" / "my 'sets'").mkdir(parents=True)
    (tmp_path / "in" / "genes ä.txt").write_text("TP53\n", encoding="utf-8")
    (tmp_path / "in" / "my 'sets'" / "one.gmt").write_text("A\t\tTP53\n", encoding="utf-8")
    return tmp_path / "in"


def test_what_is_named_is_copied_under_names_that_readers_find(given, tmp_path):
    named = ("genes ä.txt", "my 'sets'/one.gmt")
    assert run(tmp_path, *named) == {name_copy(named[0]): "TP53\n", name_copy(named[1]): "A\t\tTP53\n"}
    assert run(tmp_path, None) == {}
    assert run(tmp_path, None, pathways=named[1]) == {name_copy(named[1]): "A\t\tTP53\n"}


def test_a_copy_stands_in_for_a_file_that_is_there_no_more(given, tmp_path, capsys):
    found = run(tmp_path, "genes ä.txt")
    (given / "genes ä.txt").unlink()
    assert run(tmp_path, "genes ä.txt") == found
    assert "is kept" in capsys.readouterr().out
    with pytest.raises(CohortError, match=r"expression.genes must name a file in .* got .*other.txt"):
        run(tmp_path, "other.txt")
    with pytest.raises(CohortError, match=r"attribution.gene_sets must name a file in .* got .*other.gmt"):
        run(tmp_path, None, pathways="other.gmt")
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {"README.md", "genes ä.txt"}
