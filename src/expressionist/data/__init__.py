"""Data: raw files become a checked cohort, divided by patient."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.data.cohort import Cohort
    from expressionist.data.cohort_file import read_cohort, write_cohort
    from expressionist.data.components import project, share_between
    from expressionist.data.expression import Scale, choose_genes, to_log2
    from expressionist.data.external_labels import read_external_labels, read_renaming
    from expressionist.data.gene_list import keep_listed, name_copy
    from expressionist.data.gene_match import BY_FORMER_NAME, BY_ID, BY_SYMBOL, GeneMatch, match_genes
    from expressionist.data.gene_sets import assign_sets, read_gene_sets
    from expressionist.data.inspection import describe_inspection, inspect_files
    from expressionist.data.merged_types import rename_labels
    from expressionist.data.nomenclature import AMBIGUOUS, Nomenclature
    from expressionist.data.profiles import Profiles, read_profiles
    from expressionist.data.readers.download import Patience, download, forget_download, refuse_disk_trouble
    from expressionist.data.readers.hgnc import read_nomenclature
    from expressionist.data.readers.raw_files import RawFile, verify_file
    from expressionist.data.resources import read_resource
    from expressionist.data.sources import find_source
    from expressionist.data.split import SUBSETS, deal_folds, read_split, split_by_patient, write_split
    from expressionist.data.units import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT, convert
else:
    __getattr__ = lend(__name__, __file__)
