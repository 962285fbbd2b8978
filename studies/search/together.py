"""Several networks trained at the same time, each in a process of its own.

The processes write the networks' checkpoints and nothing else; what is told of an epoch goes
through this process, which holds the run. If it ends, whatever the reason, they end, and what they
had finished is resumed as after a kill.
"""

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from subprocess import PIPE, Popen
from typing import Any, Self

import torch

from hnas.data import Data
from hnas.device import describe
from hnas.errors import StateError
from hnas.studies.run.layouts import read_layouts
from hnas.studies.search.apart import (
    BEFORE_KEPT,
    ENDED,
    FEWER,
    NOTE,
    ON_EPOCH,
    Job,
    Setting,
    give,
)
from hnas.studies.search.processes import Crew, at_once
from hnas.studies.search.session import Session
from hnas.training.loop import Context

MODULE = "hnas.studies.search.apart"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A network to train apart."""

    what: str
    """As progress calls it."""
    context: Context
    """Whose listeners hear of it here."""
    job: Callable[[], Job]
    """Made when a process is free, because it has the first weights."""


def train_apart(session: Session, works: Sequence[Work], crew: Crew) -> None:
    """Trains networks by a crew; each ends as its checkpoint.

    Raises what a training raises, StateError if a process ends by itself: then all are ended, and
    what they have kept is resumed.
    """
    setting, waiting = _setting(session, crew.threads), deque(works)
    heard: queue.SimpleQueue[tuple[_Process, Any]] = queue.SimpleQueue()
    count = min(at_once(crew.size, _bytes(setting.data)), len(works))
    if setting.device == "cuda":
        torch.cuda.empty_cache()  # what a supernet took of the first GPU and nobody uses
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(count):
            started.append(stack.enter_context(_Process(crew.threads, heard)))
        for number, process in enumerate(started):
            device = f"cuda:{number}" if setting.device == "cuda" else setting.device
            process.ask(replace(setting, device=device))
            process.begin(waiting.popleft())
        while started:
            process, answer = heard.get()
            if process in started and not process.hear(answer):
                if waiting:
                    process.begin(waiting.popleft())
                else:
                    started.remove(process)
                    process.end()


class _Process(contextlib.AbstractContextManager["_Process"]):
    """One of the processes; its end ends what it does."""

    def __init__(self, threads: int, heard: "queue.SimpleQueue[Any]") -> None:
        self._threads, self._heard = threads, heard
        self._work: Work | None = None

    def __enter__(self) -> Self:
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        with uninterrupted():
            self._process = Popen(
                [sys.executable, "-P", "-m", MODULE],
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": str(self._threads),
                    "OMP_PROC_BIND": "false",  # else all processes are bound to the same cores
                    "PYTHONPATH": paths,
                },
                stdin=PIPE,
                stdout=PIPE,
            )
            _unbind(self._process.pid)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._asked, self._answers = self._process.stdin, self._process.stdout
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def ask(self, what: object) -> None:
        with contextlib.suppress(OSError):  # it has ended: `hear` says so
            give(what, self._asked)

    def begin(self, work: Work) -> None:
        """Lets it train a network."""
        self._work = work
        self.ask(work.job())

    def hear(self, answer: tuple[str, Any] | None) -> bool:
        """Passes on what it tells; False if its training has ended. Raises its error."""
        work = self._work
        assert work is not None
        if answer is None:
            raise StateError(
                f"the process that trained the {work.what} ended with exit code "
                f"{self._process.wait()}. Finished work is kept: run the same command again. "
                f"{FEWER}"
            )
        kind, told = answer
        context = work.context
        if kind == BEFORE_KEPT:
            context.before_kept(told)
            self.ask(None)
        elif kind == ON_EPOCH:
            context.on_epoch(told)
        elif kind == ENDED:
            if told is not None:
                raise told
            return False
        else:
            (context.on_note if kind == NOTE else context.on_refused)(told)
        return True

    def _listen(self) -> None:
        try:
            while True:
                self._heard.put((self, pickle.load(self._answers)))
        except (EOFError, OSError, pickle.UnpicklingError):
            self._heard.put((self, None))
        except Exception as error:  # one of a user's own class, which does not unpickle
            told = f"a process that trains networks failed, and its error cannot be read: {error}"
            self._heard.put((self, (ENDED, StateError(told))))

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it, whatever it does; again, nothing."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._answers.close()
        with contextlib.suppress(OSError):  # what it did not read any more
            self._asked.close()


def _unbind(process: int) -> None:
    """Lets a process have the cores of all threads of this one. OMP_PROC_BIND binds each thread to
    one of them, and what a thread starts to the same."""
    if sys.platform == "linux":
        threads = [int(task) for task in os.listdir("/proc/self/task")]
        with contextlib.suppress(OSError):  # a thread or the process has ended
            os.sched_setaffinity(process, set().union(*map(os.sched_getaffinity, threads)))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds signals back until its end. A process started within never gets them: Ctrl-C reaches
    all processes, but only the one that started them acts on it."""
    if sys.platform == "win32":  # has no masks: Ctrl-C ends all processes, and all resume
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _setting(session: Session, threads: int) -> Setting:
    taught, device = session.teacher if session.cnn else None, session.device
    taught = taught and taught.copied(torch.device("cpu"))
    return Setting(
        data=session.data.to("cpu"),
        device=str(device),
        threads=threads,
        layouts=read_layouts(session.run).get(describe(device)["device"], {}),
        batch=session.plan.score.batch,
        own_teacher=taught,
    )


def _bytes(data: Data) -> int:
    """Of pixels in memory."""
    several = (data.train.pixels, data.held_out.pixels)
    return sum(each.nbytes for each in several if isinstance(each, torch.Tensor))
