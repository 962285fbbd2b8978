"""The command behind docs/few-images.md, in its smallest form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_rows_are_trained_tested_and_printed(root: Path, tmp_path: Path) -> None:
    written = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.search.recipes", "digits", "--image", "8"]
    command += ["--patch", "2", "--channels", "1", "--d", "12", "--limit", "200", "--epochs", "1"]
    command += ["--rows", "paper", "shifts", "grey", "--all-images", "--json", str(written)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found = json.loads(written.read_text())["test_accuracy"]
    assert list(found) == ["paper", "shifts", "grey"]
    assert all(f"{name:12} {value:.3f}" in done.stdout for name, (value,) in found.items())
    assert "trained on 160" in done.stdout
