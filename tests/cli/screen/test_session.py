"""What a search prints of its stages."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from hnas.architecture.arch import Arch, Block
from hnas.cli.screen.session import show_front
from hnas.studies.plan.change import with_values
from hnas.studies.plan.toml import load_preset
from hnas.studies.run import status
from hnas.studies.trials.record import Record

KINDS = (Block(G=3, L=0, d_k=48, d_z=4), Block(G=1, L=2, d_k=48, d_z=4, E=1, K=17))


@pytest.mark.parametrize("pick", ["score", "smoothed", "smoothed-loss"])
def test_smoothed_scores_are_shown_where_they_pick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pick: str
) -> None:
    monkeypatch.setattr(status, "scoring_images", lambda run: 100)
    trials = [
        Record(
            number=i, generation=0, arch=Arch(blocks), accuracy=0.5 + 0.1 * blocks.count(KINDS[0]),
            loss=1.0 - 0.1 * blocks.count(KINDS[0]), macs=1000 + i, params=1000, seconds=0.5,
        )
        for i, blocks in enumerate(itertools.product(KINDS[::-1], repeat=5))
    ]  # fmt: skip
    plan = with_values(load_preset("digits"), {"search.pick": pick})
    run: Any = SimpleNamespace(plan=plan)
    show_front(run, 1, trials)
    shown = capsys.readouterr().out
    assert "Stage 1: 6 of 32 trials are on the Pareto front:" in shown
    said = {"smoothed": "Smoothed: the score ", "smoothed-loss": "Smoothed loss: the loss "}
    for name, words in said.items():
        head = f"  {name.replace('-', ' ')}  "
        assert (head in shown) is (words in shown) is (pick == name)
    assert max(map(len, shown.splitlines())) <= 110
