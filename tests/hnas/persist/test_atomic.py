import errno
import os
import stat
import subprocess
import sys

import pytest

from hnas.persist import atomic
from hnas.persist.atomic import read_regular, remove_abandoned, write_all, write_atomic


def test_write_atomic_replaces_the_content(tmp_path):
    file = tmp_path / "x.json"
    write_atomic(file, b"1")
    write_atomic(file, b"22")
    assert file.read_bytes() == b"22" and stat.S_ISREG(file.stat().st_mode)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_synced_before_it_takes_its_place_and_its_folder_after(tmp_path, monkeypatch):
    """Else a power cut may leave an empty file under the name, or none."""
    done, before = [], len(os.listdir("/dev/fd"))
    sync, place = os.fsync, os.replace

    def synced(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else "file")
        sync(descriptor)

    def placed(source, target):
        done.append("place")
        place(source, target)

    monkeypatch.setattr(atomic.os, "fsync", synced)
    monkeypatch.setattr(atomic.os, "replace", placed)
    write_atomic(tmp_path / "x.json", b"1")
    assert done == ["file", "place", "folder"]
    assert len(os.listdir("/dev/fd")) == before


def test_the_reason_why_nothing_can_be_written_is_kept(tmp_path, monkeypatch):
    def refused(*args):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(atomic.Path, "open", refused)
    with pytest.raises(OSError, match="Read-only file system"):
        write_atomic(tmp_path / "x.json", b"1")


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path):
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_bytes(b"123")
    os.mkfifo(pipe)
    assert read_regular(file) == read_regular(file, 3) == b"123"
    with pytest.raises(OSError, match="may have at most 2 bytes"):
        read_regular(file, 2)
    with pytest.raises(OSError, match="must be a regular file"):
        read_regular(pipe)


def test_what_another_process_has_removed_already_is_no_error(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    remove_abandoned([tmp_path / f".x.json.{dead.pid}-0123abcd.tmp"])


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
    with pytest.raises(OSError, match=r"^no$"):
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
