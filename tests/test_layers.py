"""The floors and their rooms: who may import whom, no cycles, nothing slow before it is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HNAS = {
    "torch",
    "numpy",
    "PIL",
    "kornia",
    "safetensors",
    "sklearn",
    "thop",
    "pillow_heif",
    "pyarrow",
    "onnxruntime",
    "triton",
}
STUDIES = HNAS | {
    *("optuna", "optuna_dashboard", "sqlalchemy"),
    *("filelock", "matplotlib", "scipy", "jinja2"),
    *("mlflow", "wandb", "trackio"),
}
CLI = STUDIES | {"click", "rich"}
LIBRARIES = {"hnas": HNAS, "studies": STUDIES, "cli": CLI}
"""What each floor may import of others' code; a floor also imports the floors before it."""
SLOW = {"torch", "optuna", "matplotlib"}
"""What `cli` may import inside functions only."""
DOORS = {"hnas", "hnas.__main__"}
"""`hnas.search`, looked up lazily, and `python -m hnas`: the only arrows upwards."""

ROOMS = {
    "hnas": {
        "errors": "",
        "persist": "errors",
        "machine": "",
        "device": "errors machine",
        "architecture": "errors persist",
        "network": "errors persist device architecture",
        "cost": "errors device architecture network",
        "sampling": "architecture cost",
        "settings": "errors persist machine sampling",
        "data": "errors persist machine settings",
        "exchange": "errors persist architecture network data",
        "scoring": "errors device architecture network settings data",
        "training": "errors persist device network sampling settings data exchange",
        "baselines": "errors persist network settings data scoring training",
        "selftest": "architecture network settings data scoring training",
    },
    "studies": {
        "objective": "",
        "trials": "objective",
        "proposers": "objective trials",
        "plan": "objective proposers",
        "run": "objective trials plan",
        "scoring": "objective trials run",
        "search": "objective trials proposers plan run scoring",
        "request": "trials plan run search",
        "figures": "",
        "findings": "objective trials plan run figures",
        "report": "objective trials plan run figures findings",
        "dashboard": "objective trials run search figures findings report",
        "experiments": "objective trials plan run scoring search figures dashboard",
        "api": "objective trials plan run figures report dashboard experiments request search",
        "doctor": "trials",
    },
    "cli": {
        "screen": "",
        "commands": "screen",
        "python": "screen",
        "main": "screen",
    },
}
"""The rooms of each floor, lowest first, and the rooms of the same floor that each may import:
docs/architecture.md shows this table. A file that lies loose on a floor is a room of its own."""

PRIVATE = {"hnas.studies.trials"}
"""The one room that may import private parts of Optuna."""


def modules(root: Path, floor: str) -> dict[str, Path]:
    """The floor's files by module name. Links are not followed: hnas/studies is another floor."""
    named = {}
    for folder, _, files in os.walk(root / floor):
        for path in (Path(folder) / file for file in files if file.endswith(".py")):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            named[".".join(parts if floor == "hnas" else ("hnas", *parts))] = path
    return dict(sorted(named.items()))


def place(module: str) -> tuple[str, str]:
    """Floor and room of a module; a floor's own `__init__` is in the room ""."""
    floor, room = (*module.split(".")[1:], "", "")[:2]
    return (floor, room) if floor in ("studies", "cli") else ("hnas", floor)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, *, at_import: bool) -> Iterator[str]:
    """Absolute names that are imported: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`.

    at_import: only what runs when the module is imported, not in functions or for type checkers.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: relative import, write it in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (at_import and (is_later or is_type_checking(node))):
            yield from imports(node, at_import=at_import)


def strangers(root: Path, floor: str, allowed: set[str], *, at_import: bool) -> set[str]:
    """`module: import` for each import of a library that the floor may not have."""
    known = allowed | sys.stdlib_module_names | {"hnas"}
    return {
        f"{module}: {name}"
        for module, name in arrows(root, floor, at_import=at_import)
        if name.split(".")[0] not in known
    }


def arrows(root: Path, floor: str, *, at_import: bool = False) -> Iterator[tuple[str, str]]:
    """Every import of the floor, as (module, what it imports)."""
    for module, path in modules(root, floor).items():
        for name in imports(ast.parse(path.read_text("utf-8")), at_import=at_import):
            yield module, name


def between_rooms(root: Path, floor: str) -> set[tuple[str, str]]:
    """The arrows of a floor, as (room, room), without those inside a room."""
    found = set()
    for module, name in arrows(root, floor):
        target = place(name)
        if name.startswith("hnas.") and target[0] == floor and module not in DOORS:
            found.add((place(module)[1], target[1]))
    return {(a, b) for a, b in found if a != b and b != "__version__"}


def cycle(root: Path, floor: str) -> list[str]:
    """Modules of the floor that import each other in a ring when imported; empty where none do."""
    named = modules(root, floor)
    graph: dict[str, set[str]] = {}
    for module, path in named.items():
        names = imports(ast.parse(path.read_text("utf-8")), at_import=True)
        targets = {name if name in named else name.rpartition(".")[0] for name in names}
        graph[module] = {target for target in targets if target in named}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring
    return []


@pytest.mark.parametrize("floor", ROOMS)
def test_a_floor_imports_what_it_may(root: Path, floor: str) -> None:
    assert modules(root, floor)
    assert strangers(root, floor, LIBRARIES[floor], at_import=False) == set()


@pytest.mark.parametrize("floor", ROOMS)
def test_a_floor_imports_no_floor_above(root: Path, floor: str) -> None:
    floors = list(ROOMS)
    above = set(floors[floors.index(floor) + 1 :])
    found = {
        f"{module}: {name}"
        for module, name in arrows(root, floor)
        if name.startswith("hnas.") and place(name)[0] in above and module not in DOORS
    }
    assert found == set()


@pytest.mark.parametrize("floor", ROOMS)
def test_rooms_import_what_the_table_allows(root: Path, floor: str) -> None:
    table = ROOMS[floor]
    assert {place(module)[1] for module in modules(root, floor)} - {"", "__main__"} <= set(table)
    allowed = {(room, other) for room, others in table.items() for other in others.split()}
    order = list(table)
    assert [pair for pair in allowed if order.index(pair[1]) >= order.index(pair[0])] == []
    assert between_rooms(root, floor) == allowed  # what nothing needs is not allowed either


def test_private_parts_of_optuna_stay_in_one_room(root: Path) -> None:
    found = {
        module.rpartition(".")[0]
        for module, name in arrows(root, "studies")
        if name.startswith("optuna.") and any(part.startswith("_") for part in name.split("."))
    }
    assert found <= PRIVATE


def test_cli_imports_nothing_slow_before_it_is_needed(root: Path) -> None:
    assert strangers(root, "cli", CLI - SLOW, at_import=True) == set()


@pytest.mark.parametrize("floor", ROOMS)
def test_no_modules_import_each_other(root: Path, floor: str) -> None:
    assert cycle(root, floor) == []


def house(root: Path, **files: str) -> Path:
    (root / "hnas").mkdir()
    for name, text in files.items():
        (root / "hnas" / f"{name}.py").write_text(text)
    return root


def test_an_import_upwards_is_found_even_in_a_function(tmp_path: Path) -> None:
    text = "import os, json\nfrom hnas import b\ndef f():\n    from optuna.trial import Trial\n"
    root = house(tmp_path, __init__="", a=text)
    assert strangers(root, "hnas", HNAS, at_import=False) == {"hnas.a: optuna.trial.Trial"}
    assert strangers(root, "hnas", HNAS, at_import=True) == set()


def test_an_import_in_a_branch_or_class_runs_at_import(tmp_path: Path) -> None:
    text = "try:\n    import click\nexcept ImportError:\n    pass\nclass A:\n    import rich\n"
    root = house(tmp_path, a=text)
    assert strangers(root, "hnas", HNAS, at_import=True) == {"hnas.a: click", "hnas.a: rich"}


def test_a_cycle_is_found_and_one_for_type_checkers_is_none(tmp_path: Path) -> None:
    unrun = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hnas.a import A\n"
    root = house(tmp_path, __init__="", a="from hnas.b import B\n", b="import hnas.c\n", c=unrun)
    assert cycle(root, "hnas") == []
    (root / "hnas" / "c.py").write_text("from hnas import a\n")
    assert set(cycle(root, "hnas")) == {"hnas.a", "hnas.b", "hnas.c"}


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "cost --help",
        "cost --arch all-global",
        "space --preset glit-base",
        "search --help",
        "status --help",
    ],
)
def test_a_quick_command_imports_neither_torch_nor_optuna(root: Path, command: str) -> None:
    code = (
        "import sys; from hnas.cli.main import hnas; hnas(sys.argv[1:], standalone_mode=False); "
        "print('slow:', {'torch', 'optuna'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "slow: set()"


def test_status_imports_no_torch(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "plan.toml").write_bytes((root / "studies/plan/presets/digits.toml").read_bytes())
    code = (
        "import sys; from hnas.cli.main import hnas; hnas(sys.argv[1:], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "status", "--run", str(run)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "False"
