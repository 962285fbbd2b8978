"""Images given in Python, as `hnas.search(data=...)` takes them:

    (X, y)  or  (X, y, X_test, y_test)    arrays of numpy or torch: NCHW, NHWC or NHW, and labels
    a data set                            with len(), and [i] -> (image, label), or a mapping with
                                          `image` and `label` (`datasets` of Hugging Face)
    {"train": ..., "validation": ..., "test": ...}    a data set, or (X, y), for each part

They are known by a fingerprint of what they hold. A plan names them by it, so that a run goes on
with the same images only, which have to be given again.
"""

import hashlib
import re
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from hnas.data.decode import fitted
from hnas.data.images import Images, Source
from hnas.data.size import Size
from hnas.data.sources.arrays import eight_bits, images_of
from hnas.data.sources.files import GREY, HEADERS, check_memory
from hnas.data.sources.listing import LABELS, part_of, roles
from hnas.errors import InputError

NAME = re.compile("python-[0-9a-f]{12}")
IMAGES = ("image", "img", "pixel_values", "images")
"""Names of what holds the image of an item, the likeliest first."""
FORMS = (
    "(X, y), (X, y, X_test, y_test), a data set with len() and [i] -> (image, label), or a mapping "
    "of train, validation and test to such"
)
_given: dict[str, dict[str, Any]] = {}
"""What was given to this process, by name: the parts, each a data set or (X, y)."""


def give(value: Any) -> str:
    """The name by which `hnas.data.load` finds the images in this process: the same images have the
    same name. Raises InputError if they are in none of the forms above."""
    parts = _parts(value)
    digest = hashlib.sha256()
    for part, images in sorted(parts.items()):
        digest.update(f"{part};{len(_labels(images))};".encode())
        for chunk in _bytes(images):
            digest.update(chunk)
    name = f"python-{digest.hexdigest()[:12]}"
    _given[name] = parts
    return name


def load(name: str, size: Size) -> Source:
    """The images of a name. Raises InputError if they were not given to this process."""
    parts = _given.get(name)
    if parts is None:
        raise InputError(
            f"{name}: these images were given in Python, by the fingerprint in their name. To go "
            "on, give the same again: hnas.search(data=..., run=...)"
        )
    classes = _classes(parts["train"])
    n = sum(len(_labels(images)) for images in parts.values())
    check_memory(name, n, size, folder="FOLDER-OF-THEIR-FILES")
    held_out, test, notes = roles(parts, {"held_out": "the held-out part"})
    learnt = {"train": parts["train"], **({} if held_out is None else {"held_out": held_out})}
    return Source(
        name=name,
        train=_images(name, learnt, classes, size),
        held_out=0 if held_out is None else len(_labels(held_out)),
        test=None if test is None else _images(name, {"test": test}, classes, size),
        classes=tuple(map(str, classes)),
        notes=notes,
        crop_pct=1.0 if any(isinstance(part, tuple) for part in parts.values()) else None,
    )


def looks(name: str) -> tuple[int, int]:
    """The shorter side (the median of some images) and the channels of the images of a name."""
    train = _given[name]["train"]
    if isinstance(train, tuple):
        made = images_of(name, "train", train[0][:1], np.zeros(1, np.int64))
        return min(made.pixels.shape[2:]), made.pixels.shape[1]
    some = range(0, len(train), max(1, len(train) // HEADERS))
    pictures = [_picture(f"{name}: item {i}", _item(train, i)[0]) for i in some]
    coloured = any(picture.mode not in GREY for picture in pictures)
    return round(statistics.median(min(p.size) for p in pictures)), 3 if coloured else 1


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        found = {part_of(str(name)): images for name, images in value.items()}
        if "train" in found and None not in found and len(found) == len(value):
            return {str(part): images for part, images in found.items()}
    elif isinstance(value, tuple) and len(value) in (2, 4):
        pairs = {"train": value[:2], "test": value[2:]}
        return {part: pair for part, pair in pairs.items() if pair}
    elif hasattr(value, "__len__") and hasattr(value, "__getitem__") and not _is_array(value):
        return {"train": value}
    raise InputError(f"data must be a name, a folder, or {FORMS}, got {type(value).__name__}")


def _is_array(value: Any) -> bool:
    return isinstance(value, str | bytes | list | tuple | np.ndarray | torch.Tensor)


def _item(images: Any, i: int) -> tuple[Any, Any]:
    """The image and the label of a data set's item. Raises InputError."""
    item = images[i]
    if isinstance(item, Mapping):
        image, label = (
            next((item[name] for name in names if name in item), None) for names in (IMAGES, LABELS)
        )
        if image is not None and label is not None:
            return image, label
    elif isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    found = sorted(item) if isinstance(item, Mapping) else type(item).__name__
    raise InputError(f"data: item {i} must be (image, label), or have them by name, got {found}")


def _array(image: Any) -> np.ndarray[Any, Any]:
    return np.asarray(image.cpu() if isinstance(image, torch.Tensor) else image)


def _bytes(images: Any) -> Iterator[bytes]:
    """All that a part holds, for its fingerprint."""
    if isinstance(images, tuple):
        for array in map(_array, images):
            yield f"{array.dtype.str}{array.shape}".encode()
            yield from (np.ascontiguousarray(row).tobytes() for row in array)
        return
    first = _content(_item(images, 0)[0])
    if first != _content(_item(images, 0)[0]):
        raise InputError(
            "data: the same item is another image each time. Leave random changes to hnas: the "
            "plan's tables of augmentation"
        )
    for i in range(len(images)):
        image, label = _item(images, i)
        yield _content(image)
        yield str(label.item() if hasattr(label, "item") else label).encode()


def _content(image: Any) -> bytes:
    if isinstance(image, Image.Image):
        return f"{image.mode}{image.size}".encode() + image.tobytes()
    array = _array(image)
    return f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def _labels(images: Any) -> Any:
    return images[1] if isinstance(images, tuple) else images


def _classes(train: Any) -> list[Any]:
    """The names of the classes: those that the data set has, else its labels, sorted."""
    if isinstance(train, tuple):
        labels = _array(train[1])
        if labels.dtype.kind in "iu" and labels.size:
            return _numbers(int(labels.min()), int(labels.max()))
        return sorted(set(labels.tolist()))
    features = getattr(train, "features", None)
    if isinstance(features, Mapping):
        for name in LABELS:
            if names := getattr(features.get(name), "names", None):
                return list(names)
    if isinstance(names := getattr(train, "classes", None), list | tuple):
        return list(names)
    found = {_plain(_item(train, i)[1]) for i in range(len(train))}
    if all(isinstance(label, int) for label in found):
        return _numbers(min(found, default=0), max(found, default=-1))
    return sorted(found, key=str)


def _numbers(least: int, most: int) -> list[Any]:
    """Classes that are numbers, from 0 or from 1."""
    return list(range(1 if least == 1 else 0, most + 1))


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _images(name: str, parts: Mapping[str, Any], classes: list[Any], size: Size) -> Images:
    """The images of parts, one behind the other, in one array that is made before."""
    number = {value: i for i, value in enumerate(classes)}
    first, *others = parts.items()
    if not others and isinstance(first[1], tuple):
        return _of_arrays(name, *first, number)
    n = sum(len(_labels(images)) for images in parts.values())
    pixels = torch.empty((n, size.channels, size.image, size.image), dtype=torch.uint8)
    labels: list[int] = []
    for part, images in parts.items():
        if isinstance(images, tuple):
            found = _of_arrays(name, part, images, number).fit(size)
            pixels[len(labels) :][: len(found)] = found.tensor()
            labels += found.labels.tolist()
            continue
        for i in range(len(images)):
            image, label = _item(images, i)
            label = _plain(label)
            known = isinstance(label, int) and classes[0] != 1
            one = fitted(_picture(f"{name}: item {i}", image), **size.square)
            pixels[len(labels)] = torch.from_numpy(one).permute(2, 0, 1)
            labels.append(label if known else _number(name, number, label))
    return Images(pixels=pixels, labels=torch.tensor(labels, dtype=torch.int64))


def _of_arrays(name: str, part: str, images: Any, number: Mapping[Any, int]) -> Images:
    labels = _array(images[1])
    if labels.dtype.kind not in "iu" or next(iter(number)) == 1:
        labels = np.array([_number(name, number, value) for value in labels.tolist()])
    return images_of(name, part, images[0], labels)


def _number(name: str, number: Mapping[Any, int], value: Any) -> int:
    if value not in number:
        raise InputError(f"{name}: the label {value!r} is no class of the training part")
    return number[value]


def _picture(name: str, image: Any) -> Image.Image:
    """An array (H, W), (C, H, W) or (H, W, C) as a Pillow image, which it may be already."""
    if isinstance(image, Image.Image):
        return image
    array = eight_bits(name, _array(image))
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    return Image.fromarray(np.ascontiguousarray(array))
