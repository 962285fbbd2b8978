"""The command behind docs/few-images.md, in its smallest form."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.forked import Process


def test_rows_are_trained_tested_and_printed(tmp_path: Path) -> None:
    written = tmp_path / "rows.json"
    command = ["-m", "benchmarks.search.recipes", "digits", "--image", "8"]
    command += ["--patch", "2", "--channels", "1", "--d", "12", "--limit", "200", "--epochs", "1"]
    rows = ["paper", "grey-residual", "residual", "cnn", "teacher"]
    command += ["--rows", *rows, "--all-images", "--json", str(written)]
    with Process(command, stderr=subprocess.PIPE) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors
    report = json.loads(written.read_text())
    found, losses = report["test_accuracy"], report["test_loss"]
    assert list(found) == list(losses) == rows
    assert losses["teacher"] != losses["residual"] != losses["grey-residual"]
    assert all(f"{name:12} {value:.3f}" in printed for name, (value,) in found.items())
    assert "trained on 160" in printed
