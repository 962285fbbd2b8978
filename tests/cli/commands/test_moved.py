"""A run whose images were renamed, moved, packed or replaced: carried over, or refused by part."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hnas.cli.main import hnas
from tests.support.moved_images import PLAN, write_images


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def search(*more: object) -> Result:
    return invoke("search", "--run", "run", "--device", "cpu", *more)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos` and a `run` whose stages are searched, nothing retrained."""
    here = tmp_path_factory.mktemp("begun")
    write_images(here / "photos")
    (here / "plan.toml").write_text(PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for stage in (1, 2):
            result = search("--plan", "plan.toml", "--stage", stage)
            assert result.exit_code == 0, result.output
    return here


@pytest.fixture(scope="module")
def unbroken(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result where nothing happens to the images."""
    here = tmp_path_factory.mktemp("unbroken") / "here"
    shutil.copytree(begun, here)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert search().exit_code == 0
    return result_of(here)


@pytest.fixture
def here(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, whose images lie where the run has them: its plan names them by their path."""
    place = Path(shutil.copytree(begun, tmp_path / "here"))
    plan = place / "run/plan.toml"
    plan.write_text(plan.read_text().replace(str(begun), str(place)))
    monkeypatch.chdir(place)
    return place


def result_of(here: Path) -> dict[str, Any]:
    return dict(json.loads((here / "run/result.json").read_text()))


def files(run: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and not path.name.startswith((".", "study.db"))
    }


def _reorder(photos: Path) -> None:
    for name in ("circle", "tri"):
        for i in range(10):
            (photos / name / f"{i}.png").rename(photos / name / f"x{(i * 3) % 10}.png")


def _rename_a_class(photos: Path) -> None:
    (photos / "circle").rename(photos / "zircle")
    _reorder_one(photos / "square")


def _reorder_one(folder: Path) -> None:
    (folder / "0.png").rename(folder / "last.png")


def _write_again(photos: Path) -> None:
    """The same pixels in other bytes, newer files."""
    for path in photos.rglob("*.png"):
        Image.open(path).save(path, compress_level=0)


CARRIED: dict[str, Callable[[Path], object]] = {
    "files are renamed": _reorder,
    "a class is renamed": _rename_a_class,
    "files are written again": _write_again,
}


@pytest.mark.parametrize("what", CARRIED)
def test_the_same_images_by_other_names(here: Path, unbroken: dict[str, Any], what: str) -> None:
    CARRIED[what](here / "photos")
    result = search()
    assert result.exit_code == 0, result.output
    assert result_of(here) == unbroken
    assert ("each keeps its use" in result.output) == (what != "files are written again")
    assert ("'zircle' has the images of 'circle'" in result.output) == ("class" in what)


@pytest.mark.parametrize("how", ["moved", "packed", "copied into a folder of data"])
def test_the_same_images_elsewhere(
    here: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    photos, new = here / "photos", here / "new place?"
    if how == "packed":
        args = ("--to", new, "--image", 8, "--channels", 3)
        assert invoke("data", "pack", photos, *args).exit_code == 0
        shutil.rmtree(photos)
    elif how == "moved":
        photos.rename(new)
    else:
        monkeypatch.setenv("HNAS_DATA", str(here / "data"))
        (here / "data").mkdir()
        photos.rename(here / "data/photos")
    if how != "copied into a folder of data":
        gone = search()
        assert gone.exit_code == 2
        assert f"the images of the run run, '{photos}', are not there any more" in gone.stderr
        assert "hnas search --run run --data NEW" in gone.stderr
        assert search("--data", new).exit_code == 0
        assert str(new) in (here / "run/plan.toml").read_text()
    result = search()
    assert result.exit_code == 0, result.output
    assert result_of(here) == unbroken


def _change_one(photos: Path) -> None:
    image = Image.open(photos / "tri/4.png")
    image.putpixel((5, 5), (0, 0, 0))
    image.save(photos / "tri/4.png")


def _swap_classes(photos: Path) -> None:
    (photos / "circle").rename(photos / "was")
    (photos / "square").rename(photos / "circle")
    (photos / "was").rename(photos / "square")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an image is another": (_change_one, "1 of .* images are gone or changed; 1 image is new or"),
    "an image is gone": (lambda p: (p / "tri/4.png").unlink(), "1 of .* images are gone or chang"),
    "an image is added": (
        lambda p: shutil.copy(p / "tri/4.png", p / "tri/more.png"),
        "1 image is new or changed",
    ),
    "classes change their names": (_swap_classes, "of the training part, .* of the held-out part"),
    "a class is gone": (lambda p: shutil.rmtree(p / "tri"), "class 'tri' is not there any more"),
    "a class is another": (
        lambda p: (_change_one(p), (p / "tri").rename(p / "try")),
        "class 'try' was not there when the images were split",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_images_are_refused(here: Path, what: str) -> None:
    change, message = REFUSED[what]
    change(here / "photos")
    before = files(here / "run")
    for command in (
        ("search", "--run", "run"),
        ("search", "--run", "run", "--rescore"),
        ("retrain", "--run", "run"),
        ("reproduce", "run"),
    ):
        result = invoke(*command, "--device", "cpu")
        assert result.exit_code == 2, (command, result.output)
        assert "are not those that the run run was begun with" in result.stderr
        assert re.search(message, result.stderr) and "--rescore" not in result.stderr
    assert files(here / "run") == before


def test_other_images_elsewhere_are_refused_and_the_plan_stays(here: Path) -> None:
    write_images(here / "other", shift=60)
    before = files(here / "run")
    result = search("--data", "other")
    assert result.exit_code == 2
    assert "of the training part, 18 of 18 images are gone or changed" in result.stderr
    assert files(here / "run") == before


def _forget(run: Path) -> None:
    """As an older hnas left it."""
    split = json.loads((run / "split.json").read_text())
    del split["known"]
    (run / "split.json").write_text(json.dumps(split))


def test_a_run_of_an_older_hnas(here: Path, unbroken: dict[str, Any]) -> None:
    _forget(here / "run")
    result = search()
    assert result.exit_code == 0, result.output
    assert "kept the labels of its images only: these are taken for the same images" in (
        result.output
    )
    assert result_of(here) == unbroken
    _change_one(here / "photos")
    assert invoke("reproduce", "run", "--device", "cpu").exit_code == 2


def test_a_run_of_an_older_hnas_whose_held_out_images_are_others(here: Path) -> None:
    _forget(here / "run")
    shutil.rmtree(here / "photos")
    write_images(here / "photos", shift=60)
    result = search()
    assert result.exit_code == 2
    assert "were scored on other held-out images" in result.stderr
    assert "--rescore" not in result.stderr
    moved = search("--data", shutil.copytree(here / "photos", here / "copy"))
    assert moved.exit_code == 2 and "kept nothing that could prove" in moved.stderr
