"""How tests of sources read cohorts: with the options of params.yaml, and a small table of HGNC's form."""

import json
from pathlib import Path
from types import ModuleType

from expressionist.data.cohort import Cohort
from expressionist.params.parsing import parse
from toy import shipped_options

HGNC = "hgnc_id\tsymbol\tname\tprev_symbol\talias_symbol\tentrez_id\tensembl_gene_id\tmirbase"


def make_options(source: ModuleType, **changed: object) -> object:
    """Make a source's options of what params.yaml says, but for small types and some keys."""
    word = source.__name__.rpartition(".")[2].replace("_", "-")
    return parse(source.Options, shipped_options(word, **{"smallest_type": 1} | changed), word)


def read_cohort(source: ModuleType, raw: Path, **changed: object) -> tuple[Cohort, dict]:
    """Read a cohort, and make sure that what is said of it can be written."""
    cohort, quality = source.read(make_options(source, **changed), raw)
    assert json.loads(json.dumps(quality)) == quality
    return cohort, quality


def find_rule(entries: list[dict], word: str) -> dict:
    """Find the one entry whose rule has a word."""
    (found,) = [entry for entry in entries if word in entry["rule"]]
    return found


def write_hgnc(path: Path) -> None:
    """Write a table in which TP53, once called NEWNAME2, has an Entrez id of its own, as HGNC quotes it."""
    row = 'HGNC:11998\tTP53\t"tumor protein, 53"\t"NEWNAME1|NEWNAME2"\tLFS1\t90071\tENSG00000141510\t'
    path.write_text(f"{HGNC}\n{row}\n")
