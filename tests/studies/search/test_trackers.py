"""What a search logs, by fakes of what other programs give."""

from __future__ import annotations

import contextlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
import torch

from hnas.errors import InputError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.search.events import Listener
from hnas.studies.search.search import run_search
from hnas.studies.search.session import Session
from hnas.studies.search.trackers import TRACKERS, tracker


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


Logged = list[tuple[dict[str, float], int | None]]


def fake(name: str, logged: Logged, said: dict[str, Any]) -> ModuleType:
    """The functions of one program that `trackers` calls, by their signatures."""
    module: Any = ModuleType(name)

    def log(metrics: dict[str, float], step: int | None = None) -> None:
        logged.append((metrics, step))

    def init(project: str, name: str, **more: object) -> Any:
        assert ("dir" in more) == (more.get("reinit") == "create_new")  # of wandb
        said.update(project=project, name=name)
        return SimpleNamespace(log=log, define_metric=lambda pattern, step_metric: None)

    if name == "mlflow":
        active: list[str] = []

        @contextlib.contextmanager
        def start_run(run_name: str, nested: bool = False) -> Iterator[Any]:
            assert nested or not active, "Run is already active"
            said.update(name=run_name)
            active.append(run_name)
            yield SimpleNamespace(info=SimpleNamespace(run_id="its id"))
            active.pop()

        def log_metrics(metrics: dict[str, float], step: int, run_id: str) -> None:
            assert run_id == "its id" and not active
            assert all(re.fullmatch(r"[/\w.\- ]*", each) for each in metrics)  # MLflow's own rule
            log(metrics, step)

        module.set_experiment = lambda experiment_name: said.update(project=experiment_name)
        module.start_run, module.log_metrics = start_run, log_metrics
    else:
        module.init = init
    return module


@pytest.mark.parametrize("name", sorted({*TRACKERS} - {"tensorboard"}))
def test_other_programs_hear_the_same(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    logged, said = Logged(), dict[str, Any]()
    monkeypatch.setitem(sys.modules, name, fake(name, logged, said))
    listener = tracker(begin_run(tmp_path / "run", tiny), name)
    assert said == {"project": "hnas", "name": "run"}
    again = tracker(begin_run(tmp_path / "another", tiny), name)
    assert type(again) is type(listener) and said["name"] == "another"
    epoch = SimpleNamespace(loss=2.0, lr=0.1, images_per_second=5, plain=None, epoch=3)
    listener.epoch("supernet of stage 1", cast(Any, epoch))
    record = SimpleNamespace(accuracy=0.5, macs=7)
    event = SimpleNamespace(record=record, best=record, hypervolume=0.25, done=1)
    listener.trial(1, cast(Any, event))
    listener.epoch("the winner, on all images", cast(Any, epoch))
    (first, at), (second, then), (last, _) = logged
    comma = "" if name == "mlflow" else ","
    assert last[f"the winner{comma} on all images/loss"] == 2.0
    steps = [first.pop("supernet of stage 1/step", at), second.pop("stage 1/step", then)]
    assert steps == [3, 1]
    of = "supernet of stage 1"
    assert first == {f"{of}/loss": 2.0, f"{of}/lr": 0.1, f"{of}/images per second": 5.0}
    assert second == {
        "stage 1/score": 0.5, "stage 1/MACs": 7.0, "stage 1/best score": 0.5,
        "stage 1/hypervolume": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize("name", TRACKERS)
def test_without_its_package_it_says_what_to_install(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = begin_run(tmp_path / "run", tiny)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        InputError, match=rf"^log {name} needs its package: pip install 'hnas\[{name}"
    ):
        tracker(run, name)


def test_an_unknown_one_is_refused(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", tiny)
    with pytest.raises(InputError, match=r"^log must be one of tensorboard, .*, got 'paper'$"):
        tracker(run, "paper")
    assert type(tracker(run, None)) is Listener


def test_each_has_an_extra(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*TRACKERS} < {*extras["optional-dependencies"]}
