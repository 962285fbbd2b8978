"""What `ps` shows of a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from hnas.cli.screen.title import hide_passwords
given = [*sys.argv]
hide_passwords()
assert sys.argv == given  # the command gets what was typed
sys.stdout.buffer.write(Path("/proc/self/cmdline").read_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process change it")
@pytest.mark.parametrize(
    ("args", "seen"),
    [
        (("--storage", "postgresql://me:hush@h/d"), ("--storage", "postgresql://me:***@h/d*")),
        (("--storage=mysql://me:hush-hush@h", "-v"), ("--storage=mysql://me:***@h******", "-v")),
        (("--storage", "host=h password=hush", "a"), ("--storage", "***" + 17 * "*", "a")),
        (("--storage", "postgresql://a:b@h/hush"), ("--storage", "postgresql://a:***@h/hu")),
        (2 * ("--a", "x://m:hush@h") + ("é\udcff",), 2 * ("--a", "x://m:***@h*") + ("é\udcff",)),
        (("search", "--run", "a:b@c"), ("search", "--run", "a:b@c")),
    ],
)  # fmt: skip
def test_others_see_no_password(root: Path, args: tuple[str, ...], seen: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args], cwd=root, capture_output=True, check=True
    )
    words = ran.stdout.decode(errors="surrogateescape").split("\0")
    assert words[3:-1] == [*seen]


def test_a_command_hides_it_before_it_does_anything(root: Path) -> None:
    """Also if it is refused at once."""
    code = (
        "import atexit, sys; from pathlib import Path; from hnas.cli.main import main; "
        "atexit.register(lambda: print(Path('/proc/self/cmdline').read_bytes())); main()"
    )
    url = "postgresql://me:hush@h/d"
    ran = subprocess.run(
        [sys.executable, "-c", code, "no-such-command", "--storage", url],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 2 and "me:***@h/d" in ran.stdout and "hush" not in ran.stdout
