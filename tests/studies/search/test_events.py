"""Listeners: who hears what, and in which order."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from hnas.studies.dashboard.listener import Annotator
from hnas.studies.plan.change import refined
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.search.events import Listener, Listeners
from hnas.studies.search.search import run_search
from hnas.studies.search.session import Session

EVENTS = [name for name, _ in inspect.getmembers(Listener, inspect.isfunction)]


class Diary(Listener):
    """Keeps what it hears."""

    def __init__(self, name: str = "", pages: list[tuple[Any, ...]] | None = None) -> None:
        self.name, self.pages = name, [] if pages is None else pages

    def __getattribute__(self, event: str) -> Any:
        if event not in EVENTS:
            return super().__getattribute__(event)
        return lambda *heard: self.pages.append((self.name, event, *heard))


@pytest.mark.parametrize("event", EVENTS)
def test_each_hears_everything_in_their_order(event: str) -> None:
    pages: list[tuple[Any, ...]] = []
    both = Listeners(Diary("first", pages), Diary("second", pages))
    heard = inspect.signature(getattr(Listener(), event)).parameters
    getattr(both, event)(*heard)
    assert pages == [("first", event, *heard), ("second", event, *heard)]


def test_the_steps_of_a_search_are_heard(tmp_path: Path, tiny: Plan) -> None:
    run, diary = begin_run(tmp_path / "tiny", refined(tiny)), Diary()
    with run.hold(), contextlib.closing(Session(run, torch.device("cpu"), diary)) as session:
        run_search(session)
    steps = [page[1:] for page in diary.pages if page[1] not in ("epoch", "trial", "note")]
    assert [step[0] for step in steps] == [
        "planned",
        *("stage_done", "handed_over", "stage_done", "handed_over", "stage_done", "finished"),
    ]
    assert [step[2] for step in steps if step[0] == "stage_done"] == [1, 2, 3]
    (_, _, distribution, nothing), (_, _, same, front) = (s for s in steps if s[0] == "handed_over")
    assert distribution == same and nothing == () and front


def test_an_annotation_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(run: Run) -> None:
        raise ZeroDivisionError("of a figure")

    monkeypatch.setattr("hnas.studies.dashboard.annotate.annotate", fails)
    told: list[str] = []
    Annotator(told.append).finished(run=None)  # type: ignore[arg-type]
    assert told == ["figures and notes for the dashboard could not be written: of a figure"]
