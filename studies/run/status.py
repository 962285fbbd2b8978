"""What a run has done so far, read from its files and studies: nothing is made, locked or trained.

Knows no torch, so that it is there at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.architecture.arch import Arch
from hnas.errors import InputError, StateError
from hnas.studies.plan.strategies import Stage
from hnas.studies.run.folder import Run
from hnas.studies.search.stage import front
from hnas.studies.trials.record import Record, Snapshot
from hnas.studies.trials.study import snapshots


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage: its supernet and its study."""

    epochs: int
    """Of the supernet's training, as far as its checkpoint goes."""
    epochs_asked: int
    trials: int
    """Scored and stored."""
    trials_asked: int
    exhausted: bool
    """Everything within the limits has been scored: there are no more trials to be had."""
    front: tuple[Record, ...]
    """The trials that no other dominates, by rising costs."""

    @property
    def best(self) -> Record | None:
        """The highest score, the cheapest of equals; None without trials."""
        return max(self.front, key=lambda record: record.accuracy, default=None)

    @property
    def finished(self) -> bool:
        return self.exhausted or self.trials >= self.trials_asked


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A network of the result."""

    arch: Arch
    d: int
    """Token width: the all-global network has one of its own, to cost what the winner costs."""
    macs: int
    params: int
    score: float | None
    """With inherited weights, 0 to 1; None where it was not searched."""
    accuracy: float
    """Held-out accuracy of the network alone, 0 to 1."""
    test_accuracy: float | None = None
    """0 to 1; only the winner and the all-global network have met the test set."""
    standard_error: float | None = None
    """Of the test accuracy (binomial)."""
    latency: int | None = None
    """Nanoseconds of a batch by the run's table; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer of a run: its result.json."""

    test_images: int
    winner: Tested
    all_global: Tested
    """Trained the same way, at nearly equal MACs, or as fast where the search is for latency."""
    candidates: tuple[Tested, ...]
    """All that were retrained, best score first."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run as it stands."""

    stages: tuple[StageStatus, ...]
    handoff: Arch | None
    """The distribution that stage 2 keeps, once it is chosen; None where there is no stage 2."""
    networks: int
    """Trained alone to the end."""
    result: Result | None

    @property
    def finished(self) -> bool:
        return self.result is not None and all(stage.finished for stage in self.stages)


def read_status(run: Run) -> Status:
    """The run as it stands. Raises StateError where a file is damaged, StorageError."""
    plan = run.plan
    studies = read_studies(run)
    first = studies.get(1)
    handoff = first.user_attrs.get("handoff") if first else None
    indices = sorted(path.name for path in (run.folder / "networks").glob("*.json"))
    trained = [trained_epochs(run, f"networks/{name}") for name in indices]
    return Status(
        stages=tuple(
            _stage(run, number, asked, studies.get(number))
            for number, asked in enumerate(run.stages, 1)
        ),
        handoff=Arch.from_dict(handoff["arch"]) if handoff else None,
        networks=sum(epochs >= plan.retrain.training.epochs for epochs in trained),
        result=read_result(run),
    )


def read_result(run: Run) -> Result | None:
    """The run's answer; None where it has none yet. Raises StateError where it is damaged."""
    value = run.read("result.json")
    if value is None:
        return None
    try:
        images = int(value["test_images"])
        return Result(
            test_images=images,
            winner=_tested(value["winner"], images),
            all_global=_tested(value["all_global"], images),
            candidates=tuple(_tested(network, images) for network in value["candidates"]),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, InputError) as error:
        raise StateError(
            f"{run.folder / 'result.json'} is not the result of a run "
            f"({type(error).__name__}: {error}). Restore it, or delete it to make it anew"
        ) from None


def _tested(value: Mapping[str, Any], images: int) -> Tested:
    accuracy = value.get("test_accuracy")
    return Tested(
        arch=Arch.from_dict(value["arch"]),
        d=int(value["frame"]["d"]),
        macs=int(value["macs"]),
        params=int(value["params"]),
        score=value["score"],
        accuracy=float(value["accuracy"]),
        test_accuracy=accuracy,
        standard_error=None if accuracy is None else standard_error(accuracy, images),
        latency=value.get("latency_ns"),
    )


def standard_error(accuracy: float, images: int) -> float:
    """Of an accuracy measured on so many images (binomial)."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def is_tie(a: float, b: float, images: int) -> bool:
    """Whether two accuracies on the same images cannot be told apart at 95%.

    The error of the difference is that of independent samples, which is the most it can be: two
    networks mostly miss the same images.
    """
    error = math.hypot(standard_error(a, images), standard_error(b, images))
    return abs(a - b) <= 1.96 * error


def scoring_images(run: Run) -> int:
    """Held-out images that the run's trials are scored on; 0 where they are not split yet."""
    images = len((run.read("split.json") or {"held_out": ()})["held_out"])
    return min(run.plan.score.held_out or images, images)


def read_studies(run: Run) -> dict[int, Snapshot]:
    """The studies of a run that exist, by stage. Raises StorageError."""
    own = (run.read("run.json") or {}).get("storage") is None
    if own and not (run.folder / "study.db").exists():
        return {}
    names = [run.study_name(stage) for stage in range(1, len(run.stages) + 1)]
    found = snapshots(run.storage, names)
    return {stage: found[name] for stage, name in enumerate(names, 1) if name in found}


def _stage(run: Run, stage: int, asked: Stage, study: Snapshot | None) -> StageStatus:
    found = study.records if study else ()
    return StageStatus(
        epochs=trained_epochs(run, f"checkpoints/{run.supernet(stage).name}.json"),
        epochs_asked=asked.training.epochs,
        trials=len(found),
        trials_asked=asked.trials,
        exhausted=bool(study and study.user_attrs.get("exhausted")),
        front=tuple(front(found, run.plan.search.objective)),
    )


def trained_epochs(run: Run, index: str) -> int:
    """How far the checkpoint with this index (see hnas.training.checkpoint) goes."""
    value = run.read(index)
    try:
        return int(value["versions"][0]["meta"]["epoch"])
    except (TypeError, KeyError, IndexError, ValueError):
        return 0
