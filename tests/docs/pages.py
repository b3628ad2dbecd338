"""The pages that people read, and what they tell them to type."""

import re
import shlex

from architecture.source_tree import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_OPERATORS = {"&&", "||", "|", "&", ";"}
_VARIABLE = re.compile(r"[A-Z_]+=.*")


def list_blocks(page, *languages):
    """List the blocks of code of a page in these languages."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    kept = [(indent, text) for indent, name, text in found if name in languages]
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in kept]


def list_typed(page):
    """List the lines that the console blocks of a page tell to type, and the output that each shows."""
    return [found for block in list_blocks(page, "console") for found in _PROMPT.findall(block)]


def list_lines(page):
    """List what a page tells to type, in blocks of either kind."""
    scripts = [line for block in list_blocks(page, "bash") for line in block.splitlines() if line.strip()]
    return [line for line, _ in list_typed(page)] + scripts


def split_line(line):
    """Split a line of the shell into its commands, without comments and variables set for them."""
    lexer = shlex.shlex(re.sub(r"<(\w+)>", r"\1", line), posix=True, punctuation_chars="&|;")
    lexer.commenters = "#"
    lexer.whitespace_split = True
    commands = [[]]
    for word in lexer:
        if word in _OPERATORS:
            commands.append([])
        elif commands[-1] or not _VARIABLE.fullmatch(word):
            commands[-1].append(word)
    return [words for words in commands if words]
