"""Listeners: a search tells them what happens. By default nobody listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnas.architecture.arch import Arch

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.search.stage import StageResult
    from hnas.training.loop import Epoch


class Listener:
    """Hears what happens in a search and does nothing about it. Override what matters."""

    def note(self, text: str) -> None:
        """Something a person should know, in one sentence."""

    def measured(self, done: int, rounds: int) -> None:
        """A round of measuring latencies has ended."""

    def epoch(self, what: str, epoch: Epoch) -> None:
        """An epoch of `what` (a supernet, a network) has ended."""

    def trial(self, stage: int, event: TrialEvent) -> None:
        """An architecture has been scored."""

    def handed_over(self, stage: int, distribution: Arch, front: Sequence[Arch]) -> None:
        """A stage after the first begins, with the distribution of stage 1. Its first generation
        holds `front`, which is empty unless the stage starts from the stage before."""

    def stage_done(self, run: Run, stage: int, result: StageResult) -> None:
        """All trials of a stage are stored."""

    def finished(self, run: Run) -> None:
        """The result has been written."""


class Listeners(Listener):
    """Several listeners as one: each hears everything, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def note(self, text: str) -> None:
        for listener in self._listeners:
            listener.note(text)

    def measured(self, done: int, rounds: int) -> None:
        for listener in self._listeners:
            listener.measured(done, rounds)

    def epoch(self, what: str, epoch: Epoch) -> None:
        for listener in self._listeners:
            listener.epoch(what, epoch)

    def trial(self, stage: int, event: TrialEvent) -> None:
        for listener in self._listeners:
            listener.trial(stage, event)

    def handed_over(self, stage: int, distribution: Arch, front: Sequence[Arch]) -> None:
        for listener in self._listeners:
            listener.handed_over(stage, distribution, front)

    def stage_done(self, run: Run, stage: int, result: StageResult) -> None:
        for listener in self._listeners:
            listener.stage_done(run, stage, result)

    def finished(self, run: Run) -> None:
        for listener in self._listeners:
            listener.finished(run)


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """A trial has been scored and stored: it survives whatever comes."""

    number: int
    """Of the trial in its study, from 0."""
    generation: int
    arch: Arch
    macs: int
    best_accuracy: float
    """The highest of the study so far."""
    best_macs: int
    """What the best costs, the cheapest of equals."""
    hypervolume: float
    """Of the study so far: `hnas.studies.trials.pareto`, 0 to 1."""
    done: int
    """Trials the study has with this one."""
    trials: int
    """Trials it shall have."""
    best_latency: int | None = None
    """Nanoseconds of a batch that the best takes; None if the search has no latencies."""
