import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.data import Split, split
from hnas.errors import InputError, MismatchError
from hnas.persist.record import recorded, restored
from hnas.settings import DataRules

LABELS = np.arange(100, dtype=np.int64) % 4


def parts(made: Split) -> list[np.ndarray]:
    return [part for part in (made.train, made.held_out, made.test) if part is not None]


@settings(deadline=None, max_examples=150)
@given(
    counts=st.lists(st.integers(5, 60), min_size=2, max_size=6),
    held_out=st.floats(0.05, 0.5),
    test=st.floats(0.05, 0.4),
    own_test=st.booleans(),
    seed=st.integers(0, 2**63),
    order=st.randoms(use_true_random=False),
)
def test_parts_are_disjoint_complete_and_stratified(
    counts: list[int], held_out: float, test: float, own_test: bool, seed: int, order
) -> None:
    shuffled = [c for c, n in enumerate(counts) for _ in range(n)]
    order.shuffle(shuffled)
    labels = np.array(shuffled, dtype=np.int64)
    rules = DataRules(held_out=held_out, test=test)
    made = split(labels, rules, own_test=own_test, seed=seed)
    together = np.concatenate(parts(made))
    assert sorted(together.tolist()) == list(range(len(labels)))
    assert (made.test is None) == own_test
    for c, n in enumerate(counts):
        tested = 0 if made.test is None else int((labels[made.test] == c).sum())
        held = int((labels[made.held_out] == c).sum())
        if not own_test:
            assert tested == max(1, round(test * n))
        assert held == max(1, round(held_out * (n - tested)))
        assert (labels[made.train] == c).sum() == n - tested - held >= 1


@settings(deadline=None, max_examples=100)
@given(
    counts=st.lists(st.integers(20, 80), min_size=2, max_size=5),
    share=st.floats(0.4, 1.2),
    seed=st.integers(0, 1000),
)
def test_limit_takes_the_same_share_of_every_class(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    limit = int(share * len(labels))
    made = split(labels, DataRules(limit=limit), own_test=False, seed=seed)
    taken = np.concatenate(parts(made))
    assert len(taken) == min(limit, len(labels))
    for c, n in enumerate(counts):
        assert abs((labels[taken] == c).sum() - n * len(taken) / len(labels)) < 1


def test_a_seed_decides() -> None:
    one, same, other = (split(LABELS, DataRules(), own_test=False, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert recorded(one) == recorded(same)


def test_this_split_for_ever() -> None:
    """A stored run is resumed by its split: change it only with a reason to break them all."""
    made = split(LABELS[:12], DataRules(), own_test=False, seed=0)
    assert recorded(made) == {
        "train": [0, 1, 2, 3],
        "held_out": [4, 6, 9, 11],
        "test": [5, 7, 8, 10],
        "labels": "6bfb6493ccf78d7b",
    }


@pytest.mark.parametrize(
    ("labels", "fingerprint"),
    [(LABELS, "796f148e39883e62"), (np.arange(400) * 7 % 40, "56af5bdb51109abb")],
)
def test_equal_labels_stay_in_their_order_for_ever(labels: np.ndarray, fingerprint: str) -> None:
    """Which of a class's images come first must not depend on the machine's way to sort."""
    assert split(labels, DataRules(), own_test=False, seed=0).fingerprint == fingerprint


def test_of_equal_remainders_the_first_classes_get_one_image_more() -> None:
    labels = np.arange(400) * 7 % 40
    made = split(labels, DataRules(limit=207), own_test=True, seed=0)
    counts = np.bincount(labels[np.concatenate(parts(made))])
    assert counts.tolist() == [6] * 7 + [5] * 33


def test_remainders_that_are_equal_among_others() -> None:
    """A sort that is not stable mixes them only if there are others."""
    counts = np.arange(40) % 3 * 10 + 10
    labels = np.repeat(np.arange(40), counts)
    made = split(labels, DataRules(limit=240), own_test=True, seed=0)
    shares, remainders = np.divmod(counts * 240, counts.sum())
    first = sorted(range(40), key=lambda label: -remainders[label])[: 240 - shares.sum()]
    shares[first] += 1
    assert np.bincount(labels[np.concatenate(parts(made))]).tolist() == shares.tolist()


def test_a_class_may_be_trained_on_by_one_image() -> None:
    made = split(np.array([0, 0, 0, 1, 1, 1]), DataRules(), own_test=False, seed=0)
    assert [len(part) for part in parts(made)] == [2, 2, 2]


def test_a_class_does_not_depend_on_the_others() -> None:
    fewer = LABELS[(LABELS < 3) | (np.arange(100) < 60)]
    rules = DataRules()
    one = split(LABELS, rules, own_test=True, seed=5)
    two = split(fewer, rules, own_test=True, seed=5)
    positions = np.flatnonzero((LABELS < 3) | (np.arange(100) < 60))
    kept = positions[two.held_out]
    assert kept[LABELS[kept] == 0].tolist() == one.held_out[LABELS[one.held_out] == 0].tolist()


def test_written_down_and_read_back() -> None:
    for own_test in (False, True):
        made = split(LABELS, DataRules(), own_test=own_test, seed=3)
        read = restored(Split, json.loads(json.dumps(recorded(made))))
        assert read.fingerprint == made.fingerprint
        assert recorded(read) == recorded(made)


def test_fingerprint_sees_every_part() -> None:
    base = {"train": [0, 1], "held_out": [2], "test": [3], "labels": "x"}
    changed = [
        {"train": [0, 4]},
        {"held_out": [4]},
        {"test": None},
        {"labels": "y"},
        {"train": [0], "held_out": [1, 2]},
    ]
    splits = [restored(Split, {**base, **change}) for change in [{}, *changed]]
    assert len({one.fingerprint for one in splits}) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": [0, 2]}, "must not share an image, got image 2 more than once"),
        ({"train": [0, 0]}, "got image 0 more than once"),
        ({"train": []}, "each part of a split must be a non-empty list"),
        ({"train": [-1]}, "each part of a split must be a non-empty list of indices >= 0"),
        ({"train": [True]}, "train must be a list of int64, got [True]"),
        ({"train": [2**63]}, "train must be a list of int64, got [9223372036854775808]"),
        ({"held_out": None}, "held_out must be a list of int64, got None"),
        ({"test": "3"}, "test must be a list of int64, got '3'"),
        ({"labels": 3}, "labels must be str, got 3"),
        ({"more": 3}, "Split has no field more"),
    ],
)
def test_a_split_that_is_none(change: dict[str, object], message: str) -> None:
    base = {"train": [0, 1], "held_out": [2], "test": [3], "labels": "x"}
    with pytest.raises(InputError, match=re.escape(message)):
        restored(Split, {**base, **change})


def test_a_split_is_an_object() -> None:
    with pytest.raises(InputError, match=r"Split must be an object, got \[\]"):
        restored(Split, [])


def test_a_class_that_is_too_small() -> None:
    labels = np.array([0] * 10 + [1] * 2, dtype=np.int64)
    message = (
        "class 'dog' has 2 images: 1 to test and 1 to hold out leave none to train on. "
        "Give it more images, or change limit, test or held_out"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        split(labels, DataRules(), own_test=False, seed=0, classes=("cat", "dog"))
    split(labels, DataRules(), own_test=True, seed=0)


def test_a_limit_that_is_too_small() -> None:
    message = r"class 0 has 25 images \(2 with limit=8\): 1 to test and 1 to hold out leave none"
    with pytest.raises(InputError, match=message):
        split(LABELS, DataRules(limit=8), own_test=False, seed=0)


def test_a_class_without_images() -> None:
    labels = np.array([0] * 9 + [2] * 9, dtype=np.int64)
    with pytest.raises(InputError, match="class 1 has 0 images"):
        split(labels, DataRules(), own_test=False, seed=0)


@pytest.mark.parametrize("labels", [np.array([], dtype=np.int64), np.array([-1, 0])])
def test_labels_that_are_none(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="labels to split must be a list of classes >= 0"):
        split(labels, DataRules(), own_test=False, seed=0)


def test_check_refuses_other_labels() -> None:
    made = split(LABELS, DataRules(), own_test=False, seed=0)
    made.check(LABELS.copy())
    with pytest.raises(MismatchError, match="the data set has changed since it was split"):
        made.check(np.append(LABELS, 0))
