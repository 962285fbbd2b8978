"""Images are known again by their pixels: in another order, by other names, and not if replaced."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hnas.data.hashing import from_hex, hashes, to_hex
from hnas.data.images import Images, Source
from hnas.data.known import known
from hnas.data.split import Split, split
from hnas.errors import InputError, MismatchError
from hnas.persist.record import recorded, restored
from hnas.settings import DataRules

CLASSES = ("circle", "square", "tri")


def images(count: int, seed: int) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, 5, 5), dtype=torch.uint8, generator=generator)
    return Images(pixels=pixels, labels=torch.arange(count) * 3 // count)


def source(*, own_test: bool = False) -> Source:
    train = images(30, 0)
    # Twice the same image, in one class and in two.
    for copy, of in ((4, 3), (15, 6)):
        train.pixels[copy] = train.pixels[of]
    test = images(9, 1) if own_test else None
    return Source(name="photos", train=train, test=test, classes=CLASSES)


def kept(of: Source) -> Split:
    made = split(of.train.labels.numpy(), DataRules(), own_test=of.test is not None, seed=0)
    made = replace(made, known=known(of))
    return restored(Split, json.loads(json.dumps(recorded(made))))  # as a run keeps it


def same(found: Source, was: Source) -> bool:
    pairs = [(found.train, was.train)]
    if was.test is not None and found.test is not None:
        pairs.append((found.test, was.test))
    return found.classes == was.classes and all(
        torch.equal(a.tensor(), b.tensor()) and torch.equal(a.labels, b.labels) for a, b in pairs
    )


def shuffled(of: Images) -> Images:
    """In another order, each class together, as the files of a folder are."""
    order = torch.randperm(len(of), generator=torch.Generator().manual_seed(2))
    return of.take(order[of.labels[order].argsort(stable=True)])


def renamed(of: Source, name: str, new: str) -> Source:
    """As a folder is read whose class has another name: the classes are sorted again."""
    names = [new if each == name else each for each in of.classes]
    order = np.argsort(names)
    numbers = torch.from_numpy(np.argsort(order))

    def part(one: Images) -> Images:
        labels = numbers[one.labels]
        each = labels.argsort(stable=True)
        return Images(pixels=one.pixels[each], labels=labels[each])

    test = of.test and part(of.test)
    classes = tuple(names[i] for i in order)
    return replace(of, train=part(of.train), test=test, classes=classes)


@pytest.mark.parametrize("own_test", [False, True])
def test_what_is_the_same_stays_as_it_is(own_test: bool) -> None:
    was = source(own_test=own_test)
    found, said = kept(was).recognised(source(own_test=own_test))
    assert found.train.pixels is not was.train.pixels and same(found, was) and said == ()


@pytest.mark.parametrize("own_test", [False, True])
@pytest.mark.parametrize("change", ["files", "first class", "last class", "class and files"])
def test_other_names_are_carried_over(own_test: bool, change: str) -> None:
    was = source(own_test=own_test)
    now = was
    if change in ("files", "class and files"):
        now = replace(now, train=shuffled(now.train), test=now.test and shuffled(now.test))
    if change in ("first class", "class and files"):
        now = renamed(now, "circle", "zircle")
    if change == "last class":
        now = renamed(now, "tri", "a triangle")
    assert not same(now, was)
    found, said = kept(was).recognised(now)
    assert same(found, was)
    assert any("another order" in each for each in said)
    if "class" in change:
        new, old = ("a triangle", "tri") if change == "last class" else ("zircle", "circle")
        assert f"class {new!r} has the images of {old!r}, and is called so here" in said


def test_a_part_whose_images_are_others_is_named() -> None:
    was = source()
    of = kept(was)
    assert of.test is not None
    for part, index in (
        ("the training part", of.train),
        ("the held-out part", of.held_out),
        ("the test part", of.test),
    ):
        now = source()
        lonely = [i for i in index if i not in (3, 4, 6, 15)]
        now.train.pixels[lonely[0], 0, 0, 0] ^= 1  # one bit of one image
        with pytest.raises(MismatchError) as error:
            of.recognised(now)
        assert str(error.value) == (
            f"photos has other images now: of {part}, 1 of {len(index)} images are gone or "
            "changed; 1 image is new or changed"
        )


def _without(now: Source) -> Source:
    return replace(now, train=now.train.take(torch.arange(1, 30)))


def _more(now: Source) -> Source:
    order = torch.cat([torch.arange(30), torch.tensor([29])])  # the same once more
    return replace(now, train=now.train.take(order))


def _to_another_class(now: Source) -> Source:
    labels = now.train.labels.clone()
    labels[0], labels[29] = 2, 0
    return replace(now, train=Images(pixels=now.train.pixels, labels=labels))


def _swapped(now: Source) -> Source:
    labels = torch.tensor([1, 0, 2])[now.train.labels]
    return replace(now, train=Images(pixels=now.train.pixels, labels=labels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, "1 of .* images are gone or changed$"),
        (_more, "other images now: 1 image is new or changed"),
        (_to_another_class, "2 images are new or changed"),
        (_swapped, "18 images are new or changed"),
        (lambda now: renamed(_more(now), "tri", "four"), "class 'four' was not there"),
        (lambda now: replace(now, test=images(9, 1)), "has a test part of its own now"),
    ],
)
def test_other_images_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MismatchError, match=message):
        kept(source()).recognised(change(source()))


def test_a_test_part_of_its_own_is_compared_too() -> None:
    now = source(own_test=True)
    assert now.test is not None
    now.test.pixels[8] = 0
    with pytest.raises(MismatchError, match="of the test part, 1 of 9 images are gone or changed"):
        kept(source(own_test=True)).recognised(now)


def test_an_old_split_compares_nothing() -> None:
    old, now = replace(kept(source()), known=None), _swapped(source())
    assert old.recognised(now) == (now, ()) and old.images is None
    assert restored(Split, recorded(old)).known is None and "known" not in recorded(old)
    assert old.fingerprint == kept(source()).fingerprint  # which seeds trainings


def test_fingerprints_tell_names_labels_and_pixels_apart() -> None:
    was = source(own_test=True)
    others = [was, source(), _swapped(was), _without(was), replace(was, classes=("a", "b", "c"))]
    assert len({known(each).fingerprint for each in others}) == len(others)
    assert known(source()).fingerprint == known(source()).fingerprint


@pytest.mark.parametrize("size", [1, 3, 4, 7, 64, 3001])
def test_a_hash_depends_on_every_byte_and_its_place(size: int) -> None:
    rng = np.random.default_rng(size)
    one = rng.integers(0, 256, size, dtype=np.uint8)
    others = np.repeat(one[None], size + 1, axis=0)
    at = np.arange(size)
    others[at, at] ^= np.uint8(128)  # each byte in turn, by its highest bit
    found = hashes(others)
    assert len(np.unique(found)) == size + 1
    assert hashes(one[None])[0] == found[-1]
    if size > 1:
        assert hashes(np.roll(one, 1)[None])[0] != found[-1]


def test_a_hash_stays_what_it_is_in_files() -> None:
    """Runs and packs keep them: another hash would refuse the images of all of them."""
    found = hashes(np.arange(30, dtype=np.uint8).reshape(3, 10))
    assert found.tolist() == [8533496330643770836, -7279752290799675706, -4646256838533570632]
    assert np.array_equal(from_hex(to_hex(found)), found)


@pytest.mark.parametrize("value", [{}, {"labels": "00"}, {"labels": "0" * 8, "pixels": "xyz"}, 3])
def test_damaged_hashes_are_one_of_our_errors(value: object) -> None:
    record = recorded(kept(source()))
    record["known"] = {**record["known"], "train": value}
    with pytest.raises(InputError):
        restored(Split, json.loads(json.dumps(record)))
