"""Amounts: multiply-accumulates as people write them."""

from __future__ import annotations

import pytest

from hnas.errors import InputError
from hnas.studies.plan.quantities import parse_flops


@pytest.mark.parametrize(
    ("value", "macs"),
    [
        (7, 7),
        ("8", 8),
        ("1.5k", 1500),
        ("250M", 250_000_000),
        ("1.3G", 1_300_000_000),  # exactly: 1.3 * 1e9 in floats would be luck
        ("4.4G", 4_400_000_000),
        (" 0.000001t ", 1_000_000),
        ("1.472873280G", 1_472_873_280),
    ],
)
def test_flops_are_parsed_exactly(value: object, macs: int) -> None:
    assert parse_flops(value) == macs


@pytest.mark.parametrize(
    "value", ["", "0", -1, "-2", "1,3G", "1.3", "1.3GG", "G", "nan", "1e9", 1.3e9, True, None]
)
def test_flops_that_are_no_number_are_told(value: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_flops(value, "--flops")
    assert str(caught.value) == (
        "--flops must be a whole number of multiply-accumulates >= 1, or text with K, M, G or T "
        f'behind the number, such as "250M" or "1.3G"; got {value!r}'
    )
