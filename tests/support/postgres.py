"""A real PostgreSQL server for tests, that can be stopped and started again."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

UNTIL_CLOSED = '"$0" "$@" <&- & read -r _; kill -INT $!; wait'
"""Runs a server until standard input is closed, however its parent ends; -INT: at once."""


class Server:
    """One server on 127.0.0.1, with its data in `folder`."""

    def __init__(self, folder: Path, program: str, user: dict[str, Any]) -> None:
        self.folder, self._program, self._user = folder, program, user
        self.port = free_port()
        self.url = f"postgresql://hnas:unused@127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens; a moment later it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", UNTIL_CLOSED, self._program, "-D", self.folder / "data",
                 "-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder, "-F"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.folder, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        pytest.fail(f"PostgreSQL does not listen: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self._process is not None:
            self._process.communicate(timeout=300)  # closes the pipe
            self._process = None


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """A server that runs; skips where PostgreSQL is not installed."""
    initdb, program = _program("initdb"), _program("postgres")
    if initdb is None or program is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs PostgreSQL's server and psycopg (.ci/run installs both)")
    user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="hnas-postgres-"))
    if os.geteuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid}
    subprocess.run(
        [initdb, "-D", folder / "data", "-A", "trust", "-U", "hnas", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **user,
    )  # fmt: skip
    server = Server(folder, program, user)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _program(name: str) -> str | None:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


def new_database(url: str) -> str:
    """The URL of a new, empty database of the server."""
    import psycopg

    name = f"d{uuid.uuid4().hex}"
    deadline = time.monotonic() + 120
    while True:  # it listens a moment before it answers
        try:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return f"{url}/{name}"
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
