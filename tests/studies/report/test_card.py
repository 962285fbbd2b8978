"""The card of an exported network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hnas.architecture.arch import SKIPPED, Arch
from hnas.errors import StateError
from hnas.studies.plan.plan import Plan
from hnas.studies.report.card import card
from hnas.studies.run.folder import begin_run
from hnas.studies.run.result import finished_result, write_result
from tests.support import fake_runs


def test_a_card_says_what_skipped_blocks_are(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.finish(run, trials=12)
    result = finished_result(run)
    blocks = (*result.winner.arch.blocks[:-1], SKIPPED)
    write_result(run, replace(result, winner=replace(result.winner, arch=Arch(blocks))))
    assert "□ local, · skipped.\n" in card(run, "net")


def test_a_card_says_what_the_network_is_and_how_good(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    with pytest.raises(StateError, match="has no result yet"):
        card(run, "net")
    fake_runs.finish(run, trials=12, simple=0.95)
    lines = card(run, "net").splitlines()
    assert lines[0] == "---" and lines[4] == "---" and "# net" in lines
    text = "\n".join(lines)
    assert "◧ mixed, □ local.\n" in text
    assert "for 10 classes of grey images, 8 x 8 pixels: 0, 1, 2, " in text
    assert "on the images of digits. 3 blocks: " in text
    assert "| this network | 0.9000 ± 0.0212 | " in text
    assert "| all-global (a ViT) | 0.8000 ± 0.0283 | " in text
    assert "| 1-NN / *raw* | 0.9500 |" in text
    for name, line in (
        ("net", "from net import load"),
        ("a-b", 'load = import_module("a-b").load'),
    ):
        code = card(run, name).split("```python\n")[1].split("```")[0]
        assert line in code.splitlines()
        compile(code, name, "exec")
