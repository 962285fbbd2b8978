"""Differences between two nested values, leaf by leaf, for messages that name exactly them."""

from collections.abc import Iterable, Iterator, Mapping

MISSING = "nothing"


def differences(stored: object, asked: object) -> dict[str, tuple[object, object]]:
    """The leaves that differ, by dotted name, as (stored, asked); `nothing` if one lacks it."""
    was, now = dict(_leaves(stored)), dict(_leaves(asked))
    return {
        name: (was.get(name, MISSING), now.get(name, MISSING))
        for name in {**was, **now}
        if was.get(name, MISSING) != now.get(name, MISSING)
    }


def listed(found: Mapping[str, tuple[object, object]]) -> str:
    """One indented line for each difference."""
    rows = found.items()
    return "\n".join(f"  {name}: stored {was!r}, asked {now!r}" for name, (was, now) in rows)


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The values of nested mappings and lists of mappings, by dotted name."""
    if isinstance(value, Mapping):
        rows: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        rows = enumerate(value)
    else:
        yield name, value
        return
    for key, row in rows:
        yield from _leaves(row, f"{name}.{key}" if name else str(key))
