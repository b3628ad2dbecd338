"""What the picture contributes: the winner without it, with nothing else, and by the reference's protocol."""

import pandas as pd

from expressionist.evaluation import PICTURE, REFERENCE, WHOLE, share_by_branch
from expressionist.report.content import Part, Table
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import EXACT, join

_SEEN = {
    WHOLE: "all of it",
    PICTURE: "the picture alone",
    "genes + ranks": "genes and ranks, no picture",
    REFERENCE: "the picture, by the protocol of earlier work",
}
_FURTHER = ("accuracy", "precision_macro", "balanced_accuracy", "f1_macro", "log_loss", "ece")
_SHOWN = _FURTHER[:-1]
_RECALL = {"balanced_accuracy": "Macro-recall"}


def describe(run: FinishedRun) -> Part:
    """Say what the picture adds, which share goes through it, and what each part of the network is worth."""
    shares = share_by_branch(run.gaps[list(run.explanation["branches"])], run.evaluation)
    return Part([run.picture["said"], _state_shares(shares)], tables=[_tabulate(run), _tabulate_further(run)])


def _state_shares(shares: pd.DataFrame) -> str:
    told = join(
        f"{row['share']:z.0%} ({row['share_low']:z.0%} to {row['share_high']:z.0%}) through the {name}"
        for name, row in shares.iterrows()
    ).replace("-", "\u2212")
    return (
        "Of what speaks for their types in the test samples explained, less what speaks against, in the "
        f"network registered, go {told}, with bootstrap intervals over samples. (The shares under \u201cWhat "
        "the network used\u201d add up what speaks for and against, without signs: how much is said, not "
        "what is left of it.)"
    )


def _take(run: FinishedRun, subset: str) -> pd.DataFrame:
    rows = run.ablation[run.ablation["subset"] == subset].set_index("variant")
    return rows.assign(sees=[_SEEN.get(str(name), f"{name} alone") for name in rows.index])


def _tabulate(run: FinishedRun) -> Table:
    shown = [f"{metric}{end}" for metric in _SHOWN for end in ("", "_low", "_high")]
    return Table(
        _take(run, "test")[["sees", *shown]],
        f"What {run.picture['backbone']} sees, on test samples",
        "Each is trained and calibrated on the same samples as the winner, at the same depth (only where a "
        "picture is seen is there a backbone), at the same rates but for the protocol of earlier work (the "
        "reference): the last map averaged over places, a dense head, and rates of its own. Macro: the mean "
        "over tumour types, which count alike whatever their number of samples; macro-recall is the balanced "
        "accuracy of the other tables. "
        f"Small numbers: {run.evaluation.level:.0%} bootstrap interval over test patients{EXACT}.",
        best=WHOLE,
        formats=dict.fromkeys(_SHOWN, ".3f"),
        headings={"sees": "What it sees", **_RECALL},
    )


def _tabulate_further(run: FinishedRun) -> Table:
    return Table(
        _take(run, "validation")[["sees", *_FURTHER, "n_unfrozen_parameters", "seconds"]],
        "The same on validation samples, by which the temperature was set",
        "Seconds: of training and, but for the winner, predicting.",
        best=WHOLE,
        formats=dict.fromkeys(_FURTHER, ".3f") | {"seconds": ".1f"},
        headings={"sees": "What it sees", **_RECALL},
        folded=True,
    )
