"""Whole pictures: what is seen of them is what is seen of their files, and crops are of all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hnas.data import augmented as augmented_of
from hnas.data import load, prepare, survey
from hnas.data.images import Images
from hnas.data.on_disk import OnDisk
from hnas.data.prepare import statistics
from hnas.data.size import Size
from hnas.data.sources.files import File, read
from hnas.data.sources.folders import listing
from hnas.data.sources.pack import open_pack
from hnas.data.sources.packing import pack
from hnas.data.whole import RATIOS, boxes
from hnas.errors import InputError, StateError
from hnas.settings import AugmentRules, DataRules

SIDE, SEEN, PCT = 16, 14, 0.875
SIZES = {
    "photo": (75, 50),
    "upright": (48, 64),
    "panorama": (400, 20),
    "strip": (3, 300),
    "exact": (21, SIDE),
    "small": (9, 6),
    "pixel": (1, 1),
}
"""Width and height of the pictures of each class."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures of SIZES, one of them grey, in coloured noise."""
    place, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    for part, of_class in itertools.product(("train", "val"), ("colour", "grey")):
        (place / part / of_class).mkdir(parents=True)
        for name, (width, height) in SIZES.items():
            depth = (3,) if of_class == "colour" else ()
            noise = rng.integers(0, 256, (height, width, *depth), dtype=np.uint8)
            Image.fromarray(noise).save(place / part / of_class / f"{name}.png")
    return place


def packed(folder: Path, to: Path, channels: int = 3, side: int = SIDE) -> Path:
    size = Size(side, channels, interpolation="bicubic", whole=True)
    pack(listing(folder), to, size, shard_bytes=3 * 4 * side**2 * channels)
    return to


@pytest.fixture(scope="module", params=[1, 3])
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory, request) -> tuple[Path, int]:
    return packed(folder, tmp_path_factory.mktemp("pack") / "p", request.param), request.param


def loaded(pack: Path, channels: int, *, image: int = SEEN, crop_pct: float = PCT) -> Images:
    how = {"interpolation": "bicubic", "crop_pct": crop_pct}
    return load(str(pack), image=image, channels=channels, **how).train  # type: ignore[arg-type]


def augmented(
    images: Images, order: Sequence[torch.Tensor], rules: AugmentRules, seeds: Sequence[int]
) -> Iterator[torch.Tensor]:
    return augmented_of(images, order, rules, seeds, mean=torch.full((3,), 0.5))


def pictures(folder: Path) -> list[File]:
    return list(listing(folder).train)


def test_what_is_seen_is_what_is_seen_of_the_files(folder: Path, whole: tuple[Path, int]) -> None:
    """Bit for bit, also of pictures that are smaller than the crop: predictions see them so."""
    images = loaded(*whole)
    size = Size(SEEN, whole[1], "white", "bicubic", PCT)
    for file, one in zip(pictures(folder), images.tensor(), strict=True):
        assert torch.equal(one, read(file, size)), file.path


@pytest.mark.parametrize(("crop_pct", "image"), [(1.0, 16), (1.0, 10), (0.5, 8), (0.9, 9)])
def test_any_share_of_the_shorter_side_is_seen(
    folder: Path, whole: tuple[Path, int], crop_pct: float, image: int
) -> None:
    images = loaded(*whole, image=image, crop_pct=crop_pct)
    assert tuple(images.pixels.shape) == (2 * len(SIZES), whole[1], image, image)
    assert images.tensor().shape == images.pixels.shape


def test_pictures_keep_their_proportions_up_to_a_limit(whole: tuple[Path, int]) -> None:
    found = open_pack(whole[0]).images("train").pixels
    assert isinstance(found, OnDisk) and found.whole
    shapes = dict(zip(sorted(SIZES), found.whole.shapes.tolist(), strict=False))
    assert shapes == {
        "photo": [16, 24],
        "upright": [21, 16],
        "panorama": [16, 64],  # the middle, four times as long as high
        "strip": [12, 3],
        "exact": [16, 21],
        "small": [6, 9],  # never enlarged
        "pixel": [1, 1],
    }


def test_the_middle_is_timms(tmp_path: Path) -> None:
    """Resize to the shorter side, then CenterCrop, written down from torchvision's."""
    noise = np.random.default_rng(0).integers(0, 256, (333, 500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    short = Image.fromarray(noise).resize((int(256 * 500 / 333), 256), Image.Resampling.BICUBIC)
    left, top = round((short.width - 224) / 2), 16
    expected = np.asarray(short.crop((left, top, left + 224, top + 224)))
    found = read(File(str(tmp_path / "a.png"), 0), Size(224, 3, "white", "bicubic", 0.875))
    assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)


def test_random_crops_are_those_boxes_of_the_pictures(whole: tuple[Path, int]) -> None:
    """As Pillow resizes them, to a level or two of antialiasing."""
    images, channels = loaded(*whole), whole[1]
    order, rules = torch.arange(len(images)), AugmentRules(crop=0.08)
    [found] = augmented(images, [order], rules, [7])
    pixels = images.pixels
    assert isinstance(pixels, OnDisk) and pixels.whole
    drawn = boxes(pixels.whole.shapes, 0.08, 7)
    for i, (top, left, height, width) in enumerate(drawn.tolist()):
        shape = pixels.whole.shapes[i]
        number = int(np.searchsorted(pixels.starts, i, side="right")) - 1
        data = np.fromfile(pixels.files[number], np.uint8)[pixels.whole.starts[i] :]
        one = data[: shape.prod() * channels].reshape(*shape, channels)
        box = np.ascontiguousarray(one[top : top + height, left : left + width])
        part = Image.fromarray(box[..., 0] if channels == 1 else box)
        expected = np.asarray(part.resize((SEEN, SEEN), Image.Resampling.BICUBIC))
        expected = expected.reshape(SEEN, SEEN, channels).transpose(2, 0, 1).astype(int)
        assert np.abs(found[i].numpy() - expected).max() <= 2, i


def test_a_crop_is_a_function_of_its_batchs_seed(whole: tuple[Path, int]) -> None:
    images, rules = loaded(*whole), AugmentRules(crop=0.3, flip=True)
    order = [torch.tensor([2, 2, 0, 9]), torch.tensor([1, 2]), torch.tensor([2, 2, 0, 9])]
    one, two, same = augmented(images, order, rules, [5, 6, 5])
    assert torch.equal(one, same) and not torch.equal(one[0], one[1])
    [alone] = augmented(images, order[1:2], rules, [6])
    assert torch.equal(two, alone)


def test_without_a_random_crop_all_other_augmentation_is_of_the_middle(
    whole: tuple[Path, int],
) -> None:
    images, order = loaded(*whole), torch.arange(4)
    [plain] = augmented(images, [order], AugmentRules(), [5])
    assert torch.equal(plain, images.tensor()[:4])
    [flipped] = augmented(images, [order], AugmentRules(flip=True), [5])
    assert not torch.equal(flipped, plain)


def test_random_crops_reach_the_border_that_squares_have_lost(tmp_path: Path) -> None:
    """Pictures with white ends outside their middle square."""
    for name in ("a", "b"):
        (tmp_path / "f" / name).mkdir(parents=True)
        array = np.full((20, 60, 3), 200 if name == "a" else 100, np.uint8)
        array[:, :15] = array[:, 45:] = 255
        Image.fromarray(array).save(tmp_path / "f" / name / "0.png")
    whole = loaded(packed(tmp_path / "f", tmp_path / "whole"), 3)
    pack(listing(tmp_path / "f"), tmp_path / "squares", Size(SEEN, 3, interpolation="bicubic"))
    squares = loaded(tmp_path / "squares", 3, crop_pct=1.0)
    order, rules = [torch.arange(2)] * 30, AugmentRules(crop=0.08)
    assert whole.tensor().max() == squares.tensor().max() == 200
    assert max(some.max() for some in augmented(whole, order, rules, range(30))) == 255


def test_statistics_are_of_all_pixels_that_are_kept(whole: tuple[Path, int]) -> None:
    images = loaded(*whole)
    pixels = images.pixels
    assert isinstance(pixels, OnDisk)
    every = np.concatenate([np.fromfile(path, np.uint8) for path in pixels.files])
    every = every.reshape(-1, whole[1]) / 255
    mean, std = statistics(pixels)
    assert np.allclose(mean, every.mean(axis=0)) and np.allclose(std, every.std(axis=0))


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=9),
    st.floats(0.01, 1),
    st.integers(0, 2**63),
)
def test_crops_lie_within_their_pictures(
    sizes: list[tuple[int, int]], smallest: float, seed: int
) -> None:
    shapes = np.array(sizes)
    found = boxes(shapes, smallest, seed)
    corner, size = found[:, :2], found[:, 2:]
    assert (corner >= 0).all() and (size >= 1).all() and (corner + size <= shapes).all()


def test_crops_are_as_torchvision_draws_them() -> None:
    """Against the algorithm written out, by their distributions: areas, aspects, places."""
    rng, n, (H, W) = np.random.default_rng(0), 20_000, (256, 341)

    def written() -> tuple[int, int, int, int]:
        for _ in range(10):
            area = H * W * rng.uniform(0.08, 1)
            ratio = math.exp(rng.uniform(*map(math.log, RATIOS)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if w <= W and h <= H:
                return int(rng.integers(0, H - h + 1)), int(rng.integers(0, W - w + 1)), h, w
        return 0, 0, 256, 341

    expected = np.array([written() for _ in range(n)], float)
    found = boxes(np.full((n, 2), (H, W)), 0.08, 1).astype(float)
    for one, two in zip(expected.T, found.T, strict=True):
        assert abs(one.mean() - two.mean()) < 5 * one.std() * math.sqrt(2 / n)
        assert abs(one.std() - two.std()) < 0.03 * one.std()
    whole = boxes(np.array([[10, 300], [300, 10], [10, 12]]), 1.0, 0)
    # No crop of all of a strip has an allowed aspect: the largest that has is in the middle.
    assert whole[:2].tolist() == [[0, 143, 10, 13], [143, 0, 13, 10]]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"image": 15},
            "pictures of 16 pixels on the shorter side and 3 channels, you asked for 17",
        ),
        ({"image": 32, "crop_pct": 1.0}, "hnas data pack --short-side 32 --channels 3"),
        ({"channels": 1}, "you asked for 16 (net.image 14 / data.crop_pct 0.875) and 1"),
        ({"interpolation": "bilinear"}, "the pack has images resized by bicubic"),
    ],
)
def test_what_a_pack_cannot_give(
    folder: Path, tmp_path: Path, asked: dict[str, object], message: str
) -> None:
    how = {"image": SEEN, "channels": 3, "interpolation": "bicubic", "crop_pct": PCT} | asked
    with pytest.raises(InputError) as raised:
        load(str(packed(folder, tmp_path / "pack")), **how)  # type: ignore[arg-type]
    assert message in str(raised.value)


@pytest.mark.parametrize("kind", ["digits", "squares"])
def test_squares_cannot_be_cut(folder: Path, tmp_path: Path, kind: str) -> None:
    if kind == "squares":
        pack(listing(folder), tmp_path / "squares", Size(8, 1))
        kind = str(tmp_path / "squares")
    with pytest.raises(InputError, match=r"of which data.crop_pct = 0.5 cannot be cut") as raised:
        load(kind, image=8, channels=1, crop_pct=0.5)
    assert str(raised.value).endswith("hnas data pack --short-side 16 --channels 1")


def test_images_in_memory_say_what_training_never_sees(folder: Path, tmp_path: Path) -> None:
    rules = DataRules(source=str(folder), crop_pct=PCT, interpolation="bicubic", held_out=0.1)
    told = "training too sees only the middle of each picture, 0.875 of its shorter side"
    notes = prepare(rules, image=SEEN, channels=3, seed=0)[0].notes
    advice = (
        f"hnas data pack {folder} --to PACK --short-side 16 --channels 3 --interpolation bicubic"
    )
    assert any(told in note and advice in note for note in notes)
    rules = DataRules(source=str(packed(folder, tmp_path / "p")), crop_pct=PCT, held_out=0.1)
    rules = DataRules(**{**vars(rules), "interpolation": "bicubic"})
    data, split = prepare(rules, image=SEEN, channels=3, seed=0)
    assert not any(told in note for note in data.notes)
    again, _ = prepare(rules, image=SEEN, channels=3, seed=0, kept=split)
    assert again.train.fingerprint == data.train.fingerprint


def test_a_pack_of_whole_pictures_is_known_as_one(whole: tuple[Path, int]) -> None:
    found = survey(str(whole[0]))
    assert found.packed and found.whole and found.side == SIDE and found.interpolation == "bicubic"


@pytest.mark.parametrize("left_out", ["first", "middle", "last"])
def test_a_shard_of_which_all_is_left_out_moves_no_picture(tmp_path: Path, left_out: str) -> None:
    """Shards of two files, one of two that are no images."""
    rng, number = np.random.default_rng(0), {"first": 0, "middle": 1, "last": 2}[left_out]
    for name, shards in (("a", range(3)), ("b", range(1))):
        (tmp_path / "f" / name).mkdir(parents=True)
        for i in range(2 * len(shards)):
            file = tmp_path / "f" / name / f"{i}.png"
            size = (20 + 3 * i, 17, 3)
            Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(file)
            if name == "a" and i // 2 == number:
                file.write_bytes(b"no image")
    found = listing(tmp_path / "f")
    size = Size(SIDE, 3, interpolation="bicubic", whole=True)
    two = 2 * 3 * SIDE**2 * 4 // 3
    pack(found, tmp_path / "pack", size, shard_bytes=two, skip_bad=True)
    images, seen = loaded(tmp_path / "pack", 3), Size(SEEN, 3, "white", "bicubic", PCT)
    there = [file for file in found.train if Path(file.path).read_bytes() != b"no image"]
    assert len(images) == len(there) == 6
    for file, one in zip(there, images.tensor(), strict=True):
        assert torch.equal(one, read(file, seen)), file.path


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_alike_for_packs_and_predictions(
    tmp_path: Path, orientation: int
) -> None:
    """At an eighth of its size, and turned upright."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a", "b"):
        (tmp_path / "f" / name).mkdir(parents=True)
        large = Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC)
        large.save(tmp_path / "f" / name / "0.jpg", exif=exif)
    images = loaded(packed(tmp_path / "f", tmp_path / "pack"), 3)
    pixels = images.pixels
    assert isinstance(pixels, OnDisk) and pixels.whole
    assert pixels.whole.shapes.tolist() == [[16, 21] if orientation == 1 else [21, 16]] * 2
    [file, _] = listing(tmp_path / "f").train
    assert torch.equal(images.tensor()[0], read(file, Size(SEEN, 3, "white", "bicubic", PCT)))


def test_the_room_that_is_asked_for_is_that_of_the_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones take less than their number times the shorter side that is asked."""
    large = 10_000
    to = packed(folder, tmp_path / "pack", side=large)
    needed = sum(path.stat().st_size for path in to.glob("*.u8"))
    usage = "hnas.data.sources.packing.shutil.disk_usage"
    monkeypatch.setattr(usage, lambda _: SimpleNamespace(free=needed))
    packed(folder, tmp_path / "again", side=large)
    monkeypatch.setattr(usage, lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(StateError, match="choose another --to, or a smaller --short-side"):
        packed(folder, tmp_path / "more", side=large)


def test_a_file_that_is_cut_short_is_named(folder: Path, tmp_path: Path) -> None:
    to = packed(folder, tmp_path / "pack")
    images = loaded(to, 3)
    shard = sorted(to.glob("train-*.u8"))[-1]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(StateError, match=f"{shard} cannot be read: it ends at byte"):
        images.tensor()
    with pytest.raises(StateError, match=f"{shard}: .* images are .* bytes, it has"):
        open_pack(to)
