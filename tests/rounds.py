"""How much is tried at random, and how often something is killed: little, or much where it is CI."""

import os

SIZE = os.environ.get("EXPRESSIONIST_TEST_ROUNDS") or ("large" if os.environ.get("CI") else "small")
if SIZE not in ("small", "large"):
    raise ValueError(f"EXPRESSIONIST_TEST_ROUNDS must be small or large, but got {SIZE}. Set one of them.")


def count_rounds(small, large):
    """Give the number of rounds for the size that was asked for."""
    return large if SIZE == "large" else small
