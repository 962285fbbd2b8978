"""The wheel holds the three floors, the presets, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FLOORS = ("hnas", "studies", "cli")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel, built from a copy: setuptools leaves a build/ behind
    whose old files would come along."""
    source = tmp_path_factory.mktemp("source")
    for floor in (*FLOORS, "tests"):
        shutil.copytree(root / floor, source / floor, ignore=shutil.ignore_patterns("__pycache__"))
    for path in root.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    command = "-m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ."
    subprocess.run([sys.executable, *command.split()], cwd=source, check=True)
    (built,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_top_level_is_the_three_floors(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {*FLOORS, info}
    assert info == "hnas-0.1.0.dist-info"


def test_every_module_and_preset_is_inside(root: Path, wheel: list[str]) -> None:
    wanted = {
        path.relative_to(root).as_posix()
        for floor in FLOORS
        for pattern in ("*.py", "*.toml", "*.jinja")
        for path in (root / floor).rglob(pattern)
    }
    assert "studies/plan/presets/digits.toml" in wanted
    assert wanted == {name for name in wheel if ".dist-info/" not in name}
