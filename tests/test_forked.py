"""Forked processes of the tests end as Python's own do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.forked import Process

LATE = "import threading; threading.Timer(0.1, print, ['late']).start()"


@pytest.mark.parametrize(
    "code",
    [
        "print('done')",
        "import sys; sys.stdout.write('no line')",
        "raise SystemExit",
        "raise SystemExit(3)",
        "raise SystemExit(-1)",
        "raise SystemExit('why')",
        "1 / 0",
        "raise KeyboardInterrupt",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import atexit; atexit.register(print, 'at the end')",
        "import atexit; atexit.register(print, 'at the end'); raise SystemExit(2)",
        LATE,
        "import sys; print('gone'); sys.stdout.flush(); sys.stdout.close()",
    ],
)
def test_they_end_as_python_does(code: str) -> None:
    with Process(["-c", code], stderr=subprocess.PIPE) as process:
        out, errors = process.communicate()
    real = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (process.returncode, out) == (real.returncode, real.stdout)
    assert errors.splitlines()[-1:] == real.stderr.splitlines()[-1:]
