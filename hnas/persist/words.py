"""Names in a sentence."""

import difflib
from collections.abc import Iterable, Sequence


def few(names: Sequence[str], most: int = 5) -> str:
    """The first names, `most` of them, and how many there are besides."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The known name that is close to an unknown one, if any, and all that are known."""
    close = difflib.get_close_matches(name, names := list(names), n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names)}"
