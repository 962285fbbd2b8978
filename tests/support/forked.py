"""Processes of Python that start at once: each is forked off one that has imported everything.

An `import torch` takes seconds, which a test that starts and kills processes would pay for each of
them. What runs is a process like any other: with its own id, memory, signals, environment and exit.
Only a test of what a command imports, or of how fast it starts, needs a new interpreter.

    python -m tests.support.forked DESCRIPTOR     the process that is forked, with a socket
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.support.migrations import read_once

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "torch",
    "torch._dynamo",  # of the first optimizer, with half of sympy
    "kornia.augmentation",
    "sklearn.datasets",
    "sklearn.ensemble",
    "alembic.command",
    "optuna.importance",
    "sqlalchemy.dialects.sqlite",
    "hnas.cli.commands.search",
    "hnas.cli.commands.worker",
    "hnas.cli.main",
    "hnas.cli.screen.progress",
    "hnas.data.sources.packing",
    "hnas.studies.dashboard.annotate",
    "hnas.studies.experiments.compare",
    "hnas.studies.experiments.rank",
    "hnas.studies.scoring.worker",
    "hnas.studies.search.apart",
    "hnas.studies.search.finish",
    "hnas.studies.search.search",
)
"""All that a search imports: what is missing here each process imports again, for seconds."""
LONGEST = 2**17
"""Most bytes of what is asked for."""


class Process:
    """`python ARGUMENTS`, as far as tests use `subprocess.Popen`; its output is text, in UTF-8.

    `-m MODULE` and `-c CODE` are the arguments that it knows. `stderr` may be PIPE or STDOUT. A
    session of its own makes it the leader of all that it starts. With a `stdin`, which is PIPE,
    input and output are bytes.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        cwd: Path = ROOT,
        env: dict[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        ended, tell = os.pipe()
        given = [os.open(os.devnull, os.O_RDONLY), os.dup(1), os.dup(2)]
        if stdout == subprocess.PIPE:
            self.stdout, given[1] = _pipe(given[1], text=stdin is None)
        if stdin == subprocess.PIPE:
            os.close(given[0])
            given[0], write = os.pipe()
            self.stdin = os.fdopen(write, "wb")
        if stderr == subprocess.PIPE:
            self.stderr, given[2] = _pipe(given[2])
        elif stderr == subprocess.STDOUT:
            os.dup2(given[1], given[2])
        asked = {
            "arguments": [*map(str, arguments)],
            "cwd": str(cwd),
            "environment": dict(os.environ) if env is None else env,
            "session": start_new_session,
        }
        with _LOCK:
            socket.send_fds(_server(), [json.dumps(asked).encode()], [*given, tell])
        for descriptor in (*given, tell):
            os.close(descriptor)
        self._ended = os.fdopen(ended, "rb")
        self.pid = int(self._ended.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("python", timeout or 0)
            self.returncode = int(self._ended.readline())
            self._ended.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it prints from now on, and waits for its end."""
        files, texts = (self.stdout, self.stderr), ["", ""]

        def read(i: int, file: IO[str]) -> None:
            with file:
                texts[i] = file.read()

        threads = [
            threading.Thread(target=read, args=(i, file), daemon=True)
            for i, file in enumerate(files)
            if file is not None
        ]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join()
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As Popen's: a process that has ended already is no error."""
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()
        self.wait()


_LOCK = threading.Lock()


def _pipe(instead_of: int, *, text: bool = True) -> tuple[IO[Any], int]:
    os.close(instead_of)
    read, write = os.pipe()
    return os.fdopen(read, encoding="utf-8") if text else os.fdopen(read, "rb"), write


@functools.cache
def _server() -> socket.socket:
    """The process that is forked; it ends when this one does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", str(its.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def prepare() -> None:
    """Imports, so that what is forked off this process has imported it."""
    gc.disable()  # what modules make stays
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    read_once()


def serve(asking: socket.socket) -> None:
    """Forks a process for all that is asked for, until nobody can ask any more."""
    prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    while True:
        asked, descriptors, _, _ = socket.recv_fds(asking, LONGEST, 4)
        with contextlib.suppress(ChildProcessError):  # so that their time counts as this one's
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not asked:
            return
        if os.fork() == 0:
            asking.close()
            _watched(json.loads(asked), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watched(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Forks the process itself, tells its id and how it ends, and ends too."""
    *given, tell = descriptors
    process = os.fork()
    if process == 0:
        os.close(tell)
        for number, descriptor in enumerate(given):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _end(_code(asked))
    for descriptor in given:
        os.close(descriptor)
    os.write(tell, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more
        os.write(tell, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _code(asked: dict[str, Any]) -> int:
    """Runs what is asked; what Python would end with, below 0 a signal, and say."""
    try:
        _run(asked)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        return -signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """Ends as Python does, but does not take apart all that was imported: that takes half a second.
    Processes that are not forked still do."""
    threading._shutdown()  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except OSError:
            code = code or 120
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _run(asked: dict[str, Any]) -> None:
    if asked["session"]:
        os.setsid()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    paths = asked["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [asked["cwd"], *filter(None, paths)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, what, *rest = asked["arguments"]
    if kind == "-m":
        sys.argv[1:] = rest
        sys.modules.pop(what, None)  # as if it had not been imported
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [kind, *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
