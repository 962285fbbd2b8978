"""A search stands on no report: nothing that it imports, even in a function, shows anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.test_layers import DOORS, imports, modules

SHOWS = {
    *("hnas.studies.figures", "hnas.studies.findings", "hnas.studies.report"),
    *("hnas.studies.dashboard", "matplotlib", "optuna_dashboard", "jinja2"),
}
BELOW = ("objective", "trials", "proposers", "plan", "run", "scoring", "search")


def ways(root: Path, room: str) -> dict[str, list[str]]:
    """All that the modules of a room import, themselves or through others, and by which way."""
    known = {**modules(root, "hnas"), **modules(root, "studies")}
    known = {name: path for name, path in known.items() if name not in DOORS}
    found = {name: [name] for name in known if name.startswith(room)}
    waiting = [*found]
    while waiting:
        module = waiting.pop()
        for name in imports(ast.parse(known[module].read_text("utf-8")), at_import=False):
            target = name if name in known else name.rpartition(".")[0] or name
            if target not in found:
                found[target] = [*found[module], target]
                waiting += [target] if target in known else []
    return found


def shown(found: dict[str, list[str]]) -> list[str]:
    return [
        " -> ".join(way)
        for name, way in found.items()
        if any(f"{name}.".startswith(f"{one}.") for one in SHOWS)
    ]


@pytest.mark.parametrize("room", BELOW)
def test_no_way_leads_from_a_search_to_what_shows_it(root: Path, room: str) -> None:
    found = ways(root, f"hnas.studies.{room}.")
    assert len(found) > 4 and shown(found) == []


def test_a_way_through_functions_of_others_is_found(root: Path) -> None:
    found = ways(root, "hnas.studies.dashboard.listener")
    assert "hnas.studies.dashboard.listener -> hnas.studies.dashboard.annotate" in shown(found)
    assert "matplotlib" in {name.split(".")[0] for name in found}
