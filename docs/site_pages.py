"""The pages of the site that are made from elsewhere, so that nothing is written down twice.

MkDocs calls the functions `on_*` when it builds.
"""

import ast
import inspect
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import griffe

from expressionist.commands.app import PANELS, app
from expressionist.data import read_resource

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/expressionist"
# Pages of the checkout that the site has, by what they are called there.
MOVED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)")
_TYPES = "<!-- tumour types -->"
# Of these, the commands are the surface.
_NO_API = {"commands", "stages"}
# Who searches for a word wants what is written about it first.
_LATER = "---\nsearch:\n  boost: 0.2\n---\n\n"


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401  MkDocs's own
    """Add the pages that are made from elsewhere."""
    from mkdocs.structure.files import File

    pages = {"commands.md": write_commands(), **dict(write_api()), **dict(write_notebooks())}
    pages |= {new: (ROOT / old).read_text(encoding="utf-8") for old, new in MOVED.items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Let links lead where their pages are on the site."""
    return turn_links(markdown.replace(_TYPES, write_types()), page.file.src_uri)


def find_page(path: str) -> str | None:
    """Say which page of the site a file of the checkout is, if any."""
    if path.startswith("notebooks/") and (ROOT / path).is_file():
        return path.replace(".ipynb", ".md")
    return path.removeprefix("docs/") if path.startswith("docs/") else MOVED.get(path)


def turn_links(markdown: str, page: str) -> str:
    """Turn the links of a page, which name files from where its source lies in the checkout.

    A file that the site lacks is named without a link.
    """
    sources = {new: old for old, new in MOVED.items()}
    source = page if page.startswith("notebooks/") else sources.get(page, f"docs/{page}")

    def turn(link: re.Match[str]) -> str:
        picture, text, target, anchor = link.groups()
        found = find_page(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        if found is None:
            return text
        return f"{picture}[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{anchor or ''})"

    # Code is left alone.
    parts = re.split(r"(^```.*?^```$|`[^`\n]*`)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if n % 2 else _LINK.sub(turn, part) for n, part in enumerate(parts))


def write_commands() -> str:
    """Write what the commands say of themselves, under the headings of their help."""
    context = click.Context(app, info_name="expressionist")
    parts = [f"# Commands\n\n{app.help}\n"]
    for heading, (extra, names) in PANELS.items():
        needs = f"Needs `pip install 'expressionist[{extra}]'`.\n" if extra else ""
        found = [(name, app.get_command(context, name)) for name in names]
        parts += [f"## {heading}\n\n{needs}", *(_write_command(context, *each) for each in found if each[1])]
    return "\n".join(parts)


def _write_command(above: click.Context, name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, parent=above)
    options = (item for item in command.params if isinstance(item, click.Option))
    records = filter(None, (item.get_help_record(context) for item in options))
    rows = [f"| `{flag}` | {_escape(said)} |" for flag, said in records]
    table = "\n".join(["| option | what it does |", "|---|---|", *rows])
    usage = context.get_usage().removeprefix("Usage: ")
    said = inspect.cleandoc(command.help or "")
    return f"### {name}\n\n```text\n{usage}\n```\n\n{said}\n\n{table}\n"


def _escape(text: str) -> str:
    return re.sub(r"([|<])", r"\\\1", " ".join(text.split()))


def write_api() -> Iterator[tuple[str, str]]:
    """Write a page per folder that lends something, and one for the package itself."""
    for path in sorted(PACKAGE.glob("**/__init__.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).parts[:-1])
        lent = read_surface(path)
        if lent and path.parent.name not in _NO_API:
            entries = "\n\n".join(f"::: {whole}" for whole in lent)
            about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            text = f"{_LATER}# {module}\n\n{about}\n\n{entries}\n"
            yield f"api/{path.parent.name}.md", text


def read_surface(path: Path) -> list[str]:
    """Read which functions and classes a package lends (`surface.lend`), by where they are."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    lent = [f"{node.module}.{item.name}" for node in imports for item in node.names]
    return [whole for whole in lent if not whole.rpartition(".")[2].isupper()]


def write_notebooks() -> Iterator[tuple[str, str]]:
    """Write the notebooks as pages: code and words, as they are in git without what running them gives."""
    from nbconvert import MarkdownExporter

    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        said = f"(`{path.relative_to(ROOT)}`, as it is kept: without what running it gives.)"
        yield f"notebooks/{path.stem}.md", f"{MarkdownExporter().from_filename(str(path))[0]}\n{said}\n"


def write_types() -> str:
    """Write the table of TCGA's study codes."""
    types = read_resource("tumour_types.tsv").merge(read_resource("organ_systems.tsv"), on="code")
    rows = [f"| {row.code} | {row.name} | {row.organ_system} |" for row in types.itertuples(index=False)]
    return "\n".join(["| code | tumour type | organ system |", "|---|---|---|", *rows])


class Doctests(griffe.Extension):
    """Give examples that stand in a docstring without a heading the one that NumPy's style asks for."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401
        """Do so for one module, class, function or attribute."""
        if obj.docstring and "Examples\n---" not in obj.docstring.value:
            obj.docstring.value = re.sub(
                r"\n\n(?=>>> )", "\n\nExamples\n--------\n", obj.docstring.value, count=1
            )
