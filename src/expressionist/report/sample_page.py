"""The page of one sample: which type a version reads from it, how sure that is, and by which genes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import LINEAR_UNITS
from expressionist.evaluation import Footprint, format_threshold
from expressionist.painting import Layout
from expressionist.report.content import Marks, Part, Picture, ReportContent, Table, Verdict
from expressionist.report.figures.sample import draw_genes, draw_pictures
from expressionist.report.glossary import link_genes, spell_types
from expressionist.report.page import build_page
from expressionist.report.words import count, format_value, join

_N_TYPES, _N_NEAREST = 5, 3
_LEAST = 1e-30  # of probabilities whose logarithm tells something
# Answers are held against those of test samples with a probability in the same range.
_RANGES = (0.0, 0.5, 0.8, 0.95)
_WARNING = "Research use only. This is no diagnostic and must not be used to decide on the care of a patient."


@dataclass(frozen=True, eq=False)
class ExplainedSample:
    """What a version finds in a sample, as its page shows it.

    Parameters
    ----------
    about : mapping
        ``sample``, ``table``, ``said`` (what was read), ``align``, ``made`` (the date), ``model``,
        ``backbone``, ``cohort``, ``unit`` and ``merged`` (of the model), ``abstain_below``, ``scope`` (what
        probabilities are among) and ``own`` (what is known of the patient, if anything).
    tumour_types : sequence of str
        The version's.
    gene_table : pandas.DataFrame of length n_genes
        Indexed by gene id.
    layout : Layout
        Gene → pixel.
    footprint : Footprint
        Of the training samples, with quantiles by type.
    answers : pandas.DataFrame of length n_test
        ``predicted``, ``probability`` and ``right`` of the version's test samples.
    prediction : pandas.Series
        A row of what `predict` gives.
    log2, values : numpy.ndarray of shape (n_genes,)
        Expression in log2(x+1), and attributions of the type predicted.
    scaled : numpy.ndarray of shape (2, n_genes)
        The sample, and the mean training sample of the type predicted, as they are painted.
    genes : pandas.DataFrame
        First genes for and against the type, with positions in the index: ``direction``, ``gene``,
        ``symbol``, ``attribution``, ``share``, ``expression``, ``filled``.
    gap : float
        Completeness gap of `values`.
    rival : str
        Another type, such as the second; ``rival_genes``, ``rival_gap`` and ``rise`` are of the logit of the
        first minus that of this one.
    synthetic, random_weights : bool
        Whether the model was trained on simulated samples, or from random weights.
    """

    about: Mapping[str, Any]
    tumour_types: tuple[str, ...]
    gene_table: pd.DataFrame
    layout: Layout
    footprint: Footprint
    answers: pd.DataFrame
    prediction: pd.Series
    log2: np.ndarray
    scaled: np.ndarray
    values: np.ndarray
    genes: pd.DataFrame
    gap: float
    rival: str
    rival_genes: pd.DataFrame
    rival_gap: float
    rise: float
    synthetic: bool
    random_weights: bool

    @property
    def tumour_type(self) -> str:
        """The type predicted."""
        return str(self.prediction["tumour_type"])

    def find_probability(self, tumour_type: str) -> float:
        """Give the calibrated probability of a type."""
        return float(self.prediction[f"p_{tumour_type}"])

    def take_quantiles(self, tumour_type: str) -> np.ndarray:
        """Give the quantiles of a type's training samples, (5, n_genes)."""
        return np.asarray(self.footprint.by_type)[self.tumour_types.index(tumour_type)]

    def show(self, *told: Any) -> Picture:  # noqa: ANN401  as `Marks.show` takes them
        """Turn a figure that shows the network into a picture."""
        backbone = str(self.about["backbone"])
        marks = Marks(self.synthetic, [backbone] if self.random_weights else [])
        return marks.show(*told, backbones=[backbone])


def build_sample_page(found: ExplainedSample) -> str:
    """Put one sample on one page, which prints on two sheets.

    Parameters
    ----------
    found : ExplainedSample
        What the version finds. All text in it is escaped.

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same sample gives the same page.
    """
    about = found.about
    chapters = {
        "Tumour types": _rank_types(found),
        "Picture": _show_pictures(found),
        f"Genes for and against {found.tumour_type}": _show_genes(found),
        f"Why not {found.rival}": _show_rival(found),
        "What was read": _describe_input(found),
    }
    return build_page(
        ReportContent(
            title=f"Sample {about['sample']}: {_answer(found)}",
            origin=[
                "Research use only",
                f"{about['model']} ({about['backbone']}, trained on {about['cohort']})",
                f"read from {about['table']}",
                str(about["made"]),
            ],
            tumour_types=spell_types(_name_types(found), about["merged"]),
            links=link_genes(found.gene_table),
            synthetic=found.synthetic,
            random_weights=[str(about["backbone"])] if found.random_weights else [],
            verdict=_declare(found),
            chapters=chapters,
            small_print=True,
            limits=None,
        )
    )


def _answer(found: ExplainedSample) -> str:
    """Answer in a few words."""
    if found.prediction["unlike_training"]:
        return "no answer, unlike the training samples"
    if found.prediction["abstain"]:
        system = found.prediction["answer"] == found.prediction["organ_system"]
        return f"{found.prediction['answer']}, type uncertain" if system else "no answer, too uncertain"
    return f"{found.tumour_type} ({_format(float(found.prediction['probability']))})"


def _declare(found: ExplainedSample) -> Verdict:
    """Say the type, or why none is to be read from this, in a sentence."""
    probability, least = float(found.prediction["probability"]), float(found.about["abstain_below"])
    said = (
        f"{found.tumour_type}, with a calibrated probability of {_format(probability)} among the "
        f"{len(found.tumour_types)} types that the model knows."
    )
    if found.prediction["unlike_training"]:
        said = f"No answer: unlike the samples that the model was trained on. Nearest would be {said}"
    elif found.prediction["abstain"] and found.prediction["answer"] == found.prediction["organ_system"]:
        together = _format(float(found.prediction["organ_system_probability"]))
        system = str(found.prediction["answer"])
        said = (
            f"{system[0].upper()}{system[1:]}, unsure which type: those of this organ system have {together} "
            f"together. Most probable is {said}"
        )
    elif found.prediction["abstain"]:
        said = f"No answer: too uncertain. Most probable is {said}"
    headline = {
        "Most probable type": found.tumour_type,
        "Calibrated probability": _format(probability),
        "Novelty (unlike above 1)": format_value(float(found.prediction["novelty"]), spec=".2f"),
        "Genes missing": f"{int(found.prediction['n_missing_genes']):,} of {len(found.log2):,}",
    }
    told = [
        " ".join(filter(None, [_state_precision(found, probability), found.about["own"]])),
        _state_threshold(found, least),
        _state_novelty(found),
        str(found.about["scope"]),
        _WARNING,
    ]
    return Verdict(said, headline, Part(told))


def _format(probability: float) -> str:
    """Write a probability; none is certain. No line breaks behind a sign."""
    if probability >= 0.9995:
        return ">\u00a099.9%"
    return f"{probability:.1%}" if probability >= 0.0005 else "<\u00a00.1%"


def _state_threshold(found: ExplainedSample, least: float) -> str:
    side = "below it, so that it abstains" if found.prediction["abstain"] else "above it"
    return (
        f"The model answers from a probability of {format_threshold(least)} on, as chosen on validation "
        f"samples; this sample is {side}."
    )


def _state_precision(found: ExplainedSample, probability: float) -> str:
    """Say how often test samples that were called so, about as surely, were of that type."""
    answers, name = found.answers, found.tumour_type
    low = max(edge for edge in _RANGES if edge <= probability)
    high = min((edge for edge in _RANGES if edge > probability), default=1.0)
    alike = answers["probability"].ge(low) & (answers["probability"].lt(high) | (high == 1))
    called = answers["predicted"] == name
    between = f"{low:.0%} to {high:.0%}"
    if not called.any():
        return (
            f"No test sample was called {name}, so that how often this is right is not known; of all test "
            f"samples with a probability of {between}, {_count_right(answers[alike])} were right."
        )
    return (
        f"Of the test samples that were called {name}, {_count_right(answers[called])} were; of those with a "
        f"probability of {between}, {_count_right(answers[called & alike])}. Over all types, "
        f"{_count_right(answers[alike])} with such a probability were right."
    )


def _count_right(answers: pd.DataFrame) -> str:
    return f"{int(answers['right'].sum())} of {len(answers)}"


def _state_novelty(found: ExplainedSample) -> str:
    score = float(found.prediction["novelty"])
    if score > 1:
        return (
            f"Its novelty is {score:.2f}: farther from the training samples than nearly all samples of known "
            "types that it was tried on. It may be of a type that the model does not know, normal tissue, or "
            "measured or processed in another way; then the probabilities mean nothing, as they are among "
            "known types."
        )
    return f"Its novelty is {score:.2f}, below 1: nothing marks it as unlike the training samples."


def _rank_types(found: ExplainedSample) -> Part:
    """Rank the types by probability, with what their answers were worth, and by nearness of their means."""
    correlations, names = _correlate(found), _list_types(found)
    meanings, by_type = spell_types(names, found.about["merged"]), found.answers.groupby("predicted")
    rows = pd.DataFrame(
        {
            "type": names,
            "name": [meanings.get(name, "") for name in names],
            "probability": [_format(found.find_probability(name)) for name in names],
            "answers": [
                _count_right(by_type.get_group(name)) if name in by_type.groups else "never called"
                for name in names
            ],
            "correlation": correlations[names].to_numpy(),
        }
    )
    if not meanings:
        rows = rows.drop(columns="name")
    nearest = _list_nearest(found)
    listed = join([f"{name} ({value:.3f})" for name, value in nearest.items()])
    table = Table(
        rows,
        caption="Right: of the version's test samples that it called so. Likeness: rank correlation of all "
        "genes with the type's mean training sample.",
        headings={"name": "Name", "answers": "Right on test samples", "correlation": "Likeness"},
        formats={"correlation": ".3f"},
    )
    said = (
        f"Without the network, by rank correlation of all genes, the mean training samples nearest to it are "
        f"those of {listed}. Single patients are not shown: a version keeps none."
    )
    return Part([said], tables=[table])


def _list_types(found: ExplainedSample) -> list[str]:
    return sorted(found.tumour_types, key=found.find_probability, reverse=True)[:_N_TYPES]


def _list_nearest(found: ExplainedSample) -> pd.Series:
    return _correlate(found).dropna().nlargest(_N_NEAREST)


def _name_types(found: ExplainedSample) -> list[str]:
    """Name the types that the page speaks of."""
    return [*_list_types(found), *map(str, _list_nearest(found).index), found.rival]


def _correlate(found: ExplainedSample) -> pd.Series:
    """Correlate the genes' ranks with those of every type's mean training sample."""
    ranks = pd.DataFrame(found.footprint.means, list(found.tumour_types)).rank(axis=1)
    return ranks.T.corrwith(pd.Series(found.log2).rank()).where(ranks.notna().all(axis=1))


def _show_pictures(found: ExplainedSample) -> Part:
    layout, shape = found.layout, found.layout.shape
    sample, mean = layout.paint(np.asarray(found.scaled, np.float32))[..., 0]
    attribution = np.bincount(layout.pixel, found.values, layout.n_pixels).reshape(shape)
    picture = found.show(
        draw_pictures(sample, mean, attribution, layout.overlap, found.tumour_type),
        f"The sample's picture, the mean picture of {found.tumour_type}, and the attributions",
        "Every pixel is a gene, in the same place in all three. In the first two, black is the lowest and "
        "yellow the highest value of the training samples; the third says what each gene adds to the score "
        f"of {found.tumour_type} or takes from it, seen from the mean training sample.",
    )
    return Part(pictures=[picture])


def _show_genes(found: ExplainedSample) -> Part:
    """Show the first genes with their expression beside that of the type and of all training samples."""
    position = found.genes.index.to_numpy()
    quantiles = dict(zip(("all_low", "all_median", "all_high"), found.footprint.quantiles, strict=True))
    quantiles |= {f"type_{place}": each for place, each in enumerate(found.take_quantiles(found.tumour_type))}
    drawn = found.genes.assign(
        symbol=_name_genes(found.genes),
        log2=found.log2[position],
        **{name: each[position] for name, each in quantiles.items()},
    )
    listed = found.genes["share"].abs().sum()
    said = (
        f"What is explained is the score of {found.tumour_type}: its logit (the number behind its "
        "probability) less the mean of all types' logits, and by how much it rises from the mean training "
        f"sample to this sample. The genes listed make up {listed:.0%} of all that speaks for "
        f"{found.tumour_type} or against it. "
        f"The attributions of all {len(found.log2):,} genes add up to the rise of its score but for "
        f"{found.gap:.2%}."
    )
    picture = found.show(
        draw_genes(drawn, found.tumour_type, _name_scale(found)),
        f"Genes for and against {found.tumour_type}, and their expression among training samples",
        f"Right: this sample among the training samples of {found.tumour_type} and of all types; bars mark "
        "medians. A gene may speak for a type by being low, and against one by being high: what counts is "
        "how the network weighs all genes together, for this type against all others.",
    )
    return Part([said], pictures=[picture], tables=[_tabulate(found.genes, found.about["unit"])])


def _name_genes(genes: pd.DataFrame) -> list[str]:
    return [
        str(row["symbol"]) if row["symbol"] not in ("", "?") else str(row["gene"])
        for row in genes.to_dict("records")
    ]


def _tabulate(genes: pd.DataFrame, unit: str) -> Table:
    rows = genes.assign(symbol=_name_genes(genes))
    columns = ["symbol", "gene", "direction", "attribution", "share", "expression", "filled"]
    return Table(
        rows[columns],
        "The same genes as numbers",
        headings={
            "attribution": "Attribution",
            "direction": "Speaks",
            "expression": f"Expression ({unit})",
            "filled": "Missing",
        },
        formats={"attribution": "+.3f", "share": "+.1%", "expression": ".4g"},
        folded=True,
    )


def _show_rival(found: ExplainedSample) -> Part:
    """Show what speaks for the type rather than for its rival, and the other way round."""
    position, rival = found.rival_genes.index.to_numpy(), found.rival
    rows = found.rival_genes.assign(
        symbol=_name_genes(found.rival_genes),
        direction=found.rival_genes["direction"].map({"for": found.tumour_type, "against": rival}),
        log2=found.log2[position],
        own=found.take_quantiles(found.tumour_type)[2, position],
        other=found.take_quantiles(rival)[2, position],
    )
    table = Table(
        rows[["symbol", "gene", "direction", "attribution", "log2", "own", "other"]],
        caption=f"Expression in {_name_scale(found)}; medians are of training samples.",
        headings={
            "attribution": "Attribution",
            "direction": "Speaks for",
            "log2": "This sample",
            "own": f"Median, {found.tumour_type}",
            "other": f"Median, {rival}",
        },
        formats={"attribution": "+.3f"} | dict.fromkeys(("log2", "own", "other"), ".2f"),
    )
    said = (
        f"{rival} has a probability of {_format(found.find_probability(rival))}. What is explained is the "
        f"logarithm of how many times as probable {found.tumour_type} is as {rival}: 0 where both are "
        f"equally so, and 2.3 more for each tenfold. {_state_rise(found)} (gap {found.rival_gap:.2%}). "
        "Listed is what brings and what takes most."
    )
    return Part([said], tables=[table])


def _state_rise(found: ExplainedSample) -> str:
    """Say from where to where the logarithm goes, unless a probability is too near 0 to have one."""
    own, other = map(found.find_probability, (found.tumour_type, found.rival))
    first = last = ""
    if min(own, other) > _LEAST:
        end = float(np.log(own / other))
        first, last = (f" ({value:+.2f})".replace("-", "\u2212") for value in (end - found.rise, end))
    return (
        f"It goes from the mean training sample of {found.rival}{first} to this sample{last}, a rise of "
        f"{found.rise:.2f}"
    )


def _name_scale(found: ExplainedSample) -> str:
    unit = str(found.about["unit"])
    return f"log₂({unit} + 1)" if unit in LINEAR_UNITS else unit


def _describe_input(found: ExplainedSample) -> Part:
    about, counts = found.about, found.prediction
    shown_filled = int(found.genes["filled"].sum())
    facts = {
        "Genes missing, set to training means": f"{int(counts['n_missing_genes']):,} of {len(found.log2):,}",
        "Of these among the genes listed": f"{shown_filled}",
        "Genes found by symbol or another name": f"{int(counts['n_genes_by_symbol']):,}",
        "Columns left out, as ambiguous": f"{int(counts['n_ambiguous_columns']):,}",
        "Aligned to training samples": "by rank" if about["align"] == "rank" else "no",
        "Test samples of the version": count(len(found.answers), "sample"),
    }
    return Part([str(about["said"])], facts=facts)
