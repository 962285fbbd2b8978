"""What a search tells while it works. The command line draws it; by default nothing is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnas.studies.search.stage import TrialEvent

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
