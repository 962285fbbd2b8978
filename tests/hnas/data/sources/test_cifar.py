import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hnas.data import load
from hnas.data.sources import cifar
from hnas.errors import InputError

Write = Callable[..., Path]


def read(folder: Path):
    return load(str(folder), image=32, channels=3)


def test_cifar_10(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "data_batch_10.bin", [1])
    write_cifar(tmp_path / "data_batch_1.bin.gz", [0, 1])
    write_cifar(tmp_path / "data_batch_2.bin.xz", [0])
    write_cifar(tmp_path / "test_batch.bin", [1, 0])
    (tmp_path / "batches.meta.txt").write_text("plane\ncar\n\n")
    source = read(tmp_path)
    assert source.classes == ("plane", "car")
    assert source.train.labels.tolist() == [0, 1, 0, 1]  # batches in the order of their numbers
    assert source.train.pixels[1, :, 5, 5].tolist() == [1, 101, 201]  # RGB, plane by plane
    assert source.test is not None
    assert source.test.labels.tolist() == [1, 0]


def test_cifar_100_takes_the_fine_label(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin.xz", [0, 1, 2], coarse=True)
    write_cifar(tmp_path / "test.bin", [2], coarse=True)
    (tmp_path / "fine_label_names.txt").write_text("apple\nfish\nbaby\n")
    source = read(tmp_path)
    assert source.classes == ("apple", "fish", "baby")
    assert source.train.labels.tolist() == [0, 1, 2]
    assert source.train.pixels[2, :, 0, 0].tolist() == [2, 102, 202]
    assert source.test is not None and source.test.labels.tolist() == [2]


@pytest.mark.parametrize("coarse", [False, True])
def test_without_names_the_record_size_tells(
    tmp_path: Path, write_cifar: Write, coarse: bool
) -> None:
    write_cifar(tmp_path / "train.bin", [1, 0, 2], coarse=coarse)
    source = read(tmp_path)
    assert source.train.labels.tolist() == [1, 0, 2]
    assert source.classes == ("0", "1", "2")
    assert source.test is None


def test_a_torn_file_is_named(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin", [0, 1])
    test = write_cifar(tmp_path / "test.bin", [0, 1])
    test.write_bytes(test.read_bytes()[:-1])
    message = f"{test}: must be whole records of 3073 bytes (CIFAR-10) or 3074 bytes (CIFAR-100)"
    with pytest.raises(InputError, match=re.escape(message) + ", got 6,145 bytes"):
        read(tmp_path)
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"records of 3073 bytes \(CIFAR-10\), got 6,145 bytes"):
        read(tmp_path)


def test_an_empty_file_is_torn(tmp_path: Path, write_cifar: Write) -> None:
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    write_cifar(tmp_path / "train.bin", [])
    with pytest.raises(InputError, match=r"train\.bin: must be whole .*, got 0 bytes"):
        read(tmp_path)


def test_names_must_be_of_one_format(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin", [0, 1])
    (tmp_path / "batches.meta.txt").touch()
    (tmp_path / "fine_label_names.txt").touch()
    message = "keep exactly one of batches.meta.txt and fine_label_names.txt"
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_names_of_the_other_format(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin", [0, 1])
    (tmp_path / "fine_label_names.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"3074 bytes \(CIFAR-100\), got 6,146 bytes"):
        read(tmp_path)


def test_parts_of_two_formats(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin", [0, 1])
    write_cifar(tmp_path / "test.bin", [0, 1], coarse=True)
    with pytest.raises(InputError, match="records of one size, got both sizes"):
        read(tmp_path)


def test_a_label_without_a_name(tmp_path: Path, write_cifar: Write) -> None:
    path = write_cifar(tmp_path / "train.bin", [0, 1, 7])
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    message = f"{path}: labels must be 0 to 1 (batches.meta.txt has 2 names), record 2 has 7"
    with pytest.raises(InputError, match=re.escape(message)):
        read(tmp_path)


def test_names_must_be_text(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "train.bin", [0, 1])
    (tmp_path / "batches.meta.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"batches\.meta\.txt: must be class names in UTF-8"):
        read(tmp_path)


def test_the_training_part_must_be_there_once(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / "test.bin", [0, 1])
    with pytest.raises(InputError, match=r"'train\.bin' is needed and is missing"):
        read(tmp_path)
    write_cifar(tmp_path / "train.bin", [0, 1])
    write_cifar(tmp_path / "data_batch_1.bin", [0, 1])
    with pytest.raises(InputError, match=r"data_batch_\*\.bin or train\.bin, both are there"):
        read(tmp_path)


record = st.builds(
    lambda label, value: bytes([label]) + bytes([value]) * 3072, *[st.integers(0, 255)] * 2
)
records = st.builds(
    lambda parts, extra: b"".join(parts) + bytes(extra),
    st.lists(record, max_size=4),
    st.sampled_from([0, 0, 1, 2, 3]),
)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    content=st.one_of(st.binary(max_size=64), records),
    names=st.one_of(st.none(), st.binary(max_size=12), st.just(b"a\nb")),
    suffix=st.sampled_from(["", ".gz", ".xz"]),
)
@example(content=bytes(3073) + b"\1" + bytes(3072), names=b"a\nb", suffix="")
@example(content=b"", names=b"a\nb", suffix="")
def test_any_bytes_are_images_or_an_input_error(
    tmp_path: Path, content: bytes, names: bytes | None, suffix: str
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / f"train.bin{suffix}").write_bytes(content)
    if names is not None:
        (tmp_path / "batches.meta.txt").write_bytes(names)
    try:
        source = cifar.load(tmp_path)
    except InputError as error:
        assert str(tmp_path) in str(error)
    else:
        assert len(source.train) == len(content) // 3073
        assert source.train.labels.max() < len(source.classes)


def test_cifar10_small(shared: Path) -> None:
    source = load("cifar10-small", image=32, channels=3, root=shared)
    assert source.test is not None
    assert source.classes[:3] == ("airplane", "automobile", "bird")
    assert source.train.labels.bincount().tolist() == [1000] * 10
    assert source.test.labels.bincount().tolist() == [200] * 10
