import stat

from hnas.files import write_atomic


def test_write_atomic_replaces_the_content(tmp_path):
    file = tmp_path / "x.json"
    write_atomic(file, b"1")
    write_atomic(file, b"22")
    assert file.read_bytes() == b"22" and stat.S_ISREG(file.stat().st_mode)
    assert list(tmp_path.iterdir()) == [file]
