import os
import stat
import subprocess
import sys

import pytest

from hnas.persist import atomic
from hnas.persist.atomic import remove_abandoned, write_all, write_atomic


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


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_several_files_are_written_or_none(tmp_path, monkeypatch, name):
    real, files = os.replace, {tmp_path / name: name.encode() for name in "abc"}

    def fail(source, target):
        if target.name == name:
            raise OSError("no")
        real(source, target)

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_all(files)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    write_all(files)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_the_description_of_files_goes_before_they_do(tmp_path, monkeypatch):
    """Weights of one network and the description of another would read as a network."""
    write_all({tmp_path / "weights": b"1", tmp_path / "described": b"1"})

    def stop(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_all({tmp_path / "weights": b"2", tmp_path / "described": b"2"})
    assert not (tmp_path / "described").exists()
    assert (tmp_path / "weights").read_bytes() == b"1"
