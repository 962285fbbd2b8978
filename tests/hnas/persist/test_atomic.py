import os
import stat
import subprocess
import sys

from hnas.persist.atomic import remove_abandoned, write_atomic


def test_write_atomic_replaces_the_content(tmp_path):
    file = tmp_path / "x.json"
    write_atomic(file, b"1")
    write_atomic(file, b"22")
    assert file.read_bytes() == b"22" and stat.S_ISREG(file.stat().st_mode)
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    dead, zombie = (subprocess.Popen([sys.executable, "-c", ""]) for _ in range(2))
    dead.wait()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked
    left = [tmp_path / f".x.json.{dead.pid}.tmp", tmp_path / f".y.json.{zombie.pid}.tmp"]
    kept = [tmp_path / name for name in (f".z.{os.getpid()}.tmp", ".notes.tmp", "a.1.tmp")]
    for path in (*left, *kept):
        path.write_bytes(b"half")
    write_atomic(tmp_path / "x.json", b"whole")  # its own at once
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "x.json", left[1], *kept])
    remove_abandoned(tmp_path.iterdir())
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "x.json", *kept])
    zombie.wait()
