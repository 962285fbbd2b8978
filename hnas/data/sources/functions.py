"""Functions of the user's own, `module:function`, and images from them."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from hnas.data.images import Images, Source
from hnas.data.sources.arrays import checked, images_of
from hnas.data.sources.listing import LeftOut
from hnas.errors import InputError
from hnas.settings import CODE

RETURNS = (
    "a hnas.data.Source or (train_images, train_labels[, test_images, test_labels]) "
    "with images as arrays NCHW, NHWC or NHW"
)


def call(name: str) -> Any:
    """The value that `module:function` returns. Raises InputError if it is missing or raises."""
    found = function(name)
    with _current_folder_first():
        try:
            return found()
        except (Exception, SystemExit) as error:
            raise _raised(name, "calling it", error) from error


def function(name: str) -> Callable[..., Any]:
    """The function `module:function`. The module is looked for in the current folder first, then
    among the installed ones.

    Raises InputError if it is missing, or its module raises.
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
    value = getattr(module, function_name, None)
    if not callable(value):
        raise InputError(
            f"{name}: {module_name} ({module.__file__}) has no function {function_name!r}"
        )
    return cast(Callable[..., Any], value)


def load(name: str) -> Source:
    """The images that `call` gives. Raises InputError if it gives anything but RETURNS."""
    value = call(name)
    if isinstance(value, Source):
        # Its images are the function's, and may be asked for again; ours are moved in memory.
        pixels, labels = value.train.pixels, value.train.labels
        pixels = pixels.clone() if isinstance(pixels, torch.Tensor) else pixels
        return replace(value, train=Images(pixels=pixels, labels=labels))
    if not isinstance(value, tuple | list) or len(value) not in (2, 4):
        size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
        raise InputError(f"{name}: must return {RETURNS}, got {type(value).__name__}{size}")
    left_out = LeftOut(called="image")
    train = _labelled(name, "train", value[0], value[1], left_out)
    if train is None:
        raise InputError(f"{name}: no image of the training part has a label")
    return Source(
        name=name,
        train=train,
        test=_labelled(name, "test", value[2], value[3], left_out) if len(value) == 4 else None,
        classes=train.numbers,
        notes=left_out.notes,
    )


def _labelled(name: str, part: str, images: Any, labels: Any, left_out: LeftOut) -> Images | None:
    """Those whose label is not -1, which stands for none; None if there are no such."""
    pixels, numbers = checked(name, part, images, labels)
    rows = np.flatnonzero(numbers != -1)
    left_out.add_unlabelled(part, len(numbers) - len(rows))
    if not len(rows):
        return None
    if len(rows) < len(numbers):
        pixels, numbers = pixels[rows], numbers[rows]
    return images_of(name, part, pixels, numbers)


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
