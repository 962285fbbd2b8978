import gzip
import lzma
import re
from pathlib import Path

import pytest

from hnas.data.sources.read import find, inside, read
from hnas.errors import InputError


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress)])
def test_read_unpacks_by_suffix(tmp_path: Path, suffix: str, pack) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(pack(b"pixels"))
    assert read(path) == b"pixels"


def test_read_stops_a_decompression_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xz"
    path.write_bytes(lzma.compress(bytes(50 * 2**20)))
    assert path.stat().st_size < 2**14
    message = f"{path}: a file may have at most 1,000,000 bytes unpacked, this one has more"
    with pytest.raises(InputError, match=re.escape(message)):
        read(path, largest=1_000_000)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_all_files_together_stay_within_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A limit of each file would let ten of them fill the memory: what is left is asked for each.
    A small file is always read."""
    monkeypatch.setattr("hnas.data.sources.read.ROOM", 2**20)
    path = tmp_path / f"a{suffix}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix](bytes(2**21)))
    for free, left in ((5 * 2**20, None), (None, None), (3 * 2**20, 3 * 2**19), (0, 2**20)):
        monkeypatch.setattr("hnas.data.sources.read.free_memory", lambda free=free: free)
        if left is None:
            assert len(read(path)) == 2**21
        else:
            with pytest.raises(InputError, match=f"it has more than {left:,} bytes unpacked, half"):
                read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("torn.gz", gzip.compress(b"pixels" * 99, mtime=0)[:-9]),
        ("torn.xz", lzma.compress(b"pixels" * 99)[:-9]),
        ("other.gz", b"not packed"),
        ("other.xz", b"not packed"),
        ("flipped.gz", gzip.compress(b"pixels", mtime=0)[:10] + b"\xff" * 20),
        ("empty.xz", b""),
    ],
)
def test_read_names_a_torn_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: cannot be read, fetch it again: .+"):
        read(tmp_path / name)


def test_find_prefers_the_plain_file(tmp_path: Path) -> None:
    assert find(tmp_path, "a", "b") is None
    for name in ("b.xz", "b.gz", "b", "a.gz"):
        (tmp_path / name).touch()
    assert find(tmp_path, "b") == tmp_path / "b"
    assert find(tmp_path, "a", "b") == tmp_path / "a.gz"


def test_links_must_stay_in_the_folder(tmp_path: Path) -> None:
    folder, secret = tmp_path / "data", tmp_path / "secret"
    folder.mkdir()
    secret.touch()
    (folder / "own").touch()
    (folder / "good").symlink_to(folder / "own")
    (folder / "bad").symlink_to(secret)
    assert find(folder, "good") == folder / "good"
    message = f"{folder / 'bad'}: files of a data set must lie in its folder {folder}, this one"
    with pytest.raises(InputError, match=re.escape(message)):
        find(folder, "bad")
    with pytest.raises(InputError, match="leads to"):
        inside(folder / ".." / "secret", folder)
