"""The page of a finished run: its chapters in their order."""

from expressionist.network import explain_random
from expressionist.report.chapters import (
    attributions,
    cohort,
    comparison,
    cross_check,
    errors,
    images,
    limits,
    overview,
    pathways,
    picture,
    probabilities,
    rankings,
    search,
    siblings,
    training,
    tumour_types,
)
from expressionist.report.content import ReportContent
from expressionist.report.finished_run import FinishedRun
from expressionist.report.glossary import link_genes, spell_types
from expressionist.report.page import build_page


def build_report(run: FinishedRun) -> str:
    """Put a whole run on one page.

    Parameters
    ----------
    run : FinishedRun
        What its stages wrote. All text in it is escaped.

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same run gives the same page.
    """
    random = run.marks.random_weights
    return build_page(
        ReportContent(
            title=f"{run.comparison['cohort']}: tumour types from expression images",
            origin=overview.state_origin(run),
            registration="the copy of this page in MLflow, beside the model, names run and version",
            tumour_types=spell_types(run.split["tumour_type"], run.about.get("merged")),
            links=link_genes(run.genes),
            files=run.files,
            run=overview.describe(run),
            synthetic=run.marks.synthetic,
            random_weights=random,
            # All backbones were asked the same.
            random_because=explain_random(run.trainings[random[0]]["weights"]["asked"]) if random else "",
            verdict=comparison.declare(run),
            cohort=cohort.describe(run),
            images=images.describe(run),
            comparison=comparison.describe(run),
            picture=picture.describe(run),
            search=search.describe(run),
            errors=errors.describe(run),
            probabilities=probabilities.describe(run),
            training=training.describe(run),
            attributions=attributions.describe(run),
            rankings=rankings.describe(run),
            types=tumour_types.describe(run),
            pathways=pathways.describe(run),
            siblings=siblings.describe(run),
            cross_check=cross_check.describe(run),
            limits=limits.describe(run),
        )
    )
