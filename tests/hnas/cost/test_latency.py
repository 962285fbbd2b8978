"""Latencies of whole networks, and the networks to compare with."""

from __future__ import annotations

import torch

from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.cost.latency import Latency, latencies, references
from hnas.network.glit import Glit

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=2, N=3)


def test_a_latency_is_the_median_between_the_extremes() -> None:
    assert Latency.of([3.0, 1.0, 50.0]) == Latency(median=3.0, lowest=1.0, highest=50.0)


def test_the_references_are_all_global_of_the_width_and_of_the_macs() -> None:
    wide = cost(Frame(image=8, channels=1, patch=4, classes=3, d=24, M=2, N=3), _all(24)).macs
    found = references(FRAME, wide)
    assert list(found) == ["all-global, d = 12", "all-global, d = 24"]
    assert [net.arch for net in found.values()] == [_all(12), _all(24)]
    same = cost(FRAME, FRAME.all_global()).macs
    assert list(references(FRAME, same)) == ["all-global, d = 12"]


def _all(d: int):
    return Frame(image=8, channels=1, patch=4, classes=3, d=d, M=2, N=3).all_global()


def test_every_network_is_measured() -> None:
    models = {"mine": Glit(FRAME, FRAME.all_global()).reset(0), **references(FRAME, 10**5)}
    found = latencies(models, torch.zeros(2, 1, 8, 8), rounds=3)
    assert list(found) == list(models)
    assert all(0 < each.lowest <= each.median <= each.highest for each in found.values())
