"""Batches of searches, one after the other or in several processes.

However a batch ends, every run keeps its finished work and is resumed from there.
"""

import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import torch

from hnas.device import choose
from hnas.errors import HnasError, StateError
from hnas.machine import cpu_seconds
from hnas.studies.dashboard.listener import Annotator
from hnas.studies.experiments.compare import Task
from hnas.studies.run.folder import begin_run
from hnas.studies.run.spent import TimeSpent, add_spent
from hnas.studies.search.events import Listener, Listeners
from hnas.studies.search.search import run_search
from hnas.studies.search.session import Session
from hnas.studies.search.together import uninterrupted


def search_all(
    unfinished: Sequence[Task],
    *,
    device: str,
    jobs: int,
    listener: Callable[[Task], contextlib.AbstractContextManager[Listener]],
) -> Iterator[Task]:
    """Searches each task's run to its end, then yields the task.

    With `jobs` > 1 as many processes work at the same time, each with one torch thread, and show no
    progress.
    """
    if jobs == 1:
        for task in unfinished:
            with listener(task) as one:
                search_one(task, device, one)
            yield task
    else:
        yield from _in_processes(unfinished, device, jobs)


def search_one(task: Task, device: str, listener: Listener) -> None:
    """Searches a run to its end and adds the time it took to the run's; a kill loses that time."""
    run = begin_run(task.folder, task.plan)
    session = Session(run, choose(device), Listeners(listener, Annotator(listener.note)))
    with run.hold(), contextlib.closing(session):
        began, cpu = time.monotonic(), cpu_seconds()
        try:
            run_search(session)
        finally:
            took, worked = time.monotonic() - began, cpu_seconds() - cpu
            add_spent(run, TimeSpent(seconds=took, cpu_seconds=worked))


def _in_processes(unfinished: Sequence[Task], device: str, jobs: int) -> Iterator[Task]:
    """Spawned, not forked: torch's threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    waiting = list(unfinished)
    working: dict[Connection, tuple[Task, SpawnProcess]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < jobs:
                task = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(task, device, theirs))
                with uninterrupted():
                    process.start()
                    working[ours] = (task, process)
                theirs.close()
            for ready in wait(list(working)):
                assert isinstance(ready, Connection)
                task, process = working.pop(ready)
                _check_done(task, ready, process)
                yield task
    finally:
        # A run survives this as it survives anything.
        for _, process in working.values():
            process.kill()
            process.join()


def _work(task: Task, device: str, answer: Connection) -> None:
    """In a process of its own."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    torch.set_num_threads(1)
    try:
        search_one(task, device, Listener())
        answer.send(None)
    except HnasError as error:
        answer.send(error)


def _check_done(task: Task, answer: Connection, process: SpawnProcess) -> None:
    """Raises the error of the process, StateError if it ended without one."""
    try:
        error = answer.recv()
    except EOFError:
        process.join()
        raise StateError(
            f"the process that searched {task.folder} ended with exit code {process.exitcode}. "
            "Finished work is kept: run the same command again"
        ) from None
    process.join()
    if error is not None:
        raise error
