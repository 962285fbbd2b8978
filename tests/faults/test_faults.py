"""Faults in real searches. Here one of each kind that is quick; `make faults` tries them all."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import tests.faults.several  # noqa: F401  its cases
from tests.faults.cases import CASES, judged, storm
from tests.faults.lab import Lab
from tests.faults.points import (
    EXPORT,
    FIRST,
    IMPORT,
    OTHER,
    PACK,
    QUEUED,
    SEARCH,
    STAGE_3,
    WORKER,
    WRITES,
    Point,
    place_of,
)

POINTS = (*SEARCH, *STAGE_3, *EXPORT, *IMPORT, *PACK, *WORKER, *QUEUED, *FIRST, *OTHER)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with closing(Lab(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


def test_there_are_enough_points_and_no_two_alike() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS) >= 30
    phases = {point.phase for point in POINTS}
    assert {
        "supernet training",
        "checkpoint writing",
        "scoring",
        "storage transaction",
        "hand-off",
        "retraining",
        "export",
    } <= phases
    assert len({point.phase for point in WRITES}) >= 8


@pytest.mark.parametrize("target", sorted({point.target for point in (*POINTS, *WRITES)}))
def test_a_point_names_a_function_of_today(target: str) -> None:
    """A function that was renamed is told here, not after an hour of `make faults`."""
    owner, attribute = place_of(Point(phase="", target=target))
    assert callable(getattr(owner, attribute))


@pytest.mark.parametrize("phase", ["checkpoint writing", "storage transaction", "hand-off"])
def test_killed_there_nothing_is_lost(lab: Lab, phase: str) -> None:
    point = [point for point in SEARCH if point.phase == phase][-1]
    run = lab.place / phase / "run"
    ran = lab.hnas(*lab.search(run), fault="kill", point=point)
    assert judged(lab, run, point.name, ran, -9, "").lost == ()


@pytest.mark.timeout(1800)
def test_killed_at_random_moments_nothing_is_lost(lab: Lab) -> None:
    made = list(storm(lab, 3, seed=1))
    assert made and not [what for one in made for what in one.lost], made


@pytest.mark.parametrize("name", ["SIGKILL: import", "SIGKILL: packing images"])
def test_files_are_whole_after_a_kill(lab: Lab, name: str) -> None:
    made = list(itertools.islice(CASES[name](lab), 3))
    assert len(made) == 3 and not [what for one in made for what in one.lost], made


def test_what_is_lost_is_noticed(lab: Lab) -> None:
    """The judge itself: a run whose winner is another one."""
    run = lab.copy("lost")
    result = run / "result.json"
    result.write_text(result.read_text().replace('"accuracy": 0.', '"accuracy": 0.9', 1))
    ran = lab.hnas(*lab.search(run))
    [what] = judged(lab, run, "", ran, 0, "").lost
    assert what.startswith("result.candidates.0.accuracy: 0.")
    assert "exit code 0, not 9" in judged(lab, run, "", ran, 9, "").lost[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_fault(root: Path, name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", name], cwd=root, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
