"""Small files as the GDC publishes them: STAR counts, a sample sheet and a manifest."""

import gzip
import hashlib
import uuid
from pathlib import Path

SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)
NO_GENE = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
# Id, name, type.
GENES = [
    ("ENSG00000000003.15", "TSPAN6", "protein_coding"),
    ("ENSG00000000005.6", "TNMD", "protein_coding"),
    ("ENSG00000141510.18", "TP53", "protein_coding"),
    ("ENSG00000229807.13", "XIST", "lncRNA"),
    ("ENSG00000002586.20", "CD99", "protein_coding"),
    ("ENSG00000002586.20_PAR_Y", "CD99", "protein_coding"),
]
# Project, case, sample and its type, for each file, in the order of their names.
SAMPLES = [
    ("TCGA-ACC", "TCGA-OR-A5J1", "TCGA-OR-A5J1-01A", "Primary Tumor"),
    ("TCGA-ACC", "TCGA-OR-A5J2", "TCGA-OR-A5J2-01A", "Primary Tumor"),
    ("TCGA-ACC", "TCGA-OR-A5J2", "TCGA-OR-A5J2-11A", "Solid Tissue Normal"),
    ("TCGA-UVM", "TCGA-V4-A9E5", "TCGA-V4-A9E5-01A", "Primary Tumor"),
    ("TCGA-UVM", "TCGA-V4-A9E5", "TCGA-V4-A9E5-01B", "Primary Tumor"),
    (
        "TARGET-AML",
        "TARGET-20-PABLDZ",
        "TARGET-20-PABLDZ-03A",
        "Primary Blood Derived Cancer - Peripheral Blood",
    ),
]
SHEET = (
    "File ID",
    "File Name",
    "Data Category",
    "Data Type",
    "Project ID",
    "Case ID",
    "Sample ID",
    "Sample Type",
)


def name_file(place: int) -> str:
    """Name the file of a sample; names are in order."""
    return f"{place:08d}-0000-4000-8000-00000000000a{SUFFIX}"


def name_id(place: int) -> str:
    """Give the UUID of a file, which is another than the one in its name."""
    return str(uuid.UUID(int=place + 1))


def make_counts(place: int, genes=GENES, cells=None) -> bytes:
    """Make a file: counts of gene g are 100 g + `place` + 1, or what `cells` says, and TPM half of them."""
    lines = ["# gene-model: GENCODE v36", HEADER]
    lines += [f"{word}\t\t\t{n}\t{n}\t{n}\t\t\t" for n, word in enumerate(NO_GENE, start=1000)]
    for g, (gene, name, kind) in enumerate(genes):
        n = (cells or {}).get(g, 100 * g + place + 1)
        n = 0 if gene.endswith("_PAR_Y") else n
        shares = "\t".join(f"{n / by:.4f}" for by in (2, 4, 8))
        lines.append(f"{gene}\t{name}\t{kind}\t{n}\t{n // 2}\t{n - n // 2}\t{shares}")
    return "\n".join([*lines, ""]).encode()


def write_counts(
    folder: Path, *, nested: bool = False, packed: bool = False, n_files: int = len(SAMPLES)
) -> None:
    """Write the files, flat or as gdc-client leaves them."""
    for place in range(n_files):
        above = folder / name_id(place) if nested else folder
        above.mkdir(parents=True, exist_ok=True)
        body = make_counts(place)
        if packed:
            (above / f"{name_file(place)}.gz").write_bytes(gzip.compress(body))
        else:
            (above / name_file(place)).write_bytes(body)
        if nested:
            (above / "logs").mkdir()
            (above / "logs" / f"{name_file(place)}.parcel").write_bytes(b"\0")
            (above / "annotations.txt").write_text("id\tsubmitter_id\n")


def write_sheet(path: Path, samples=SAMPLES, header=SHEET) -> None:
    """Write a sample sheet; `samples` may have as many words at their end as `header` has more or fewer."""
    lines = ["\t".join(header)]
    for place, (project, case, *words) in enumerate(samples):
        front = [
            name_id(place),
            name_file(place),
            "Transcriptome Profiling",
            "Gene Expression Quantification",
        ]
        lines.append("\t".join([*front, project, case, *words]))
    path.write_text("\n".join(lines) + "\n")


def write_manifest(path: Path, bodies: dict[str, bytes]) -> None:
    """Write a manifest of files by their names; a slide is in it too, as carts have them."""
    rows = [
        (name_id(place), name, hashlib.md5(body).hexdigest(), str(len(body)), "released")
        for place, (name, body) in enumerate(bodies.items())
    ]
    rows.append((name_id(99), "TCGA-OR-A5J1-01A-01-TS1.svs", "0" * 32, "9", "released"))
    path.write_text(
        "\n".join("\t".join(row) for row in [("id", "filename", "md5", "size", "state"), *rows]) + "\n"
    )
