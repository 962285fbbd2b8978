"""The command behind docs/few-images.md, in its smallest form."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.search.recipes import BLOCKS, KINDS, LAST, Row, rows
from hnas.architecture.space import Frame
from hnas.settings import AugmentRules, TrainingRules
from tests.support.forked import Process


@pytest.mark.parametrize(("image", "blocks"), [(24, 3), (32, 2), (64, 2)])
def test_behind_residual_blocks_there_are_as_few_as_in_proposals(image: int, blocks: int) -> None:
    frame = Frame(image=image, channels=3, patch=image // 8, classes=2, d=48, M=BLOCKS, N=3)
    first = Row(frame=frame, training=TrainingRules(epochs=1), augment=AugmentRules())
    made = {name: row.frame for name, row in rows(first).items()}
    assert {name: net.M for name, net in made.items() if net.stem == "residual"} == dict.fromkeys(
        ("residual", "grey-residual", *LAST), blocks
    )
    assert made["jitter"].M == BLOCKS


def test_rows_are_trained_tested_and_printed(tmp_path: Path) -> None:
    written = tmp_path / "rows.json"
    command = ["-m", "benchmarks.search.recipes", "digits", "--image", "8"]
    command += ["--patch", "2", "--channels", "1", "--d", "48", "--limit", "200", "--epochs", "1"]
    rows = ["paper", "jitter", KINDS, "grey-residual", "residual", "cnn", *LAST]
    command += ["--rows", *rows, "--all-images", "--json", str(written)]
    with Process(command, stderr=subprocess.PIPE) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors
    report = json.loads(written.read_text())
    found, losses = report["test_accuracy"], report["test_loss"]
    assert list(found) == list(losses) == rows
    assert losses["jitter"] != losses[KINDS]
    assert losses["teacher"] != losses["residual"] != losses["grey-residual"]
    assert len({losses[name][0] for name in ("residual", *LAST)}) == 1 + len(LAST)
    assert all(f"{name:12} {value:.3f}" in printed for name, (value,) in found.items())
    assert "trained on 160" in printed
