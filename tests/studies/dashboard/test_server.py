"""Refreshing what is shown: when a page asks, beside the answer, with pauses."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from hnas.errors import StorageError
from hnas.studies.dashboard.server import PAUSE, SHARE, STYLE, Refreshed, Styled


class Clock:
    """Seconds that only pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("hnas.studies.dashboard.server.time", SimpleNamespace(monotonic=clock))
    return clock


class Refreshing:
    """Counts calls; each takes until it is let go on, and fails."""

    def __init__(self) -> None:
        self.calls, self.go_on = 0, threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        assert self.go_on.wait(300)
        raise StorageError("away")


def asked(application: Refreshed, path: str = "/api/studies/1") -> list[bytes]:
    return list(application({"PATH_INFO": path}, None))


def wait_until_done(application: Refreshed) -> None:
    """Until the refresh that has begun has ended, and the next may begin."""
    assert application._turn.acquire(timeout=300)
    application._turn.release()


def test_it_is_called_beside_the_answer_once_at_a_time_and_bears_failing(clock: Clock) -> None:
    refreshing = Refreshing()
    application = Refreshed(lambda environ, start: [b"answer"], refreshing)
    assert asked(application) == [b"answer"]
    assert not application._turn.locked(), "it has just been made"
    clock.now += PAUSE
    for _ in range(3):
        assert asked(application) == [b"answer"], "it does not wait"
        assert application._turn.locked()
    refreshing.go_on.set()
    wait_until_done(application)
    assert refreshing.calls == 1
    clock.now += PAUSE
    asked(application)
    wait_until_done(application)
    assert refreshing.calls == 2, "a failure is not the end"


def test_only_pages_of_studies_ask(clock: Clock) -> None:
    refreshing = Refreshing()
    application = Refreshed(lambda environ, start: [], refreshing)
    clock.now += PAUSE
    for path in ("/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/2/3"):
        asked(application, path)
        assert not application._turn.locked()
    assert refreshing.calls == 0


def test_what_takes_long_is_called_seldom(clock: Clock) -> None:
    calls = []

    def refresh() -> None:
        calls.append(clock.now)
        clock.now += 60

    application = Refreshed(lambda environ, start: [], refresh)
    begun = clock.now = clock.now + PAUSE
    while len(calls) < 3:
        asked(application)
        wait_until_done(application)
        clock.now += 1
        assert clock.now < begun + 10 * 60 / SHARE
    first, second, third = calls
    assert first == begun
    for pause in (second - first, third - second):
        assert 60 + 60 / SHARE <= pause <= 62 + 60 / SHARE


@pytest.mark.parametrize(
    ("path", "page", "styled"),
    [
        ("/dashboard/studies/1", b"<head></head><p>", b"<head>" + STYLE + b"</head><p>"),
        ("/dashboard", b"", b""),
        ("/artifacts/1/2/3", b"<head></head>", b"<head></head>"),
    ],
)
def test_pages_of_the_dashboard_have_our_style(path: str, page: bytes, styled: bytes) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(page))), ("X", "kept")])
        return [page[:3], page[3:]]

    said: list[Any] = []
    answer = Styled(application)({"PATH_INFO": path}, lambda *given: said.append(given))
    assert b"".join(answer) == styled
    [(status, headers)] = said
    assert status == "200 OK"
    assert dict(headers) == {"X": "kept", "Content-Length": str(len(styled))}
