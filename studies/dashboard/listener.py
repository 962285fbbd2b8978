"""Annotations while a search works: after each stage, and when it is finished."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hnas.studies.search.events import Listener

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.search.stage import StageResult


class Annotator(Listener):
    """Brings the dashboard's figures, notes and drawings up to the trials of a search.

    A search does not fail for it: `tell` hears why they could not be written.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def stage_done(self, run: Run, stage: int, result: StageResult) -> None:
        self._annotate(run)

    def finished(self, run: Run) -> None:
        self._annotate(run)

    def _annotate(self, run: Run) -> None:
        try:
            from hnas.studies.dashboard.annotate import annotate

            annotate(run)
        except Exception as error:  # whatever it is: `hnas dashboard` makes it again, and tells
            self._tell(f"figures and notes for the dashboard could not be written: {error}")
