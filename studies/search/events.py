"""Listeners: a search reports to them what happens. By default nobody listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hnas.architecture.arch import Arch
    from hnas.studies.run.agenda import Agenda
    from hnas.studies.run.folder import Run
    from hnas.studies.search.stage import StageResult
    from hnas.studies.trials.record import Record
    from hnas.training.loop import Epoch


class Stop(Exception):
    """Raised by a listener or a callback, it ends `hnas.search`: what is finished is kept, and the
    same call goes on with the run."""


class Listener:
    """Hears what happens in a search and does nothing about it. Override what matters."""

    def planned(self, agenda: Agenda) -> None:
        """The steps of the search are known: what it has done, and what it has to do."""

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


EVENTS = tuple(name for name in vars(Listener) if not name.startswith("_"))
"""What happens, by the names of the methods that hear it."""


class Listeners(Listener):
    """Several listeners as one: each hears everything, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        for event in EVENTS:
            setattr(self, event, partial(_tell, [getattr(one, event) for one in listeners]))


def _tell(hear: Sequence[Callable[..., None]], *heard: object) -> None:
    for each in hear:
        each(*heard)


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """A trial has been scored and stored: it survives whatever comes."""

    record: Record
    best: Record
    """The highest accuracy of the study so far, of equal ones the cheapest."""
    hypervolume: float
    """Of the study so far: `hnas.studies.trials.pareto`, 0 to 1."""
    done: int
    """Trials the study has with this one."""
    trials: int
    """Trials it shall have."""
