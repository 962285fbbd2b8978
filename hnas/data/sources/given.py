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
from hnas.data.pixels import at_a_time, fit
from hnas.data.size import Size
from hnas.data.sources.arrays import checked, eight_bits, images_of, rule
from hnas.data.sources.files import GREY, HEADERS, check_memory
from hnas.data.sources.labels import LABELS, unlabelled
from hnas.data.sources.listing import LeftOut, part_of, roles
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
    n = sum(len(_labels(images)) for images in parts.values())
    check_memory(name, n, size, folder="FOLDER-OF-THEIR-FILES")
    reader = _Reader(name, _classes(name, parts["train"]), size)
    labelled = {
        part: images
        for part, images in parts.items()
        if any(reader.number(label) is not None for label in _values(images))
    }
    if "train" not in labelled:
        raise InputError(f"{name}: no image of the training part has a label")
    for part in parts.keys() - labelled.keys():
        reader.left_out.add_unlabelled(part, len(_labels(parts[part])))
    held_out, test, said = roles(labelled, {"held_out": "the held-out part"})
    learnt = {"train": parts["train"], **({} if held_out is None else {"held_out": held_out})}
    train, counts = reader.images(learnt)
    tested = None if test is None else reader.images({"test": test})[0]
    return Source(
        name=name,
        train=train,
        held_out=sum(counts[1:]),
        test=tested,
        classes=tuple(map(str, reader.classes)),
        notes=(*said, *reader.left_out.notes),
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
        if image is not None and not item.keys().isdisjoint(LABELS):
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


def _values(images: Any) -> Iterator[Any]:
    """The labels of a part. Raises InputError."""
    if isinstance(images, tuple):
        labels = _array(images[1])
        if labels.ndim != 1:
            raise InputError(f"data: labels must be a list, one for each image, got {labels.shape}")
        yield from labels.tolist()
    else:
        for i in range(len(images)):
            yield _plain(_item(images, i)[1])


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _classes(name: str, train: Any) -> list[Any]:
    """The names of the classes: those that the data set has, else its labels, sorted."""
    features = getattr(train, "features", None)
    if isinstance(features, Mapping):
        for column in LABELS:
            if names := getattr(features.get(column), "names", None):
                return list(names)
    if isinstance(names := getattr(train, "classes", None), list | tuple):
        return list(names)
    found = {label for label in _values(train) if label is not None}
    none = unlabelled(set(map(str, found)))
    found = {label for label in found if str(label) not in none}
    if all(type(label) is int for label in found):  # False and True are names
        return _numbers(name, found, len(_labels(train)))
    return sorted(found, key=None if isinstance(train, tuple) else str)


def _numbers(name: str, found: set[int], n: int) -> list[Any]:
    """Classes that are numbers, from 0 or from 1, or -1 and 1. Raises InputError of others."""
    if found == {-1, 1}:
        return [-1, 1]
    least, most = min(found, default=0), max(found, default=-1)
    if least < 0 or most > n:  # every class needs an image
        raise InputError(
            f"{name}: labels must count the classes from 0 or 1, got {least} to {most} for {n} "
            "images"
        )
    return list(range(1 if least == 1 else 0, most + 1))


class _Reader:
    """The images of parts, of the classes of the training part."""

    def __init__(self, name: str, classes: list[Any], size: Size) -> None:
        self.name, self.classes, self.size = name, classes, size
        self.left_out = LeftOut(called="image")
        self._none = unlabelled(set(map(str, classes)))
        self._numbers = {value: i for i, value in enumerate(classes)}

    def number(self, label: Any) -> int | None:
        """The class of a label; None if it stands for no label. Raises InputError."""
        if label is None or str(label) in self._none:
            return None
        if isinstance(label, int) and self.classes[0] not in (1, -1):
            return label
        if label not in self._numbers:
            raise InputError(f"{self.name}: the label {label!r} is no class of the training part")
        return self._numbers[label]

    def images(self, parts: Mapping[str, Any]) -> tuple[Images, list[int]]:
        """Those with a label, one behind the other, in one array that is made before, and how many
        each part has."""
        n = sum(len(_labels(images)) for images in parts.values())
        pixels = torch.empty(
            (n, self.size.channels, self.size.image, self.size.image), dtype=torch.uint8
        )
        labels: list[int] = []
        counts = []
        for part, images in parts.items():
            before = len(labels)
            read = self._arrays if isinstance(images, tuple) else self._items
            for some, numbers in read(part, images):
                pixels[len(labels) :][: len(numbers)] = some
                labels += numbers
            counts.append(len(labels) - before)
            self.left_out.add_unlabelled(part, len(_labels(images)) - counts[-1])
        made = torch.tensor(labels, dtype=torch.int64)
        return Images(pixels=pixels[: len(labels)], labels=made), counts

    def _arrays(self, part: str, images: Any) -> Iterator[tuple[torch.Tensor, list[int]]]:
        numbers = [self.number(label) for label in _values(images)]
        known = np.array([0 if number is None else number for number in numbers])
        values, known = checked(self.name, part, images[0], known)
        rows = np.flatnonzero([number is not None for number in numbers])
        convert = rule(f"{self.name}: {part}_images", values)
        each = at_a_time(values.itemsize * values[0].size)
        for at in range(0, len(rows), each):
            some = rows[at : at + each]
            pixels = np.ascontiguousarray(convert(values[some]))
            yield fit(torch.from_numpy(pixels), self.size), known[some].tolist()

    def _items(self, part: str, images: Any) -> Iterator[tuple[torch.Tensor, list[int]]]:
        for i in range(len(images)):
            image, label = _item(images, i)
            if (number := self.number(_plain(label))) is not None:
                picture = _picture(f"{self.name}: {part}: item {i}", image)
                made = fitted(picture, **self.size.square)
                yield torch.from_numpy(made).permute(2, 0, 1), [number]


def _picture(name: str, image: Any) -> Image.Image:
    """An array (H, W), (C, H, W) or (H, W, C) as a Pillow image, which it may be already."""
    if isinstance(image, Image.Image):
        return image
    array = _array(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and not {1, 3} & {*array.shape[::2]}):
        raise InputError(
            f"{name}: an image must be (H, W), (C, H, W) or (H, W, C), C = 1 or 3, "
            f"got {array.shape}"
        )
    array = eight_bits(name, array)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    return Image.fromarray(np.ascontiguousarray(array))
