"""Faults of searches that are several processes: workers on one database, and torchrun's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.cases import NotPossible, Try, case, told
from tests.faults.lab import Lab, Ran
from tests.faults.outcome import lost, outcome
from tests.faults.points import FIRST, OTHER, QUEUED, WORKER, Point
from tests.support.forked import Process
from tests.support.ports import free_port
from tests.support.postgres import Server, new_database, served

ENDS = 1800.0
"""Seconds within which a search ends, or a process that has lost another one, on a busy machine."""
SHARED = tuple(
    word
    for table in ("stage1.training", "stage2.training", "retrain.training")
    for word in ("--set", f"{table}.micro_batch=32")
)
"""Batches of 64 in two parts, one for each process."""


@contextmanager
def _database() -> Iterator[Server]:
    try:
        with served() as server:
            yield server
    except pytest.skip.Exception as reason:
        raise NotPossible(str(reason)) from None


def _ended(process: Process) -> Ran:
    out, err = process.communicate(ENDS)
    assert process.returncode is not None
    return Ran(code=process.returncode, out=out, err=err)


@case("SIGKILL: a worker")
def _worker(lab: Lab) -> Iterator[Try]:
    with _database() as server:
        for i, point in enumerate(WORKER):
            url, run = new_database(server.url), lab.place / f"worker {i}" / "run"
            search = lab.start(*_by_workers(lab, run, url))
            struck = lab.hnas(*_work(url), fault="kill", point=point)
            yield _scored(lab, run, url, point, told(struck, -9, ""), search)


@case("SIGKILL: a search by workers")
def _queued(lab: Lab) -> Iterator[Try]:
    with _database() as server:
        for i, point in enumerate(QUEUED):
            url, run = new_database(server.url), lab.place / f"queue {i}" / "run"
            helper = lab.start(*_work(url))
            struck = lab.hnas(*_by_workers(lab, run, url), fault="kill", point=point)
            wrong = told(struck, -9, "")
            yield _scored(lab, run, url, point, wrong, lab.start(*_by_workers(lab, run, url)))
            helper.kill()
            helper.communicate()


def _by_workers(lab: Lab, run: Path, url: str) -> tuple[object, ...]:
    return lab.search(run, "--workers", "--lease", 2, "--storage", url)


def _work(url: str) -> tuple[object, ...]:
    return ("worker", "--device", "cpu", "--storage", url)


def _scored(lab: Lab, run: Path, url: str, point: Point, wrong: list[str], search: Process) -> Try:
    """A search that goes on with another worker ends as one without workers."""
    expected = lab.expected
    helper = lab.start(*_work(url))
    wrong += told(_ended(search), 0, "")
    helper.kill()
    helper.communicate()
    wrong += [] if wrong else lost(expected, outcome(run, url))
    return Try(where=point.name, lost=tuple(wrong), message="")


@case("SIGKILL: a process of torchrun")
def _torchrun(lab: Lab) -> Iterator[Try]:
    for rank, points in enumerate((FIRST, OTHER)):
        for i, point in enumerate(points):
            run = lab.place / f"torchrun {rank} {i}" / "run"
            first, other = _together(lab, run, rank, point)
            struck, left = (first, other) if rank == 0 else (other, first)
            wrong = told(struck, -9, "")
            if left.code in (0, -9) or "Traceback" in left.err:
                wrong.append(f"the other one ended with {left.code}: {left.message[-300:]}")
            for again in _together(lab, run):
                wrong += told(again, 0, "")
            wrong += [] if wrong else lost(lab.expected_of(*SHARED), outcome(run))
            yield Try(where=point.name, lost=tuple(wrong), message=left.message)


def _together(lab: Lab, run: Path, rank: int = 0, point: Point | None = None) -> list[Ran]:
    """A search by two processes, as torchrun starts them; one of them is killed at the point."""
    rendezvous = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
    }
    processes = [
        lab.start(
            *lab.search(run, *SHARED),
            point=point if i == rank else None,
            RANK=str(i),
            LOCAL_RANK=str(i),
            **rendezvous,
        )
        for i in range(2)
    ]
    return [_ended(process) for process in processes]
