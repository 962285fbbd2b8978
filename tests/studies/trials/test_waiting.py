"""Pauses between looks."""

from __future__ import annotations

import pytest

from hnas.studies.trials.waiting import PAUSES, Pause


@pytest.mark.parametrize("seconds", [0.1, 1.0, 30.0])
def test_what_comes_slowly_is_looked_for_seldom_and_seen_soon(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    pause, looks = Pause(), []
    for _ in range(3):
        slept.clear()
        while sum(slept) < seconds:
            pause.wait()
        pause.reset()
        looks.append(len(slept))
        assert sum(slept) < 1.75 * seconds
        assert max(slept) <= PAUSES[1]
    assert looks[1] <= looks[0] and looks[2] <= max(4, seconds / PAUSES[1])
