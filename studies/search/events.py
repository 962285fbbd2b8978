"""What a search tells while it works. The command line draws it; by default nothing is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnas.architecture.arch import Arch

if TYPE_CHECKING:
    from hnas.training.loop import Epoch


class Watch:
    """Override what should be shown."""

    def note(self, text: str) -> None:
        """Something a person should know, in one sentence."""

    def measured(self, done: int, rounds: int) -> None:
        """A round of measuring latencies has ended."""

    def epoch(self, what: str, epoch: Epoch) -> None:
        """An epoch of `what` (a supernet, a network) has ended."""

    def trial(self, stage: int, event: TrialEvent) -> None:
        """An architecture has been scored."""


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
    """Nanoseconds of a batch that the best takes; None where the search has no latencies."""
