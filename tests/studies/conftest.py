from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.plan import Plan, from_toml

TINY = """
[data]
source = "digits"
limit = 300

[net]
image = 8
channels = 1
patch = 4
classes = 10
d = 12
M = 3
N = 3

[augment]
shift = 1

[stage1]
d_k = 12
K = 3
trials = 12
population = 5
training = { epochs = 3, batch = 64, lr = 3e-3 }

[stage2]
d_k = [6, 12]
d_z = [2, 4]
E = [1, 2]
K = [3, 5]
trials = 11
population = 5
training = { epochs = 2, batch = 64, lr = 3e-3 }

[score]
recalibration = 32

[retrain]
top = 2
training = { epochs = 2, batch = 64, lr = 3e-3, ema = 0.9, drop_path = 0.1 }
"""


@pytest.fixture(scope="session")
def tiny() -> Plan:
    """A whole search in about two seconds."""
    return from_toml(TINY)


def _postgres_program(name: str) -> str | None:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server of the tests' own, without a database name."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    if initdb is None or server is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs PostgreSQL's server and psycopg (.ci/run installs both)")
    user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="hnas-postgres-"))
    if os.geteuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [initdb, "-D", data, "-A", "trust", "-U", "hnas", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **user,
    )  # fmt: skip
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [server, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
        stdout=log, stderr=log, cwd=folder, **user,
    )  # fmt: skip
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"postgresql://hnas:unused@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown
        process.wait(30)
        log.close()
        shutil.rmtree(folder)


@pytest.fixture
def database(postgres: str) -> str:
    """The URL of a new, empty PostgreSQL database."""
    import psycopg

    name = f"d{uuid.uuid4().hex}"
    for _ in range(50):  # it listens a moment before it answers
        try:
            with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return f"{postgres}/{name}"
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.fail("PostgreSQL does not answer")
