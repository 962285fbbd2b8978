"""Windows and macOS, as far as Linux can show: without what only Linux has, hnas is imported and
searches."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny import TINY
from tests.test_layers import LIBRARIES, imports, modules

MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")
"""Of the standard library, that Windows lacks."""
OF_OS = ("sysconf", "pread", "preadv", "sched_getaffinity", "getloadavg")
"""Of `os`, that Windows or macOS lacks."""


@pytest.mark.parametrize("floor", LIBRARIES)
def test_nothing_at_import_is_of_linux_alone(root: Path, floor: str) -> None:
    found = {
        f"{module}: {name}"
        for module, path in modules(root, floor).items()
        for name in imports(ast.parse(path.read_text("utf-8")), at_import=True)
        if name.split(".")[0] in MODULES
    }
    assert found == set()


def test_a_search_without_what_only_linux_has(root: Path, tmp_path: Path) -> None:
    """Libraries are imported before: what they need of a system is their own matter."""
    plan = tmp_path / "plan.toml"
    short = {"trials = 12": "trials = 6", "trials = 11": "trials = 5", "epochs = 3": "epochs = 1"}
    short |= {"epochs = 2": "epochs = 1", "top = 2": "top = 1", "images = 0": "images = 1000"}
    text = TINY
    for usual, fewer in short.items():
        assert usual in text
        text = text.replace(usual, fewer)
    plan.write_text(text)
    code = f"""
import os, sys
import torch, optuna, click, rich.progress, filelock, sklearn.datasets, matplotlib.pyplot
import optuna_dashboard, kornia, scipy.stats, safetensors.torch, jinja2
assert not [name for name in sys.modules if name.startswith("hnas")]
for name in {MODULES!r}:
    sys.modules[name] = None
for name in {OF_OS!r}:
    delattr(os, name)
import hnas
found = hnas.search(plan={str(plan)!r}, run={str(tmp_path / "run")!r}, device="cpu")
assert found.result is not None
from pathlib import Path
from hnas.machine import cores, free_memory, load, machine_memory, peak_memory
elsewhere = Path("no such folder")
print(cores(elsewhere) > 0, load() == "", machine_memory(), peak_memory(elsewhere))
from hnas.studies.doctor import _device
print(_device("cpu"))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert first == "True True None 0"
    assert "memory unknown" in second
