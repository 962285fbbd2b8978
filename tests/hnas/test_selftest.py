"""The self-test passes where hnas works, and finds what it is there to find."""

from __future__ import annotations

import pytest
import torch

from hnas.selftest import SelfTest, self_test

FINE = SelfTest(
    seconds=1.0,
    first_loss=2.0,
    last_loss=1.0,
    accuracy=0.6,
    difference=0.0,
    tolerance=0.0,
)


def test_it_passes_here_and_a_subnet_is_its_standalone_network() -> None:
    found = self_test(torch.device("cpu"))
    assert found.problems == ()
    assert found.difference == 0.0  # bit for bit
    assert found.accuracy > 0.3 and found.last_loss < found.first_loss


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"last_loss": 2.0}, "training did not learn: loss 2.000 to 2.000"),
        ({"last_loss": float("nan")}, "training did not learn: loss 2.000 to nan"),
        ({"accuracy": 0.1}, "a trained subnet is no better than chance: accuracy 0.100"),
        (
            {"difference": 1e-3},
            "a subnet and its standalone network differ by 0.001, more than 0",
        ),
        (
            {"difference": float("nan")},
            "a subnet and its standalone network differ by nan, more than 0",
        ),
    ],
)
def test_what_is_wrong_is_told(change: dict[str, float], problem: str) -> None:
    assert FINE.problems == ()
    assert SelfTest(**{**vars(FINE), **change}).problems == (problem,)


def test_a_broken_extraction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from hnas.network.supernet import Supernet

    extract = Supernet.extract

    def broken(net, arch, statistics=None):
        alone = extract(net, arch, statistics)
        with torch.no_grad():
            alone.head.bias += 1e-3
        return alone

    monkeypatch.setattr(Supernet, "extract", broken)
    (problem,) = self_test(torch.device("cpu")).problems
    assert problem.startswith("a subnet and its standalone network differ by 0.001")
