"""Names in a sentence."""

from collections.abc import Sequence

SHOWN = 5
"""Most names that a sentence lists."""


def few(names: Sequence[str]) -> str:
    """The first names, and how many there are besides."""
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
