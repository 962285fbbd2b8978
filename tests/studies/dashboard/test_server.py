"""Refreshing what is shown: when a page asks, beside the answer, with pauses."""

from __future__ import annotations

import threading
import time

import pytest

from hnas.errors import StorageError
from hnas.studies.dashboard.server import Refreshed


@pytest.fixture(autouse=True)
def pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.studies.dashboard.server.PAUSE", 0.05)


class Refreshing:
    """Counts calls; each takes until it is let go on, and fails."""

    def __init__(self) -> None:
        self.calls, self.go_on = 0, threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        self.go_on.wait(5)
        raise StorageError("away")

    def waited_for(self, calls: int) -> bool:
        until = time.monotonic() + 5
        while self.calls < calls and time.monotonic() < until:
            time.sleep(0.005)
        return self.calls == calls


def asked(application: Refreshed, path: str = "/api/studies/1") -> list[bytes]:
    return list(application({"PATH_INFO": path}, None))


def test_it_is_called_beside_the_answer_once_at_a_time_and_bears_failing() -> None:
    refreshing = Refreshing()
    application = Refreshed(lambda environ, start: [b"answer"], refreshing)
    assert asked(application) == [b"answer"]
    assert refreshing.calls == 0, "it has just been made"
    time.sleep(0.06)
    for _ in range(3):
        assert asked(application) == [b"answer"], "it does not wait"
    assert refreshing.waited_for(1)
    refreshing.go_on.set()
    until = time.monotonic() + 5
    while refreshing.calls < 2 and time.monotonic() < until:
        asked(application)
        time.sleep(0.005)
    assert refreshing.calls == 2, "a failure is not the end"


def test_only_pages_of_studies_ask() -> None:
    refreshing = Refreshing()
    application = Refreshed(lambda environ, start: [], refreshing)
    time.sleep(0.06)
    for path in ("/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/2/3"):
        asked(application, path)
    time.sleep(0.02)
    assert refreshing.calls == 0


def test_what_takes_long_is_called_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.studies.dashboard.server.SHARE", 0.001)
    calls = []

    def refresh() -> None:
        calls.append(time.monotonic())
        time.sleep(0.01)  # so that the next is 10 s away

    application = Refreshed(lambda environ, start: [], refresh)
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        asked(application)
        time.sleep(0.01)
    assert len(calls) == 1
