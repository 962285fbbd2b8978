"""Functions of the user's own, `module:function`, and images from them."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hnas.data.images import Images, Source
from hnas.data.pixels import CHANNELS
from hnas.errors import InputError
from hnas.settings import CODE

RETURNS = (
    "a hnas.data.Source or (train_images, train_labels[, test_images, test_labels]) "
    "with images as uint8 arrays NCHW, NHWC or NHW"
)


def call(name: str) -> Any:
    """The value that `module:function` returns. The module is looked for in the current folder
    first, then among the installed ones.

    Raises InputError if it is missing or raises.
    """
    found = CODE.fullmatch(name)
    if not found:
        raise InputError(f"a function is named as module:function, got {name!r}")
    module_name, function_name = found.groups()
    with _current_folder_first():
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing and f"{module_name}.".startswith(f"{missing}."):
                raise InputError(
                    f"{name}: there is no module {missing!r} in {Path.cwd()} "
                    "or among the installed ones"
                ) from error
            raise _raised(name, "importing it", error) from error
        function = getattr(module, function_name, None)
        if not callable(function):
            raise InputError(
                f"{name}: {module_name} ({module.__file__}) has no function {function_name!r}"
            )
        try:
            return function()
        except (Exception, SystemExit) as error:
            raise _raised(name, "calling it", error) from error


def load(name: str) -> Source:
    """The images that `call` gives. Raises InputError if it gives anything but RETURNS."""
    value = call(name)
    if isinstance(value, Source):
        return value
    if not isinstance(value, tuple | list) or len(value) not in (2, 4):
        size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
        raise InputError(f"{name}: must return {RETURNS}, got {type(value).__name__}{size}")
    train = _images(name, "train", value[0], value[1])
    return Source(
        name=name,
        train=train,
        test=_images(name, "test", value[2], value[3]) if len(value) == 4 else None,
        classes=train.numbers,
    )


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _raised(name: str, doing: str, error: BaseException) -> InputError:
    return InputError(f"{name}: {doing} raised {type(error).__name__}: {error}")


def _array(name: str, what: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        return np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    # A ragged list, or an __array__ of the user's own.
    except Exception as error:
        raise InputError(f"{name}: {what} must be an array: {error}") from error


def _images(name: str, part: str, images: Any, labels: Any) -> Images:
    pixels = _array(name, f"{part}_images", images)
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or 0 in pixels.shape:
        raise InputError(
            f"{name}: {part}_images must be uint8 (0 to 255) NCHW, NHWC or NHW and not empty, "
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
    if part == "train" and not 0 <= int(numbers.min()) <= int(numbers.max()) < n:
        raise InputError(
            f"{name}: train_labels must count the classes from 0, "
            f"got {numbers.min()} to {numbers.max()} for {n} images"
        )
    return Images(
        pixels=torch.from_numpy(np.array(pixels, order="C")),
        labels=torch.from_numpy(numbers.astype(np.int64)),
    )
