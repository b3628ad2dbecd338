"""The simulated genes: where they lie, how high they stand, and what moves them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressionist.data.nomenclature import load_nomenclature
from expressionist.data.resources import read_resource

# Kinds of genes: their share of the genes that are no markers, their mean log2 count, the spread of that.
_KINDS = pd.DataFrame(
    {"share": (0.15, 0.25, 0.6, 0.0), "level": (11.5, 2.0, 8.0, 5.0), "spread": (1.0, 1.5, 1.7, 1.8)},
    index=["housekeeping", "silent", "expressed", "marker"],
)
# Shares of genes and strengths (log2) of the programmes, chosen together: see the package's docstring.
_TISSUE_SHARE, _TISSUE_EFFECT = 0.04, 1.2
_OWN_SHARE, _OWN_EFFECT = 0.04, 0.9
_N_MODULES, _MODULE_SHARE, _MODULE_EFFECT, _MODULE_SHIFT = 30, 0.06, 0.3, 0.7
_ADMIXTURE_SHARE, _ADMIXTURE_EFFECT = 0.06, 2.5

Modules = tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Genes:
    """Everything that a gene brings to a sample; all effects are log2 shifts of the mean count.

    `table` is indexed by gene id, with ``symbol``, ``chromosome``, ``start``, ``marker_of``, ``entrez`` and
    ``ensembl``. `base` is the
    log2 mean count at typical depth, `stroma` and `immune` that in cells that are not tumour, `detection` the
    share of patients in whom a marker is switched on, `dispersion` the negative-binomial one at high means,
    all (n_genes,). `profile` and its `parts`, ``module``, ``tissue`` and ``own`` programme, and `planted`,
    the fold change of the markers and zero elsewhere, are (n_types, n_genes), with `types` as rows. `modules`
    hold positions and loadings of genes that rise and fall together within types.
    """

    table: pd.DataFrame
    types: tuple[str, ...]
    base: np.ndarray
    profile: np.ndarray
    parts: dict[str, np.ndarray]
    planted: np.ndarray
    detection: np.ndarray
    modules: Modules
    stroma: np.ndarray
    immune: np.ndarray
    dispersion: np.ndarray


def draw_genes(n_genes: int, rng: np.random.Generator) -> Genes:
    """Draw the genes in genomic order: the markers under their real ids and places, and invented ones."""
    types = tuple(read_resource("tumour_types.tsv")["code"])
    table = _draw_table(n_genes, rng)
    marker = (table["marker_of"] != "").to_numpy()
    base, housekeeping = _draw_base(marker, rng)
    free = np.flatnonzero(~housekeeping & ~marker)
    modules = tuple(_draw_module(np.flatnonzero(~housekeeping), n_genes, rng) for _ in range(_N_MODULES))
    # What every cell needs varies least.
    dispersion = 0.12 * rng.lognormal(0, 0.5, n_genes) / np.where(housekeeping, 3, 1)
    profile, parts = _draw_profile(types, n_genes, modules, free, rng)
    return Genes(
        table=table,
        types=types,
        base=base,
        profile=profile,
        parts=parts,
        planted=_plant(table["marker_of"], types, rng),
        detection=rng.beta(8, 1.5, n_genes),
        modules=modules,
        stroma=_draw_admixture(base, free, rng),
        immune=_draw_admixture(base, free, rng),
        dispersion=dispersion,
    )


def _draw_table(n_genes: int, rng: np.random.Generator) -> pd.DataFrame:
    markers = read_resource("markers.tsv").groupby("entrez", sort=False)
    real = markers.agg(
        symbol=("symbol", "first"),
        chromosome=("chromosome", "first"),
        start=("start", "first"),
        marker_of=("type", ",".join),
    )
    places = read_resource("chromosomes.tsv")
    share = places["n_genes"] / places["n_genes"].sum()
    drawn = rng.choice(len(places), n_genes - len(real), p=share)
    start = rng.integers(1, places["length"].to_numpy()[drawn])
    invented = pd.DataFrame(
        {"symbol": "", "chromosome": places["chromosome"].to_numpy()[drawn], "start": start, "marker_of": ""}
    )
    table = pd.concat([real.reset_index(names="gene"), invented])
    rank = table["chromosome"].map({name: place for place, name in enumerate(places["chromosome"])})
    order = np.lexsort((table["start"], rank))
    table = table.iloc[order].reset_index(drop=True)
    # Invented names stay recognisable as such: no gene of that name exists.
    names = "SYN" + (table["gene"].isna().cumsum()).astype(str).str.zfill(5)
    table["gene"] = table["gene"].fillna(names)
    table["symbol"] = table["symbol"].where(table["symbol"] != "", names)
    ids = load_nomenclature().annotate(table["gene"].tolist())
    return table.assign(entrez=ids["entrez"], ensembl=ids["ensembl"]).set_index("gene")


def _draw_base(marker: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    kind = np.where(marker, "marker", rng.choice(_KINDS.index, len(marker), p=_KINDS["share"]))
    drawn = _KINDS.loc[kind]
    return rng.normal(drawn["level"], drawn["spread"]), kind == "housekeeping"


def _draw_profile(
    types: tuple[str, ...], n_genes: int, modules: Modules, free: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    profile = np.zeros((len(types), n_genes))
    for positions, loading in modules:
        profile[:, positions] += rng.normal(0, _MODULE_SHIFT, (len(types), 1)) * loading
    module = profile.copy()
    tissues = read_resource("tissues.tsv")
    for owners, strength in zip(tissues["types"].str.split(","), tissues["strength"], strict=True):
        programme = _draw_programme(n_genes, free, _TISSUE_SHARE, strength * _TISSUE_EFFECT, rng)
        profile[np.isin(types, owners)] += programme
    shared = profile.copy()
    for row in profile:
        row += _draw_programme(n_genes, free, _OWN_SHARE, _OWN_EFFECT, rng)
    return profile, {"module": module, "tissue": shared - module, "own": profile - shared}


def _draw_programme(
    n_genes: int, free: np.ndarray, share: float, effect: float, rng: np.random.Generator
) -> np.ndarray:
    genes = rng.choice(free, min(len(free), round(share * n_genes)), replace=False)
    programme = np.zeros(n_genes)
    # Programmes switch on more than they switch off.
    sign = rng.choice((1, -1), len(genes), p=(0.7, 0.3))
    programme[genes] = sign * np.abs(rng.normal(0, effect, len(genes)))
    return programme


def _plant(marker_of: pd.Series, types: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    marked = np.array([np.isin(types, owners.split(",")) for owners in marker_of]).T
    # 1 to 5 per gene, most near 3; each of several types sharing a marker has it a little higher or lower.
    change = 1 + 4 * rng.beta(2, 2, marked.shape[1])
    return marked * np.clip(change + rng.normal(0, 0.4, marked.shape), 1, 5)


def _draw_module(free: np.ndarray, n_genes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    genes = np.sort(rng.choice(free, min(len(free), round(_MODULE_SHARE * n_genes)), replace=False))
    return genes, rng.normal(_MODULE_EFFECT, _MODULE_EFFECT / 2, len(genes))


def _draw_admixture(base: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    programme = _draw_programme(len(base), free, _ADMIXTURE_SHARE, _ADMIXTURE_EFFECT, rng)
    return base + rng.normal(0, 0.4, len(base)) + np.abs(programme)
