"""Errors for Python: they name its arguments, where the command line's name --options."""

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from hnas.errors import HnasError

P = ParamSpec("P")
T = TypeVar("T")

SWITCHES = {"force", "allow-code", "skip-bad-images", "compile", "rescore", "refine", "workers"}
"""Options that are given or not: True in Python."""
_SAID = re.compile(r"\bhnas [a-z-]+(?:(?!\. |[,;\n]).)*|(?<![\w-])--([a-z][a-z-]*)")
"""A command, which stays as it is, or an option."""


def as_arguments(message: str) -> str:
    """A message with its options as Python's arguments: --run as run, --force as force=True."""

    def spelt(found: re.Match[str]) -> str:
        option = found[1]
        if option is None:
            return found[0]
        return option.replace("-", "_") + ("=True" if option in SWITCHES else "")

    return _SAID.sub(spelt, message)


def for_python(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors of hnas name Python's arguments."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except HnasError as error:
            error.args = (as_arguments(str(error)),)
            raise

    return called
