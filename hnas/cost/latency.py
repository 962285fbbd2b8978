"""How long networks take, measured in turn: whatever else the machine does meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from hnas.architecture.space import Frame
from hnas.cost.flops import plain_vit
from hnas.network.glit import Glit


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of one forward pass of a batch."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        return cls(median=statistics.median(seconds), lowest=min(seconds), highest=max(seconds))


def in_turn(
    calls: Sequence[Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Seconds that each call took in each round; every round starts with another call."""
    for _ in range(warm_up):
        for call in calls:
            call()
    seconds: list[list[float]] = [[] for _ in calls]
    for i in range(rounds):
        for j in range(len(calls)):
            k = (i + j) % len(calls)
            began = clock()
            calls[k]()
            seconds[k].append(clock() - began)
    return seconds


def references(frame: Frame, macs: int) -> dict[str, Glit]:
    """All-global networks to compare with, untrained: of the same width, of the nearest MACs."""
    nearest = plain_vit(frame, macs)
    return {
        f"all-global, d = {each.d}": Glit(each, each.all_global()).reset(0)
        for each in dict.fromkeys((frame, replace(frame, d=nearest.d)))
    }


def latencies(
    models: Mapping[str, nn.Module],
    images: torch.Tensor,
    *,
    rounds: int,
) -> dict[str, Latency]:
    """The latency of each network on a batch of images (B, C, image, image), all on one device."""
    device = images.device

    def call(model: nn.Module) -> Callable[[], None]:
        def run() -> None:
            model(images)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return run

    for model in models.values():
        model.to(device).eval()
    with torch.inference_mode():
        measured = in_turn([call(model) for model in models.values()], rounds)
    return {name: Latency.of(each) for name, each in zip(models, measured, strict=True)}
