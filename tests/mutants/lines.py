"""Which tests run which lines of a file: a plugin of pytest."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

Seen = Mapping[str, tuple[float, Sequence[int]]]
"""Seconds and lines by the tests' names, in the order in which they ran."""


@dataclass
class Watch:
    """Notes, for each test, the lines of a file that it runs in this process."""

    file: Path
    to: Path
    """Where a `Seen` is written, as JSON."""
    seen: dict[str, tuple[float, list[int]]] = field(default_factory=dict, init=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        lines: set[int] = set()
        began, trace = time.monotonic(), self._trace(lines)
        threading.settrace(trace)
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self.seen[item.nodeid] = (time.monotonic() - began, sorted(lines))

    def pytest_sessionfinish(self) -> None:
        self.to.write_text(json.dumps(self.seen), "utf-8")

    def _trace(self, lines: set[int]) -> Callable[[FrameType, str, Any], Any]:
        is_it = cache(lambda name: Path(name).resolve() == self.file)  # imported through a link

        def inside(frame: FrameType, event: str, _: object) -> Any:
            lines.add(frame.f_lineno)
            return inside

        return lambda frame, event, _: inside if is_it(frame.f_code.co_filename) else None


@dataclass(frozen=True)
class Only:
    """Runs these tests, in this order."""

    names: Sequence[str]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in self.names if name in by_name]


def nearest(seen: Seen, line: int, last: int) -> tuple[list[str], list[str]]:
    """The tests that run one of these lines, the quickest of a file first, and the others: they may
    run it in a process of their own, and what runs at import is of all tests."""

    def quickest(names: Sequence[str]) -> list[str]:
        files = list(dict.fromkeys(name.partition("::")[0] for name in seen))
        return sorted(names, key=lambda name: (files.index(name.partition("::")[0]), seen[name][0]))

    near = [name for name, (_, lines) in seen.items() if any(line <= n <= last for n in lines)]
    others = [name for name in seen if name not in near]
    return quickest(near), quickest(others)
