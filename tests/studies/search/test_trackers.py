"""What a search logs, by a fake of TensorBoard's writer."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch

from hnas.errors import InputError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.search.events import Listener
from hnas.studies.search.search import run_search
from hnas.studies.search.session import Session
from hnas.studies.search.trackers import tracker


class Writer:
    made: ClassVar[list[Writer]] = []

    def __init__(self, folder: str) -> None:
        self.folder, self.logged, self.flushed = folder, list[tuple[str, float, int]](), 0
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.logged.append((name, value, step))

    def flush(self) -> None:
        self.flushed = len(self.logged)


def test_a_search_logs_every_epoch_and_trial(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run = begin_run(tmp_path / "run", tiny)
    listener = tracker(run, "tensorboard")
    with run.hold(), contextlib.closing(Session(run, torch.device("cpu"), listener)) as session:
        run_search(session, 1)
        [writer] = Writer.made
        assert writer.flushed == len(writer.logged) > 0  # a stage alone finishes nothing
        run_search(session)
    assert writer.folder == str(run.folder / "tensorboard")
    steps: dict[str, list[int]] = {}
    for name, _, step in writer.logged:
        steps.setdefault(name, []).append(step)
    assert steps["supernet of stage 1/loss"] == [1, 2, 3]
    assert steps["stage 1/score"] == steps["stage 1/best score"] == [*range(1, 13)]
    assert steps["network of all-global/held-out accuracy"] == [2]  # the last epoch is judged
    best = [value for name, value, _ in writer.logged if name == "stage 2/best score"]
    assert best == sorted(best)


def test_without_its_package_it_says_what_to_install(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(tmp_path / "run", tiny)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"^log tensorboard needs its package: pip install 'hnas"):
        tracker(run, "tensorboard")
    with pytest.raises(InputError, match=r"^log must be 'tensorboard', got 'paper'$"):
        tracker(run, "paper")
    assert type(tracker(run, None)) is Listener
