"""Data of a search, without its test part; `test_images` is the one way to that."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hnas.data import notes
from hnas.data.images import Images, Source, divide
from hnas.data.known import known
from hnas.data.on_disk import OnDisk
from hnas.data.pixels import pixels_of
from hnas.data.sources.load import load, located
from hnas.data.split import Split, split
from hnas.errors import InputError, MismatchError
from hnas.persist.words import few
from hnas.settings import DataRules


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """The images that a search trains and scores on; the test part is not here."""

    train: Images
    held_out: Images
    """Scored on, never trained on."""
    classes: tuple[str, ...]
    mean: torch.Tensor
    """float32 (C,): of the training images, in units of 0 to 1."""
    std: torch.Tensor
    """float32 (C,): of the training images, in units of 0 to 1."""
    notes: tuple[str, ...] = ()
    """What a person should know of the images, each one sentence."""
    carried: tuple[str, ...] = ()
    """What had to be done so that the images are those that were split, in sentences."""

    def with_held_out(self) -> Data:
        """The same, trained on the held-out images too: they judge nothing any more."""
        return replace(self, train=self.train.join(self.held_out))

    def to(self, device: torch.device | str) -> Data:
        names = ("train", "held_out", "mean", "std")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def prepare(
    rules: DataRules,
    *,
    image: int,
    channels: int,
    seed: int,
    root: Path | None = None,
    kept: Split | None = None,
) -> tuple[Data, Split]:
    """Loads and splits a source. Its own test part is read too and dropped, so that a broken one is
    found before the search.

    If they were split before, `kept` says how: images that were renamed since are put back in
    their order. Raises InputError if the source is malformed or too small to split, MismatchError
    if its images are not those of `kept`.
    """
    known_by_pixels = kept is None or kept.known is not None
    source = _load(rules, image, channels, root, anywhere=known_by_pixels)
    carried: tuple[str, ...] = ()
    if kept is not None:
        source, carried = kept.recognised(source)
    classes = source.classes
    made = split(
        source.train.labels.numpy(),
        rules,
        own_test=source.test is not None,
        own_held_out=source.held_out,
        seed=seed,
        classes=classes,
    )
    images = (kept and kept.known) or known(source)
    made, pixels = replace(made, known=images), images.train.pixels
    clashes = tuple(notes.of_labels(source, images.train.pixels))
    tested = images.test.pixels if images.test else pixels[made.test]
    # `divide` moves the images of the source, which nobody else has.
    train, held_out, *rest = divide(source.train, made.train, made.held_out, made.test)
    test = rest[0] if source.test is None else source.test
    mean, std = _normalisation(rules, channels) or statistics(train.pixels)
    found = (
        *source.notes,
        *_left_out(source.skipped),
        *notes.of_classes(train, test, classes),
        *notes.of_cuts(train, rules),
        *notes.of_pixels(train),
        *clashes,
        *notes.of_copies(pixels[made.train], held_out=pixels[made.held_out], test=tested),
    )
    data = Data(
        train=train,
        held_out=held_out,
        classes=classes,
        mean=mean,
        std=std,
        notes=found,
        carried=carried,
    )
    return data, made


def _left_out(files: Sequence[str]) -> tuple[str, ...]:
    said = (
        "a file that is no image" if len(files) == 1 else f"{len(files):,} files that are no images"
    )
    return (f"left out {said}: {few(files)}",) if files else ()


def _load(
    rules: DataRules, image: int, channels: int, root: Path | None, *, anywhere: bool
) -> Source:
    """With `anywhere`, a folder that has another place on this machine is looked for."""
    return load(
        located(rules.source) if anywhere and os.path.isabs(rules.source) else rules.source,
        image=image,
        channels=channels,
        root=root,
        skip_bad=rules.skip_bad_images,
        background=rules.background,
        interpolation=rules.interpolation,
        crop_pct=rules.crop_pct,
    )


def test_images(
    rules: DataRules, *, image: int, channels: int, split: Split, root: Path | None = None
) -> Images:
    """The test part, for nothing but the final evaluation.

    Raises MismatchError if the source is not the one that was split.
    """
    anywhere = split.known is not None
    source, _ = split.recognised(_load(rules, image, channels, root, anywhere=anywhere))
    split.check(source.train.labels.numpy())
    if source.test is not None and split.test is None:
        return source.test
    if source.test is None and split.test is not None:
        return source.train.take(torch.from_numpy(split.test))
    found = "no test part" if source.test is None else "a test part"
    raise MismatchError(
        f"data source {rules.source!r} has {found} of its own now, unlike when it was split. "
        "Restore it, or start a new run"
    )


def _normalisation(rules: DataRules, channels: int) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The rules' mean and deviation, if they say any. Raises InputError for other channels."""
    if not rules.mean:
        return None
    if len(rules.mean) != channels:
        raise InputError(
            f"data.mean must have a number for each of {channels} channels, got {list(rules.mean)}"
        )
    return torch.tensor(rules.mean), torch.tensor(rules.std)


def statistics(pixels: torch.Tensor | OnDisk) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of every channel, in units of 0 to 1: two float32 (C,).

    From whole numbers, hence exact and the same whatever the thread count. A channel of one value
    gets the deviation 1, so that it can be divided by.
    """
    count, sums, squares = pixels_of(pixels).moments()
    means, stds = [], []
    for total, square in zip(sums, squares, strict=True):
        means.append(total / (255 * count))
        variance = count * square - total**2  # of whole values, times count squared
        stds.append(math.sqrt(variance / (255 * count) ** 2) if variance else 1.0)
    return torch.tensor(means, dtype=torch.float32), torch.tensor(stds, dtype=torch.float32)


def normalise(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 (B, C, H, W) -> float32 of the same shape, (pixels / 255 - mean) / std by channel."""
    mean, std = (255 * values.view(-1, 1, 1) for values in (mean, std))
    return (pixels - mean) / std
