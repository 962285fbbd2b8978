"""Intervals: by the textbook, and there and back through JSON."""

from __future__ import annotations

import json
import math

import pytest

from hnas.errors import InputError
from hnas.scoring.pairs import differ
from hnas.studies.run.interval import Interval, interval, paired, wilson


def test_a_share_has_wilson_s_interval() -> None:
    found = wilson(180, 200)  # Wilson (1927)
    assert found.value == 0.9
    assert [found.low, found.high] == pytest.approx([0.8506, 0.9343], abs=1e-4)


def test_a_metric_has_its_own_error_or_that_of_a_share() -> None:
    assert interval(0.9, 200, None) == wilson(180, 200)
    found = interval(0.5, 200, 0.1)
    assert (found.value, found.low, found.high) == (0.5, 0.5 - 1.96 * 0.1, 0.5 + 1.96 * 0.1)
    ends = [interval(value, 200, 0.1) for value in (0.1, 0.9)]
    assert [(end.low, end.high) for end in ends] == [(0.0, 0.1 + 0.196), (0.9 - 0.196, 1.0)]


@pytest.mark.parametrize(
    ("apart", "p"),
    # Two-sided exact McNemar: twice the smaller tail of a fair coin.
    [((9, 1), 22 / 1024), ((8, 2), 112 / 1024), ((0, 6), 2 / 64), ((5, 0), 2 / 32), ((0, 0), 1.0)],
)
def test_pairs_differ_just_if_the_exact_test_says_so(apart: tuple[int, int], p: float) -> None:
    found = paired(apart, 100)
    assert found.value == pytest.approx((apart[0] - apart[1]) / 100)
    assert found.low <= found.value <= found.high
    assert (found.low > 0 or found.high < 0) is differ(apart) is (p < 0.05)
    back = paired(apart[::-1], 100)
    assert [back.low, back.high] == pytest.approx([-found.high, -found.low])


@pytest.mark.parametrize("value", [0.25, math.nan])
def test_json_gives_it_back_and_nan_is_null(value: float) -> None:
    text = json.dumps(Interval(value=value, low=-0.5, high=1.0).to_dict())
    assert ("null" in text) is math.isnan(value)
    found = Interval.from_dict(json.loads(text))
    assert (found.value == value or math.isnan(value)) and (found.low, found.high) == (-0.5, 1.0)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ([], "an interval must be an object"),
        ({}, "lacks the field high, low, value"),
        ({"value": 0.5, "low": "0", "high": 1.0}, "low must be float, got '0'"),
    ],
)
def test_anything_else_is_refused(value: object, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        Interval.from_dict(value)  # type: ignore[arg-type]
