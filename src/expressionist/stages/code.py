"""Write down what code every other stage hangs on."""

from pathlib import Path

from expressionist.files import Code
from expressionist.params import CohortParams, LayoutParams
from expressionist.stages import list_stages, read_signature

# Its own sections of params.yaml a stage reaches from `run`; the others, and whether sections fit together,
# are not its matter.
_NOT_FOLLOWED = (
    "params.sections:Params",
    "commands.params_file:CHOOSERS",
    "commands.params_file:find_options",
    "commands.params_file:_find_clashes",
    "files.code_digest",
    # Tells MLflow of what is done; no output hangs on that.
    "tracking.live",
    "tracking.publishing",
)


def run(cohort: CohortParams, layout: LayoutParams, *, package: Path | None, out: Path) -> None:
    """Write a text for every stage, which changes when, and only when, an output of the stage may.

    `<stage>.txt` has a line per module or resource that the stage reaches: a digest of what it reaches of it,
    and the names of that. Of sources and layout methods only the chosen one counts; nothing is imported.
    Without a `package`, it is that which runs.
    """
    package = package or Path(__file__).parents[1]
    code = Code(package, {"data.sources": cohort.source.replace("-", "_"), "painting.layouts": layout.method})
    folder = package / "stages"
    out.mkdir(parents=True, exist_ok=True)
    for stage in list_stages(folder):
        if stage != Path(__file__).stem:
            entries = [f"stages.{stage}:run"]
            if read_signature(stage, folder).sections:
                entries.append("commands.params_file:read_params")
            found = code.find(*entries, without=_NOT_FOLLOWED)
            lines = (" ".join([module, digest, *names]) for module, (digest, names) in found.items())
            (out / f"{stage}.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
