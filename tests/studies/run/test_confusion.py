"""A confusion counts every image once, and is read as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.errors import InputError
from hnas.studies.run.confusion import Confusion

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40)


@given(PAIRS)
def test_every_image_counts_once(pairs: list[tuple[int, int]]) -> None:
    found = Confusion.of((a for a, _ in pairs), (b for _, b in pairs), 7)
    assert found.images == len(pairs)
    for c in range(7):
        assert found.of_class(c) == sum(a == c for a, _ in pairs)
        assert found.right(c) == sum(a == b == c for a, b in pairs)
    for a, b, images in found.mistakes():
        assert a != b and images == pairs.count((a, b))
    counts = [images for _, _, images in found.mistakes()]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(a != b for a, b in pairs)
    assert Confusion.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_its_text_is_short() -> None:
    assert Confusion.of([0, 0, 0, 2], [0, 2, 0, 2], 3).to_dict() == ["0:2 2:1", "", "2:1"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0:1", "a list of texts, got '0:1'"),
        ([["0", "1"]], "a list of texts"),
        (["0:x"], "like 3:35, got '0:x'"),
        (["0"], "like 3:35, got '0'"),
        (["1:4"], "a class below 1, got 4 for 1"),
        (["0:0"], "at least one image for a class below 1, got 0 for 0"),
    ],
)
def test_what_is_no_confusion(value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Confusion.from_dict(value)
