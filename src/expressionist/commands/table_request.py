"""A person's table, the version that it is for, and how it is read: what several commands ask alike."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from expressionist.data import Nomenclature, Profiles, read_profiles

if TYPE_CHECKING:
    from expressionist.tracking import Served


@dataclass(frozen=True)
class TableRequest:
    """A table and how it is read; `model` is as `find_version` takes it, `align` is for `find_profile`."""

    table: Path
    model: str
    unit: str | None
    genes_in: str
    replicates: str
    gene_lengths: Path | None
    nomenclature: Path | None
    align: str

    def read(self, served: "Served", names: Nomenclature | None) -> Profiles:
        """Read the table for a model, whose gene ids are translated by `names`."""
        return read_profiles(
            self.table,
            partial(served.knows, nomenclature=names),
            served.unit,
            unit=self.unit,
            genes_in=self.genes_in,
            replicates=self.replicates,
            gene_lengths=self.gene_lengths,
            nomenclature=names,
        )
