"""Times of a run's steps: added up over sessions, the inner of two steps counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnas.errors import StateError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.times import EVERY, Clock, read_times


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    return begin_run(tmp_path / "run", tiny)


class Now:
    """A clock that is set by hand."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_steps_add_up_over_sessions_and_whatever_ends_them(run: Run) -> None:
    assert dict(read_times(run).seconds) == {} and read_times(run).total == 0
    for _ in range(2):
        now = Now()
        clock = Clock(run, now)
        now.seconds += 7  # of no step
        with clock.step("outer"):
            now.seconds += 1
            with clock.step("inner"):
                now.seconds += 20
            now.seconds += 2
        with pytest.raises(KeyboardInterrupt), clock.step("broken off"):
            now.seconds += 4
            raise KeyboardInterrupt
    found = read_times(run)
    assert dict(found.seconds) == {"outer": 6.0, "inner": 40.0, "broken off": 8.0}
    assert found.total == 54.0


def test_a_kill_forgets_no_more_than_the_seconds_between_two_writes(run: Run) -> None:
    now = Now()
    clock = Clock(run, now)
    with clock.step("long"):
        for _ in range(50):
            now.seconds += 1
            clock.tick()
            known = read_times(run).seconds.get("long", 0.0)
            assert now.seconds - 100 - known < EVERY


def test_damaged_times_are_said(run: Run) -> None:
    run.write("times.json", {"seconds": {"the test": "long"}})
    with pytest.raises(StateError, match=r"times.json is no times of a run's steps: .* Delete it"):
        read_times(run)
