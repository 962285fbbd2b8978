"""Folders as people have them: names of parts, nested classes, links, two forms of a name."""

from __future__ import annotations

import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from hnas.data import load, prepare, survey
from hnas.data.sources import files
from hnas.data.sources.folders import listing
from hnas.errors import InputError
from hnas.settings import DataRules


def classes(root: Path, *, n: int = 6, names: tuple[str, ...] = ("a", "b"), first: int = 0) -> Path:
    for k, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.linear_gradient("L").rotate(first + 10 * i + 90 * k).save(
                root / name / f"{i}.png"
            )
    return root


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("val", ["val", "Valid", "validation", "DEV"])
@pytest.mark.parametrize("test", ["test", "Testing"])
def test_a_held_out_part_of_ones_own(tmp_path, train, val, test) -> None:
    for name, n in ((train, 6), (val, 3), (test, 2)):
        classes(tmp_path / name, n=n)
    found = listing(tmp_path)
    assert (len(found.train), len(found.held_out), len(found.test or ())) == (12, 6, 4)
    assert found.notes == ()
    surveyed = survey(str(tmp_path))
    assert (surveyed.images, surveyed.held_out, surveyed.own_test) == (12, 6, True)


def test_it_is_what_scores_are_measured_on(tmp_path) -> None:
    for name, n in (("train", 6), ("val", 3), ("test", 2)):
        classes(tmp_path / name, n=n, first=len(name) * 7)
    source = load(str(tmp_path), image=8, channels=1)
    rules = DataRules(source=str(tmp_path))
    data, split = prepare(rules, image=8, channels=1, seed=0)
    assert split.train.tolist() == [*range(12)] and split.held_out.tolist() == [*range(12, 18)]
    assert split.test is None
    assert data.train.fingerprint == source.train.take(range_of(0, 12)).fingerprint
    assert data.held_out.fingerprint == source.train.take(range_of(12, 18)).fingerprint
    limited, _ = prepare(DataRules(source=str(tmp_path), limit=4), image=8, channels=1, seed=0)
    assert (len(limited.train), len(limited.held_out)) == (4, 6)


def range_of(start: int, end: int):
    import torch

    return torch.arange(start, end)


def test_a_held_out_part_without_a_test_part_is_the_test_part_and_that_is_said(tmp_path) -> None:
    for name in ("train", "dev"):
        classes(tmp_path / name)
    found = listing(tmp_path)
    assert not found.held_out and len(found.test or ()) == 12
    assert found.notes == (
        "dev is used as the test part, since there is no other: the images that "
        "scores are measured on are taken from the training part",
    )


@pytest.mark.parametrize("kind", ["loose", "empty"])
def test_a_test_part_without_labels_is_not_used_and_that_is_said(tmp_path, kind) -> None:
    for name in ("train", "val"):
        classes(tmp_path / name)
    (tmp_path / "test").mkdir()
    if kind == "loose":
        for i in range(3):
            shutil.copy(tmp_path / "val" / "a" / "0.png", tmp_path / "test" / f"{i}.png")
    found = listing(tmp_path)
    assert len(found.test or ()) == 12
    assert found.notes[0] == (
        "test has no images in class folders, hence no labels: it is not used"
    )
    assert found.notes[2:] == (
        ("left out 3 files: 3 in no class folder (.png 3)",) if kind == "loose" else ()
    )


def test_a_test_part_beside_the_classes(tmp_path) -> None:
    classes(tmp_path)
    classes(tmp_path / "test", n=2)
    found = listing(tmp_path)
    assert found.classes == ("a", "b") and len(found.train) == 12 and len(found.test or ()) == 4


@pytest.mark.parametrize("parts", [("train", "test"), ("val", "test"), ("test",)])
def test_parts_are_no_classes(tmp_path, parts) -> None:
    for name in parts:
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(
        InputError, match=r"are parts of a data set, not classes. It needs a folder"
    ):
        load(str(tmp_path), image=4, channels=1)


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("Train Data", "val-data"), ("x.train", "dev")],
)
def test_a_word_of_a_name_names_a_part_and_that_is_said(tmp_path, train, test) -> None:
    classes(tmp_path / train)
    classes(tmp_path / test, n=2)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "1.png").touch()
    found = listing(tmp_path)
    assert found.classes == ("a", "b") and (len(found.train), len(found.test or ())) == (12, 4)
    said = ", ".join(name for name in sorted((train, test)) if name != "dev")
    assert set(found.notes[0].partition(": ")[2].split(", ")) == set(said.split(", "))
    assert found.notes[-1] == "left out 1 file: 1 in a folder that is no part (more 1)"


def test_a_word_makes_no_part_of_a_class(tmp_path) -> None:
    """Neither beside classes of other names, nor beside a part that is called so as a whole."""
    for names in (("airport", "train station"), ("train_new", "train_old")):
        root = classes(tmp_path / names[1], names=names)
        assert listing(root).classes == names
        assert load(str(root), image=4, channels=1).classes == names
    for name in ("train station", "test_tube", "cat"):
        classes(tmp_path / "three" / name, names=("day", "night"))
    assert listing(tmp_path / "three").classes == ("cat", "test_tube", "train station")
    for part in ("train", "test"):
        classes(tmp_path / "two" / part, names=("test tube", "flask"))
    assert listing(tmp_path / "two").classes == ("flask", "test tube")


def test_parts_without_classes_beside_a_table(tmp_path) -> None:
    """As competitions have them: neither folder is a class, and no answer is made up."""
    for part, n in (("train", 6), ("test", 2)):
        (tmp_path / f"{part}_images").mkdir()
        for i in range(n):
            Image.new("L", (4, 4), i).save(tmp_path / f"{part}_images" / f"{part}{i}.png")
    for name, images in (("train", range(6)), ("sample_submission", range(2))):
        rows = (f"{name.replace('sample_submission', 'test')}{i},{i % 2}\n" for i in images)
        (tmp_path / f"{name}.csv").write_text("id,label\n" + "".join(rows))
    source = load(str(tmp_path), image=4, channels=1)
    assert len(source.train) == 6 and source.test is None
    assert source.notes == (
        "sample_submission.csv is an example of answers, by its name: it is not used",
        "left out 2 files: 2 named in no table (.png 2)",
    )
    for name in ("train", "sample_submission"):
        (tmp_path / f"{name}.csv").unlink()
    with pytest.raises(InputError, match="are parts of a data set, not classes"):
        load(str(tmp_path), image=4, channels=1)


def test_a_part_that_is_there_twice(tmp_path) -> None:
    for name in ("train", "val", "Validation"):
        classes(tmp_path / name)
    with pytest.raises(InputError, match="name a part twice: keep one of each"):
        listing(tmp_path)


def test_one_folder_too_high(tmp_path) -> None:
    classes(tmp_path / "photos")
    with pytest.raises(InputError, match=re.escape(f"Did you mean {tmp_path / 'photos'}?")):
        load(str(tmp_path), image=4, channels=1)


def test_folders_below_a_class_are_of_it(tmp_path) -> None:
    classes(tmp_path)
    for i, place in enumerate(("a/2020/may", "a/2020", "b/more")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / f"{i}.png").rename(tmp_path / place / f"{i}.png")
    found = listing(tmp_path)
    assert [file.label for file in found.train].count(0) == 5 and len(found.train) == 12
    names = [file.path.removeprefix(f"{tmp_path}/a/") for file in found.train if file.label == 0]
    assert names == ["3.png", "4.png", "5.png", "2020/1.png", "2020/may/0.png"]


def test_accents_of_both_forms_are_one_name(tmp_path) -> None:
    for part, form in (("train", "NFC"), ("test", "NFD")):
        classes(tmp_path / part, names=(unicodedata.normalize(form, "café"), "tea"))
    classes(tmp_path / "train" / "..", names=())
    extra = tmp_path / "train" / unicodedata.normalize("NFD", "café")
    extra.mkdir()
    shutil.copy(tmp_path / "train" / "tea" / "0.png", extra / "x.png")
    found = listing(tmp_path)
    assert found.classes == ("café", "tea")
    assert [file.label for file in found.train].count(0) == 7 and len(found.test or ()) == 12


def test_links_inside_the_folder(tmp_path) -> None:
    classes(tmp_path / "all", names=("a",))
    for name in ("x", "y"):
        (tmp_path / "set" / name).mkdir(parents=True)
    shutil.move(tmp_path / "all", tmp_path / "set" / "x" / "all")
    (tmp_path / "set" / "y" / "linked").symlink_to(tmp_path / "set" / "x" / "all" / "a")
    (tmp_path / "set" / "x" / "ring").symlink_to(tmp_path / "set" / "x")
    (tmp_path / "set" / "x" / "gone.png").symlink_to(tmp_path / "set" / "none.png")
    found = listing(tmp_path / "set")
    assert [file.label for file in found.train] == [0] * 6 + [1] * 6
    assert found.notes == (
        "left out 2 files: 1 links that lead nowhere (.png 1), "
        "1 links to a folder that holds them (ring 1)",
    )


def test_what_is_left_out_is_counted_by_reason(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "known_formats", lambda: ("JPEG", "PNG"))  # no pillow-heif
    classes(tmp_path / "train")
    classes(tmp_path / "other", names=("c",), n=3)
    for place in ("train/a/notes.txt", "train/b/README", "train/a/.hidden.png", "train/loose.png"):
        (tmp_path / place).touch()
    for place in ("train/a/1.heic", "list.csv"):
        (tmp_path / place).touch()
    [said] = survey(str(tmp_path)).notes
    assert said.startswith("left out 9 files: ")
    for part in (
        "1 hidden (.png 1)",
        "4 not named as an image that can be read (.txt 1, no suffix 1, .heic 1, .csv 1)",
        "1 in no class folder (.png 1)",
        "3 in a folder that is no part (other 3)",
    ):
        if part.startswith("4"):
            assert "4 not named as an image that can be read (" in said
        else:
            assert part in said
    assert "HEIC needs the package pillow-heif" in said


@pytest.mark.parametrize("place", ["__MACOSX/a", "a/@eaDir/0.png", ".cache/a", "b/.thumbnails"])
def test_what_systems_put_among_images_is_no_class_and_no_image(tmp_path, place) -> None:
    classes(tmp_path)
    (tmp_path / place).mkdir(parents=True)
    shutil.copy(tmp_path / "a" / "0.png", tmp_path / place / "x.png")
    found = listing(tmp_path)
    assert found.classes == ("a", "b") and len(found.train) == 12
    [hidden] = [name for name in Path(place).parts if len(name) > 1 and name != "0.png"]
    assert found.notes == (f"left out 1 file: 1 hidden ({hidden} 1)",)


def test_a_thousand_classes_are_not_listed(tmp_path) -> None:
    for i in range(1000):
        (tmp_path / "train" / f"{i:03}").mkdir(parents=True)
        (tmp_path / "train" / f"{i:03}" / "1.png").touch()
    classes(tmp_path / "test", names=("cow",))
    with pytest.raises(InputError) as raised:
        listing(tmp_path)
    assert str(raised.value).endswith(
        "class 'cow' is unknown, the training part has 000, 001, 002, 003, 004 and 995 more"
    )


def test_the_smallest_class_is_counted(tmp_path) -> None:
    classes(tmp_path, n=5)
    (tmp_path / "b" / "0.png").unlink()
    assert survey(str(tmp_path)).smallest == ("b", 4)
