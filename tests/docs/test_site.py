"""The site: built strictly, so that every link, anchor and page is there; and read without a network."""

import os
import re
import subprocess
import sys

import click
import pytest

from architecture.source_tree import MODULES, ROOT, read_surface
from expressionist.commands.app import app

# What a browser fetches by itself; links that a reader follows may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|link rel="?(?:stylesheet|preload|preconnect))[^>]*["'=]https?://"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site):
    assert FETCHED.search('<link rel="stylesheet" href="https://x.org/a.css">')
    assert FETCHED.search("<script src=https://x.org/a.js>")
    for page in site.rglob("*.html"):
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\W?https?:|@import", style.read_text(encoding="utf-8")), style.name


def test_search_finds_what_the_pages_say(site):
    index = (site / "search/search_index.json").read_text(encoding="utf-8")
    assert all(word in index for word in ("Adrenocortical carcinoma", "compare-explanations", "pixel_of"))


def test_the_reference_has_every_command_and_every_name_that_a_folder_lends(site):
    commands = (site / "commands.html").read_text(encoding="utf-8")
    for name in app.list_commands(click.Context(app)):
        assert f'id="{name}"' in commands
    for module in MODULES:
        folder = module.rpartition(".")[2]
        if folder not in {"commands", "stages"}:
            lent = {name for name in read_surface(module) if not name.isupper()}
            page = (site / f"api/{folder}.html").read_text(encoding="utf-8") if lent else ""
            assert all(re.search(rf'id="[\w.]+\.{name}"', page) for name in lent), module
