"""Arrays of numpy and torch as images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hnas.data.images import Images
from hnas.data.pixels import CHANNELS, at_a_time
from hnas.data.size import Size
from hnas.data.sources.files import ask
from hnas.errors import InputError

Values = npt.NDArray[Any]


def _array(name: str, what: str, value: Any) -> Values:
    try:
        return np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    # A ragged list, or an __array__ of the user's own.
    except Exception as error:
        raise InputError(f"{name}: {what} must be an array: {error}") from error


def images_of(name: str, part: str, images: Any, labels: Any) -> Images:
    """Arrays NCHW, NHWC or NHW and labels, as images of their own memory. Raises InputError."""
    pixels, numbers = checked(name, part, images, labels)
    ask(name, len(pixels), pixels.size, "Use a larger machine, or fewer images")
    return Images(
        pixels=torch.from_numpy(eight_bits(f"{name}: {part}_images", pixels)),
        labels=torch.from_numpy(numbers.astype(np.int64)),
    )


def checked(name: str, part: str, images: Any, labels: Any) -> tuple[Values, Values]:
    """Arrays as NCHW, and their labels as whole numbers; nothing is copied. Raises InputError."""
    pixels = _array(name, f"{part}_images", images)
    if pixels.dtype.kind not in "buif" or pixels.ndim not in (3, 4) or 0 in pixels.shape:
        raise InputError(
            f"{name}: {part}_images must be numbers NCHW, NHWC or NHW and not empty, "
            f"got {pixels.dtype} {pixels.shape}"
        )
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    first, last = (pixels.shape[axis] in CHANNELS for axis in (1, 3))
    if first == last:
        found = "both could be" if first else "neither is"
        raise InputError(
            f"{name}: {part}_images must have 1 or 3 channels second (NCHW) or last (NHWC), "
            f"got {pixels.shape}: {found}"
        )
    if last:
        pixels = pixels.transpose(0, 3, 1, 2)
    numbers = _array(name, f"{part}_labels", labels)
    n = len(pixels)
    if numbers.dtype.kind not in "iu" or numbers.shape != (n,):
        raise InputError(
            f"{name}: {part}_labels must be whole numbers, one for each of {n} images, "
            f"got {numbers.dtype} {numbers.shape}"
        )
    # Every class needs an image, so a label of n or more is wrong before its class is counted.
    if part == "train" and not -1 <= int(numbers.min()) <= int(numbers.max()) < n:
        raise InputError(
            f"{name}: train_labels must count the classes from 0, "
            f"got {numbers.min()} to {numbers.max()} for {n} images"
        )
    return pixels, numbers


def fitting(images: Any, size: Size) -> torch.Tensor:
    """Arrays of images as a network takes them: uint8 (n, channels, image, image). Raises
    InputError as `images_of` does."""
    values = _array("images", "predict", images)
    labels = np.zeros(len(values) if values.ndim else 0, dtype=np.int64)
    return images_of("images", "predict", values, labels).fit(size).tensor()


def eight_bits(name: str, values: Values) -> npt.NDArray[np.uint8]:
    """Numbers as uint8, in memory of their own, by `rule`; no other copy of all is made. Raises
    InputError as `rule` does."""
    made, convert = np.empty(values.shape, np.uint8), rule(name, values)
    each = at_a_time(values.itemsize * max(1, values[:1].size))
    for at in range(0, len(values), each):
        made[at : at + each] = convert(values[at : at + each])
    return made


def rule(name: str, values: Values) -> Callable[[Values], Values]:
    """How numbers become 0 to 255, one rule for all of them: 0 to 255 as they are, whole numbers up
    to 65,535 divided by 256, floats within 0 to 1 times 255.

    Raises InputError of others: what they mean cannot be known.
    """
    if values.dtype == np.uint8:
        return np.asarray
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "bui"
    if low >= 0 and high <= (2**16 - 1 if whole else 255):  # false of a nan, too
        factor = (1 / 256 if high > 255 else 1) if whole else (255 if high <= 1 else 1)
        return lambda some: (np.floor if whole else np.rint)(some * factor).astype(np.uint8)
    raise InputError(
        f"{name} must be 0 to 255, whole numbers up to 65,535, or floats from 0 to 1, got "
        f"{values.dtype} from {low:g} to {high:g}. Give them before they are normalised"
    )
