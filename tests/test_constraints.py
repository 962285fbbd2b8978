"""The pinned versions: every Python that is promised can install them."""

from __future__ import annotations

import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version


def pinned(root: Path) -> dict[str, Version]:
    lines = map(Requirement, (root / "constraints.txt").read_text().split())
    return {canonicalize_name(one.name): Version(str(one.specifier)[2:]) for one in lines}


def test_all_that_is_pinned_runs_on_the_oldest_python(root: Path) -> None:
    """Debian 12 has 3.11.2: a pin that asked for 3.11.5 let nobody there install the tests."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    oldest = f"{project['requires-python'].removeprefix('>=')}.0"
    pins, looked_at = pinned(root), 0
    for one in distributions():
        name = canonicalize_name(one.name)
        if name not in pins or Version(one.version).public != pins[name].public:
            continue
        looked_at += 1
        asked = one.metadata.get("Requires-Python") or ""
        assert SpecifierSet(asked).contains(oldest), f"{name} {one.version} asks for {asked}"
    assert looked_at > len(pins) / 2
