"""Answers image by image: packed, and compared."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hnas.errors import StateError
from hnas.scoring.pairs import MOST, apart, differ, packed


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
def test_only_the_images_that_one_alone_is_right_on_count(pairs: list[tuple[bool, bool]]) -> None:
    a, b = (np.array(column, dtype=bool) for column in zip(*pairs, strict=True))
    first, second = packed(a), packed(b)
    assert first is not None and second is not None
    assert apart(first, second) == (int((a & ~b).sum()), int((b & ~a).sum()))
    assert apart(first, first) == (0, 0)


@given(st.integers(1, 200), st.integers(0, 200))
def test_two_networks_differ_if_the_exact_test_says_so(ours: int, theirs: int) -> None:
    told = bool(binomtest(ours, ours + theirs).pvalue < 0.05)
    assert differ((ours, theirs)) is differ((theirs, ours)) is told


def test_answers_are_small_and_bounded() -> None:
    rng = np.random.default_rng(0)
    few = packed(rng.random(287) < 0.96)
    assert few is not None and len(few) <= 64
    most = packed(rng.random(MOST) < 0.5)
    assert most is not None and len(most) < 1400
    assert packed(np.ones(MOST + 1, dtype=bool)) is packed(np.ones(0, dtype=bool)) is None


def text_of(bits: int) -> str:
    return base64.b85encode(zlib.compress(bytes(bits // 8))).decode()


@pytest.mark.parametrize(
    "text",
    ["", "abc", "c$^", "\u00e4", text_of(80)[:-5], text_of(2 * MOST), text_of(10**8)],
    ids=["empty", "short", "odd", "no ASCII", "torn", "too many", "a bomb"],
)
def test_damaged_answers_are_said(text: str) -> None:
    whole = packed(np.ones(9, dtype=bool))
    assert whole is not None
    with pytest.raises(StateError, match="of a network are damaged"):
        apart(whole, text)
    with pytest.raises(StateError, match="compared on the same images"):
        apart(whole, packed(np.ones(90, dtype=bool)) or "")
