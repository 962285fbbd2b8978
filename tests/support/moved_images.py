"""A finished search of a folder of images, in a second: what is done to the folder afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hnas.cli.main import hnas

CLASSES = ("circle", "square", "tri")
PLAN = """
[data]
source = "photos"
[net]
image = 8
channels = 3
patch = 4
classes = 3
d = 12
M = 1
N = 3
heads = 1
[stage1]
d_k = 12
K = 5
trials = 4
population = 2
training = {epochs = 1, lr = 2e-3}
[stage2]
d_k = [6, 12]
d_z = [2, 4]
E = [1]
K = [3, 5]
trials = 4
population = 2
training = {epochs = 1, lr = 2e-3}
[score]
recalibration = 16
[retrain]
top = 1
training = {epochs = 1, lr = 2e-3}
"""


def write_images(folder: Path, *, shift: int = 0, each: int = 10) -> None:
    """Noise around a grey of each class, `shift` lighter."""
    rng = np.random.default_rng(0)
    for grey, name in zip((40, 90, 140), CLASSES, strict=True):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(grey + shift, grey + shift + 30, (10, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def finished_run(here: Path) -> Path:
    """The run of a search of `here`/photos; its plan names the images as `photos`."""
    write_images(here / "photos")
    (here / "plan.toml").write_text(PLAN)
    args = ["search", "--plan", "plan.toml", "--run", "run", "--device", "cpu"]
    result = CliRunner().invoke(hnas, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return here / "run"


def _swap(photos: Path) -> None:
    (photos / "circle").rename(photos / "was")
    (photos / "square").rename(photos / "circle")
    (photos / "was").rename(photos / "square")


def _replace(photos: Path) -> None:
    shutil.rmtree(photos)
    write_images(photos, shift=80)


def _move_run(photos: Path) -> None:
    """The run goes where other images have the name of its own."""
    other = photos.parent / "other"
    write_images(other / "photos", shift=60)
    (photos.parent / "run").rename(other / "run")
    os.chdir(other)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a class is renamed": lambda photos: (photos / "circle").rename(photos / "zircle"),
    "two classes change their names": _swap,
    "a class is added": lambda photos: shutil.copytree(photos / "tri", photos / "four"),
    "other images are in their place": _replace,
    "the run is where others have their name": _move_run,
    "a data folder is set": lambda photos: write_images(photos.parent / "set" / "photos", shift=70),
    "an image is added": lambda photos: shutil.copy(photos / "tri/0.png", photos / "tri/more.png"),
    "they are moved away": lambda photos: photos.rename(photos.parent / "elsewhere"),
    "they cannot be read": lambda photos: (photos / "tri" / "0.png").write_bytes(b"torn"),
}
"""What happens to the images of a finished run, done to their folder: three of each kind that went
wrong (class names, normalisation, refusals)."""


@contextlib.contextmanager
def changed(finished: Path, what: str, here: Path) -> Iterator[Path]:
    """Within: the folder `here` with a copy of a finished run, whose images are changed.

    Yields the run as it is named there.
    """
    shutil.copytree(finished.parent, here, dirs_exist_ok=True)
    plan = here / "run" / "plan.toml"
    there = plan.read_text()
    plan.write_text(there.replace(str(finished.parent), str(here)))
    assert plan.read_text() != there, "the images of the copy must be its own"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        if what == "a data folder is set":
            patch.setenv("HNAS_DATA", str(here / "set"))
        CHANGES[what](here / "photos")
        yield Path("run")
