"""The command line: commands, params.yaml as a whole, and the times of stages."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.commands.app import run
else:
    __getattr__ = lend(__name__, __file__)
