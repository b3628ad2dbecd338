"""One DVC stage per file: `run` takes sections of params.yaml by position and paths by keyword."""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signature:
    """What a stage's `run` takes, as its file says it.

    Parameters
    ----------
    summary : str
        First line of the module.
    sections : tuple of str
        The sections of params.yaml, in order.
    options : dict of str to str
        The keyword-only parameters and their types, as they are written.
    """

    summary: str
    sections: tuple[str, ...]
    options: dict[str, str]


def list_stages(folder: Path = Path(__file__).parent) -> list[str]:
    """List the stages in alphabetical order.

    Parameters
    ----------
    folder : pathlib.Path
        Where their files lie.

    Examples
    --------
    >>> "train" in list_stages()
    True
    """
    return sorted(path.stem for path in folder.glob("[!_]*.py"))


def read_signature(stage: str, folder: Path = Path(__file__).parent) -> Signature:
    """Read what a stage takes without importing it, which may take seconds.

    Parameters
    ----------
    stage : str
        Name of its file.
    folder : pathlib.Path
        Where it lies.

    Examples
    --------
    >>> read_signature("split").sections
    ('split',)
    """
    tree = ast.parse((folder / f"{stage}.py").read_text(encoding="utf-8"))
    run = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    return Signature(
        summary=str(ast.get_docstring(tree)).splitlines()[0],
        sections=tuple(item.arg for item in run.args.posonlyargs + run.args.args),
        options={
            item.arg: ast.unparse(item.annotation or ast.Constant(None)) for item in run.args.kwonlyargs
        },
    )
