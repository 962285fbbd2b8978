"""Image files as pixels, by one rule for training, packs, predictions and exported networks: the
text of this module is part of every NAME.py that `hnas export` writes.

Needs Pillow and numpy, nothing of hnas.
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

BACKGROUNDS = {"white": 255, "grey": 128, "black": 0}
"""What transparent images are laid on."""
INTERPOLATIONS = ("bilinear", "bicubic")
"""How images are resized; both look at all pixels of a larger one."""
LONGEST = 4
"""How many times the shorter side is kept of the longer one, if a picture is resized whole."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "AVIF", "HEIF")
"""What is decoded, by Pillow's names; AVIF and HEIF only if this Pillow can."""
TAGS = {"SampleFormat": 339, "BitsPerSample": 258, "SMaxSampleValue": 341}


def decode(file: Any, *, image: int, crop_pct: float = 1.0, **how: Any) -> Any:
    """An image file (a path or an open file) as `fitted` gives it, which takes the rest too. Raises
    whatever Pillow raises of a file that is no image, or one so large that it may be a
    decompression bomb."""
    with opened(file, shorter=shorter_side(image, crop_pct)) as picture:
        return fitted(picture, image=image, crop_pct=crop_pct, **how)


@contextmanager
def opened(file: Any, shorter: int = 0) -> Iterator[Any]:
    """An image file as Pillow opens it. Odd metadata is no reason to warn; more pixels than
    `PIL.Image.MAX_IMAGE_PIXELS` are one to stop. A large JPEG that is to have a `shorter` side is
    decoded at a half, a quarter or an eighth, never below twice that."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=known_formats()) as picture:
            if shorter:
                picture.draft(None, (2 * shorter, 2 * shorter))
            yield picture


def shorter_side(image: int, crop_pct: float) -> int:
    """Pixels of the shorter side of a picture from whose middle `image` are cut."""
    return math.floor(image / crop_pct)


def fitted(
    picture: Any,
    *,
    image: int,
    channels: int,
    background: str = "white",
    interpolation: str = "bilinear",
    crop_pct: float = 1.0,
) -> Any:
    """A Pillow image as an array, uint8 (image, image, channels): `upright`, then `centred`."""
    import numpy as np

    square = centred(upright(picture, channels, background), image, interpolation, crop_pct)
    return np.array(square).reshape(image, image, channels)


def upright(picture: Any, channels: int, background: str) -> Any:
    """A Pillow image in L or RGB, of its own size.

    The first frame, turned upright by its EXIF; 16-bit, 32-bit and float values scaled to 8 bits
    (`scaled`); in sRGB, if it comes with another colour profile; laid on the background if it is
    transparent; then grey if `channels` is 1.
    """
    from PIL import ImageOps

    full = _stated(picture)  # the copy that is upright has no tags
    plain = _plain(ImageOps.exif_transpose(picture), full, background)
    return plain.convert("L" if channels == 1 else "RGB")


def centred(picture: Any, image: int, interpolation: str, crop_pct: float) -> Any:
    """The middle of a Pillow image, image x image pixels: all of its centre square, resized; with
    crop_pct < 1 it is resized whole, to `shorter_side`, and `image` of it are cut, as timm does."""
    from PIL import Image, ImageOps

    if crop_pct == 1:
        return ImageOps.fit(picture, (image, image), Image.Resampling[interpolation.upper()])
    whole = resized(picture, shorter_side(image, crop_pct), interpolation)
    left, top = (round((side - image) / 2) for side in whole.size)
    return whole.crop((left, top, left + image, top + image))


def resized(picture: Any, shorter: int, interpolation: str) -> Any:
    """A Pillow image whose shorter side has so many pixels, the longer one in proportion; of one
    that is more than LONGEST times as long, the middle."""
    from PIL import Image

    sides = picture.size
    kept, size = proportions(sides, shorter)
    if size == sides:
        return picture
    left, top = ((side - of) // 2 for side, of in zip(sides, kept, strict=True))
    middle = picture.crop((left, top, left + kept[0], top + kept[1]))
    return middle.resize(size, Image.Resampling[interpolation.upper()])


def proportions(sides: Any, shorter: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is kept of the sides of a picture that is resized whole, and to what."""
    short = min(sides)
    kept = tuple(min(side, LONGEST * short) for side in sides)
    return kept, tuple(shorter * side // short for side in kept)


def scaled(values: Any, full: float = 0) -> Any:
    """Grey values of more than 8 bits, as uint8.

    If the file states the largest value, `full`, it becomes 255. Else whole numbers within 0 to
    65,535 are 16-bit: 256 of them are one. Floats within 0 to 1 times 255, and floats within 0 to
    255 as they are. Everything else from the smallest (0) to the largest value (255) of the image.
    """
    import numpy as np

    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    low, high = (float(f(numbers[finite], initial=0.0)) for f in (np.min, np.max))
    whole = values.dtype.kind in "iu"
    if full and low >= 0 and high <= full:
        found = numbers * (255 / full)
    elif whole and low >= 0 and high < 2**16:
        return (values.astype(np.int64) >> 8).astype(np.uint8)
    elif not whole and low >= 0 and high <= 255:
        found = numbers * (255 if high <= 1 else 1)
    else:
        low = float(numbers[finite].min())
        found = (numbers - low) * (255 / ((high - low) or 1))
    found = np.nan_to_num(found, nan=0.0, posinf=255.0, neginf=0.0)
    return found.round().clip(0, 255).astype(np.uint8)


@lru_cache
def known_formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow can decode."""
    from PIL import Image

    _register_heif()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@lru_cache
def _register_heif() -> bool:
    """Whether HEIC can be read: Pillow needs the package pillow-heif for it."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _plain(picture: Any, full: float, background: str) -> Any:
    """The picture in 8 bits, without transparency, in L, RGB or what Pillow converts to them."""
    import numpy as np
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(scaled(np.asarray(picture), full))
    profile = picture.info.get("icc_profile")
    if not picture.has_transparency_data:
        return _in_srgb(picture, profile)
    layers = picture.convert("RGBA")
    value = BACKGROUNDS[background]
    below = Image.new("RGBA", picture.size, (value, value, value, 255))
    alpha, colours = layers.getchannel("A"), _in_srgb(layers.convert("RGB"), profile)
    colours.putalpha(alpha)
    return Image.alpha_composite(below, colours.convert("RGBA")).convert("RGB")


def _stated(picture: Any) -> float:
    """The largest value that a TIFF states for its whole numbers; 0 if it states none."""
    tags = getattr(picture, "tag_v2", {})
    largest, bits = tags.get(TAGS["SMaxSampleValue"], 0), tags.get(TAGS["BitsPerSample"], 16)
    largest, bits = (v[0] if isinstance(v, tuple) else v for v in (largest, bits))
    return float(largest) or (float(2**bits - 1) if 8 < bits < 16 else 0.0)


def _in_srgb(picture: Any, profile: bytes | None) -> Any:
    """The picture in sRGB, by its colour profile; as it is without one, or with a broken one."""
    if not profile:
        return picture
    picture = picture.convert("RGB") if picture.mode == "P" else picture
    transform = _transform(profile, picture.mode)
    return picture if transform is None else transform.apply(picture)


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any:
    """From a profile to sRGB; None if it is not of this mode, is broken, or is sRGB but for
    rounding."""
    import numpy as np
    from PIL import Image, ImageCms

    spaces = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode not in spaces or own.profile.xcolor_space.strip() != spaces[mode]:
            return None
        transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 16, 3)
    probe = Image.fromarray(grid).convert(mode)
    before, after = (
        np.asarray(p.convert("RGB"), np.int64) for p in (probe, transform.apply(probe))
    )
    return None if np.abs(before - after).max() <= 4 else transform
