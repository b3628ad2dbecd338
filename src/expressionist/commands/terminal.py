"""The terminal: what commands say there, which shows names as they are and obeys none."""

import click

from expressionist.errors import make_printable


def say(text: str, *, err: bool = False) -> None:
    """Print lines; names and paths in them may come from anywhere."""
    click.echo(make_printable(text), err=err)
