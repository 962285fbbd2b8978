"""Environments in which hnas is installed, or is not; the network is not needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

BUILT = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "hnas", "studies", "cli")
"""What a wheel is built from."""


def run(*command: object, cwd: Path) -> str:
    """What a command prints; it sees no other checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ran = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def checkout(root: Path, to: Path) -> Path:
    """A copy of a checkout, to be built from; links stay links."""
    to.mkdir()
    for path in (root / name for name in BUILT):
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, to / path.name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(path, to)
    return to


def wheel(source: Path, to: Path) -> Path:
    """The wheel of a checkout or an sdist."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", to, source, cwd=to.parent)
    (built,) = to.glob("*.whl")
    return built


def foreign(to: Path) -> Path:
    """A wheel of somebody else whose packages are called `cli` and `studies`."""
    info = "foreign-1.0.dist-info"
    files = {
        "cli/__init__.py": "",
        "cli/main.py": "raise SystemExit('this is the foreign cli')\n",
        "studies/__init__.py": "raise SystemExit('these are the foreign studies')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    path = to / "foreign-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


class Environment:
    """A new environment that has what hnas needs, from the tests' own, but not hnas."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.folder, self.python = folder, folder / "bin" / "python"
        (self.site,) = folder.glob("lib/python*/site-packages")
        (self.site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def pip(self, *arguments: object) -> None:
        run(self.python, "-m", "pip", "--quiet", *arguments, cwd=self.folder)

    def install(self, *what: object) -> None:
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-compile", *what)
