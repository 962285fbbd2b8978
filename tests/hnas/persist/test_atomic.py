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
    left = [tmp_path / f".x.json.{dead.pid}-0123abcd.tmp", tmp_path / f".y.json.{zombie.pid}.tmp"]
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


def link(path, victim):
    path.symlink_to(victim)


def dangling(path, victim):
    path.symlink_to(victim.with_name("not-there"))


def same_file(path, victim):
    path.hardlink_to(victim)


@pytest.mark.parametrize("plant", [link, dangling, same_file])
@pytest.mark.parametrize("guessed", [True, False])
def test_nothing_is_written_through_what_others_put_there(tmp_path, monkeypatch, plant, guessed):
    """Whoever may write in the folder knows the process's id, and may even guess the name."""
    victim, chance = tmp_path / "victim", "0123abcd"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda size: chance)
    plant(tmp_path / f".x.json.{os.getpid()}{f'-{chance}' if guessed else ''}.tmp", victim)
    if guessed:
        with pytest.raises(FileExistsError):
            write_atomic(tmp_path / "x.json", b"new")
    else:
        write_atomic(tmp_path / "x.json", b"new")
        assert (tmp_path / "x.json").read_bytes() == b"new"
    assert victim.read_bytes() == b"precious" and not (tmp_path / "not-there").exists()


@pytest.mark.parametrize("plant", [link, dangling, same_file])
def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path, plant):
    victim, file = tmp_path / "victim", tmp_path / "x.json"
    victim.write_bytes(b"precious")
    plant(file, victim)
    write_atomic(file, b"new")
    assert file.read_bytes() == b"new" and not file.is_symlink()
    assert victim.read_bytes() == b"precious" and not (tmp_path / "not-there").exists()


def test_two_writers_of_one_process_do_not_share_a_temporary_file(tmp_path):
    file = tmp_path / "x.json"
    with atomic.replacing(file) as one:
        one.write(b"one")
        write_atomic(file, b"two")
        assert file.read_bytes() == b"two"
    assert file.read_bytes() == b"one" and list(tmp_path.iterdir()) == [file]
