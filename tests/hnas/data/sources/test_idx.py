import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hnas.data import load
from hnas.data.sources.idx import read_idx
from hnas.errors import InputError


def test_reads_both_parts(mnist: Path) -> None:
    source = load(str(mnist), image=6, channels=1)
    assert source.name == str(mnist)
    assert source.classes == ("0", "1", "2")
    assert source.train.pixels.shape == (12, 1, 6, 6)
    assert source.train.pixels[:, 0, 3, 3].tolist() == [10 * i for i in range(12)]
    assert source.train.labels.tolist() == [0, 1, 2] * 4
    assert source.test is not None
    assert source.test.labels.tolist() == [0, 1, 2, 0]


def test_labels_may_count_from_one(tmp_path: Path, write_idx: Callable[..., Path]) -> None:
    """As those of EMNIST's letters."""
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.zeros((4, 4, 4)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.array([1, 2, 3, 1]))
    source = load(str(tmp_path), image=4, channels=1)
    assert source.classes == ("1", "2", "3")
    assert source.test is not None
    assert source.train.labels.tolist() == source.test.labels.tolist() == [0, 1, 2, 0]
    assert source.notes == ("its labels count from 1: the classes are 1 to 3",)


def test_images_that_lie_beside_are_counted(mnist: Path) -> None:
    for name in ("LICENSE", "more/cat/1.png", "2.JPG"):
        (mnist / name).parent.mkdir(parents=True, exist_ok=True)
        (mnist / name).touch()
    assert load(str(mnist), image=6, channels=1).notes == (
        "left out 2 files: 2 beside the files that are read (.jpg 1, .png 1)",
    )


def test_resizes_and_colours(mnist: Path) -> None:
    pixels = load(str(mnist), image=9, channels=3).train.pixels
    assert pixels.shape == (12, 3, 9, 9)
    assert pixels[5].unique().tolist() == [50]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize("separator", "-.")
def test_accepts_every_name(
    tmp_path: Path, write_idx: Callable[..., Path], separator: str, suffix: str
) -> None:
    write_idx(tmp_path / f"train-images{separator}idx3-ubyte{suffix}", np.zeros((2, 4, 4)))
    write_idx(tmp_path / f"train-labels{separator}idx1-ubyte{suffix}", np.arange(2))
    source = load(str(tmp_path), image=4, channels=1)
    assert len(source.train) == 2
    assert source.test is None


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_names_a_missing_file(mnist: Path, name: str) -> None:
    (mnist / name).unlink()
    message = f"{mnist}: '{name}' (or .gz, .xz) is needed and is missing"
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(mnist), image=6, channels=1)


def test_a_lone_test_part_is_not_a_data_set(mnist: Path) -> None:
    (mnist / "train-images-idx3-ubyte").unlink()
    (mnist / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"'train-images-idx3-ubyte' .* is missing"):
        load(str(mnist), image=6, channels=1)


HUGE = struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08", "an IDX header has 16 bytes, got 3"),
        (struct.pack(">4I", 0x801, 2, 2, 2) + bytes(8), "must be 0x0803 (unsigned bytes in 3"),
        (struct.pack(">4I", 0x803, 2, 0, 2), "at least 1, the header says 2 x 0 x 2"),
        (struct.pack(">4I", 0x803, 2, 2, 2) + bytes(7), "2 x 2 x 2 = 8 bytes, 7 follow it"),
        (struct.pack(">4I", 0x803, 2, 2, 2) + bytes(9), "2 x 2 x 2 = 8 bytes, 9 follow it"),
        (HUGE, "bytes, 0 follow it; fetch it again"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: .*{re.escape(message)}"):
        read_idx(path, dims=3)


def test_nothing_is_allocated_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(struct.pack(">4I", 0x803, 1000, 1000, 1000))
    tracemalloc.start()
    with pytest.raises(InputError, match="1,000,000,000 bytes, 0 follow it"):
        read_idx(path, dims=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_counts_of_images_and_labels_must_agree(
    mnist: Path, write_idx: Callable[..., Path]
) -> None:
    write_idx(mnist / "t10k-labels-idx1-ubyte", np.zeros(3))
    message = "one label for each of the 4 images of t10k-images-idx3-ubyte, got 3"
    with pytest.raises(InputError, match=message):
        load(str(mnist), image=6, channels=1)


def test_a_test_label_that_was_never_trained_on(
    mnist: Path, write_idx: Callable[..., Path]
) -> None:
    write_idx(mnist / "t10k-labels-idx1-ubyte", np.array([0, 1, 2, 9]))
    with pytest.raises(InputError, match=r"0 to 2 \(3 classes\), the test part has 9"):
        load(str(mnist), image=6, channels=1)


sizes = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1))
headers = st.builds(
    lambda magic, shape, rest: struct.pack(">4I", magic, *shape) + rest,
    st.sampled_from([0x803, 0x801, 0x0D03]),
    st.tuples(sizes, sizes, sizes),
    st.binary(max_size=40),
)


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(st.binary(max_size=64), headers), suffix=st.sampled_from(["", ".gz"]))
@example(content=struct.pack(">4I", 0x803, 1, 2, 3) + bytes(6), suffix="")
def test_any_bytes_are_images_or_an_input_error(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"fuzz{suffix}"
    path.write_bytes(content)
    try:
        images = read_idx(path, dims=3)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert images.numel() == len(content) - 16
        assert images.numpy().tobytes() == content[16:]


def test_fashion_mnist(shared: Path) -> None:
    source = load("fashion-mnist", image=28, channels=1, root=shared)
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (60_000, 10_000)
    assert source.train.labels.bincount().tolist() == [6000] * 10
    # The published mean of the training images is 0.2860.
    assert source.train.pixels.float().mean().item() / 255 == pytest.approx(0.2860, abs=5e-5)
