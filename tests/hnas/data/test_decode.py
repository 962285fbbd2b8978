"""Pixels mean what the file means, whatever its format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from hnas.data.size import Size
from hnas.data.sources.files import File, read, suffixes

Write = Callable[..., Path]


def decode(path: Path, *, image: int, channels: int, **how: str) -> torch.Tensor:
    return read(File(str(path), 0), Size(image, channels, **how))


@pytest.mark.parametrize("how", [{}, {"interpolation": "bilinear"}, {"interpolation": "bicubic"}])
@pytest.mark.parametrize("shape", [(20, 60), (60, 20)])
def test_resized_by_the_short_side_and_cropped(
    tmp_path: Path, write_image: Write, shape: tuple[int, int], how: dict[str, str]
) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = decode(write_image(tmp_path / "a.png", array), image=10, channels=1, **how)
    way = Image.Resampling[how.get("interpolation", "bilinear").upper()]
    whole = Image.fromarray(array).resize((shape[1] // 2, shape[0] // 2), way)
    left, top = (side // 2 - 5 for side in whole.size)
    expected = whole.crop((left, top, left + 10, top + 10))
    assert np.array_equal(found[0].numpy(), np.asarray(expected))


def test_exif_orientation_is_honoured(tmp_path: Path, write_image: Write) -> None:
    array = np.zeros((16, 16), dtype=np.uint8)
    array[:8] = 250  # bright on top; orientation 6 says that the camera's top is the right
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write_image(tmp_path / "turned.jpg", array, exif=exif)
    pixels = decode(path, image=16, channels=1)[0].float()
    assert pixels[:, 8:].mean() > 200
    assert pixels[:, :8].mean() < 50


def test_a_large_jpeg_keeps_its_picture(tmp_path: Path, write_image: Write) -> None:
    ramp = np.linspace(0, 255, 800).astype(np.uint8)[None].repeat(800, 0)
    jpeg = decode(write_image(tmp_path / "a.jpg", ramp, quality=95), image=16, channels=1)
    png = decode(write_image(tmp_path / "a.png", ramp), image=16, channels=1)
    assert (jpeg.int() - png.int()).abs().max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pixels(tmp_path: Path, mode: str, channels: int) -> None:
    white = Image.fromarray(np.full((9, 9, 3), 255, dtype=np.uint8))
    picture = (
        Image.fromarray(np.full((9, 9), 40_000, dtype=np.uint16))
        if mode == "I;16"
        else white.convert(mode)
    )
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(path)
    pixels = decode(path, image=4, channels=channels)
    assert pixels.shape == (channels, 4, 4)
    assert pixels.unique().tolist() == [40_000 >> 8 if mode == "I;16" else 255]


def saved(tmp_path: Path, picture: Image.Image, suffix: str, **how: object) -> Path:
    path = tmp_path / f"a{suffix}"
    picture.save(path, **how)
    return path


def half_transparent(mode: str) -> Image.Image:
    """Black; the left half transparent, the right opaque."""
    alpha = Image.fromarray(np.repeat(np.uint8([[0] * 8 + [255] * 8]), 16, axis=0))
    picture = Image.new("L" if mode == "LA" else "RGB", (16, 16))
    picture.putalpha(alpha)
    assert picture.mode == mode
    return picture


def palette() -> Image.Image:
    picture = Image.fromarray(np.repeat(np.uint8([[1] * 8 + [0] * 8]), 16, axis=0), mode="P")
    picture.putpalette([0, 0, 0] * 256)
    return picture


@pytest.mark.parametrize("background", ["white", "grey", "black"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("picture", "suffix", "how"),
    [
        (half_transparent("RGBA"), ".png", {}),
        (half_transparent("LA"), ".png", {}),
        (half_transparent("RGBA"), ".webp", {"lossless": True}),
        (half_transparent("RGBA"), ".tif", {}),
        (palette(), ".png", {"transparency": 1}),
        (palette(), ".png", {"transparency": bytes([255, 0])}),
        (palette(), ".gif", {"transparency": 1}),
    ],
)
def test_what_is_transparent_lies_on_the_background(
    tmp_path, picture, suffix, how, channels, background
) -> None:
    path = saved(tmp_path, picture, suffix, **how)
    found = decode(path, image=16, channels=channels, background=background)
    value = {"white": 255, "grey": 128, "black": 0}[background]
    assert found[:, :, :8].unique().tolist() == [value]
    assert found[:, :, 8:].unique().tolist() == [0]


def test_a_colour_that_stands_for_transparent(tmp_path) -> None:
    for mode, colour in (("RGB", (1, 2, 3)), ("L", 7)):
        path = saved(tmp_path, Image.new(mode, (4, 4), colour), ".png", transparency=colour)
        assert decode(path, image=4, channels=3).unique().tolist() == [255]


def test_half_of_a_colour_is_half_of_it(tmp_path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (4, 4), (200, 0, 100, 128)), ".png")
    red, green, blue = decode(path, image=4, channels=3)[:, 0, 0].tolist()
    assert (red, green, blue) == pytest.approx((227, 127, 177), abs=1)


RAMP = np.arange(16, dtype=np.float64).reshape(4, 4) / 15


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP.astype(np.float32), RAMP * 255),
        ((RAMP * 200).astype(np.float32), RAMP * 200),
        ((RAMP * 4000 - 1000).astype(np.float32), RAMP * 255),
        ((RAMP * 65535).astype(np.uint16), RAMP * 255),
        ((RAMP * 30000 - 1000).astype(np.int32), RAMP * 255),
        ((RAMP * 1e6).astype(np.int32), RAMP * 255),
    ],
)
def test_more_than_eight_bits_are_scaled(tmp_path, values, expected) -> None:
    found = decode(saved(tmp_path, Image.fromarray(values), ".tif"), image=4, channels=1)
    assert np.abs(found[0].numpy() - expected).max() <= 1
    assert torch.equal(decode(tmp_path / "a.tif", image=4, channels=3), found.expand(3, 4, 4))


def test_a_tiff_says_how_large_its_values_get(tmp_path) -> None:
    values = Image.fromarray((RAMP * 4095).astype(np.uint16))
    path = saved(tmp_path, values, ".tif", tiffinfo={341: 4095})
    assert np.abs(decode(path, image=4, channels=1)[0].numpy() - RAMP * 255).max() <= 1


def test_no_number_is_black(tmp_path) -> None:
    values = np.float32([[np.nan, 0.5], [np.inf, 1.0]])
    found = decode(saved(tmp_path, Image.fromarray(values), ".tif"), image=2, channels=1)
    assert found[0].tolist() == [[0, 128], [255, 255]]


def profile(gamma: float) -> bytes:
    """An RGB profile that is sRGB with another gamma, written by hand: lcms makes only sRGB."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132])
    for at in range(132, 132 + 12 * count, 12):
        name, start = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8])
        if name in (b"rTRC", b"gTRC", b"bTRC"):  # a curve of type 0: a power
            curve = b"para" + bytes(6) + bytes(2) + int(gamma * 65536).to_bytes(4)
            data[start : start + len(curve)] = curve
    return bytes(data)


def test_colours_of_another_profile_become_those_of_srgb(tmp_path) -> None:
    picture = Image.new("RGB", (8, 8), (128, 128, 128))
    plain = decode(saved(tmp_path, picture, ".png"), image=4, channels=3)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for how in ({"icc_profile": own}, {"icc_profile": b"none"}):
        assert torch.equal(
            decode(saved(tmp_path, picture, ".png", **how), image=4, channels=3), plain
        )
    darker = saved(tmp_path, picture, ".png", icc_profile=profile(1.0))
    assert decode(darker, image=4, channels=3).unique().tolist() == [188]  # of a linear 0.502


@pytest.mark.parametrize(
    "suffix", [".webp", ".bmp", ".tif", ".gif", ".jfif", ".ppm", ".avif", ".heic"]
)
def test_every_format(tmp_path, suffix) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    assert suffix in suffixes()  # hence it is registered
    picture = Image.new("RGB", (20, 10), (200, 200, 200))
    kinds = {".jfif": {"format": "JPEG"}}
    found = decode(saved(tmp_path, picture, suffix, **kinds.get(suffix, {})), image=4, channels=3)
    assert (found.int() - 200).abs().max() <= 2


def test_the_first_frame_of_several(tmp_path) -> None:
    frames = [Image.new("RGB", (8, 8), (value,) * 3) for value in (10, 100, 200)]
    for suffix in (".gif", ".webp", ".tif", ".png"):
        path = saved(tmp_path, frames[0], suffix, save_all=True, append_images=frames[1:])
        assert (decode(path, image=4, channels=1).int() - 10).abs().max() <= 1


def test_the_content_of_a_file_counts_not_its_suffix(tmp_path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(content, "WEBP", lossless=True)
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    assert decode(tmp_path / "a.jpg", image=4, channels=1).unique().tolist() == [9]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif"])
def test_odd_metadata_is_no_warning_and_a_bomb_an_error(
    tmp_path, monkeypatch, suffix, channels
) -> None:
    """Warnings are errors in tests: a palette whose entries are transparent makes Pillow warn."""
    picture = Image.new("RGB", (8, 8)).quantize(8)
    how = {"transparency": bytes([255] * 7 + [0])} if suffix == ".png" else {}
    path = saved(tmp_path, picture, suffix, **how)
    assert decode(path, image=4, channels=channels).shape == (channels, 4, 4)
    for most in (63, 31):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(Exception, match=r"Image size \(64 pixels\) exceeds limit of"):
            decode(path, image=4, channels=channels)
