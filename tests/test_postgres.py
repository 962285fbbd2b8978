"""The tests' PostgreSQL ends with the process that started it, however that one ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.postgres import UNTIL_CLOSED

SERVER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
print(os.getpid(), flush=True)
signal.pause()
"""
STARTER = """
import subprocess, sys, time
subprocess.Popen(["sh", "-c", *sys.argv[1:]], stdin=subprocess.PIPE)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at Linux's processes")
def test_a_server_ends_with_whoever_started_it() -> None:
    started = [sys.executable, "-Sc", STARTER, UNTIL_CLOSED, sys.executable, "-Sc", SERVER]
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        starter.kill()
    deadline = time.monotonic() + 120
    while (stat := Path(f"/proc/{server}/stat")).exists() and " Z " not in stat.read_text():
        assert time.monotonic() < deadline, "it goes on alone"
        time.sleep(0.02)
