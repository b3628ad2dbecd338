"""Bring the raw files of the chosen source into the checkout."""

import shutil
from dataclasses import asdict
from pathlib import Path

from expressionist.errors import CohortError
from expressionist.params import CohortParams, parse
from expressionist.sources import find_source
from expressionist.store import md5, write_json, write_whole


def run(cohort: CohortParams, *, raw: Path) -> None:
    """Copy the files that a source needs from the incoming folder, and list them with their md5.

    Parameters
    ----------
    cohort : CohortParams
        Source, incoming folder and the source's options.
    raw : pathlib.Path
        Folder to write; each file is called after its option, with its own suffixes.

    Raises
    ------
    CohortError
        If a file is not there.
    """
    source = find_source(cohort.source)
    options = parse(source.Options, cohort.options, f"params.yaml: cohort: {cohort.source}")
    manifest = {}
    with write_whole(raw) as partial:
        partial.mkdir()
        for name in source.NEEDS_FILES:
            given = getattr(options, name)
            if given is None:
                continue
            path = Path(cohort.folder) / given
            if not path.is_file():
                raise CohortError(
                    f"cohort.{cohort.source}.{name} must be a file in {cohort.folder}, but got {given}, "
                    "which is not there. Put the file there, or correct cohort.folder."
                )
            copy = partial / (name + "".join(path.suffixes))
            shutil.copyfile(path, copy)
            manifest[copy.name] = {"from": path.name, "bytes": copy.stat().st_size, "md5": md5(copy)}
        write_json(
            partial / "manifest.json",
            {"source": cohort.source, "options": asdict(options), "files": manifest},
        )
