"""Latencies of whole networks, measured in turn on one device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import plain_vit
from hnas.cost.timing import Clock, in_turn, rotated, seconds
from hnas.device import synchronise
from hnas.network.glit import Glit

WARM_UP = 3
"""Rounds before those that count."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of one forward pass of a batch."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        return cls(median=statistics.median(seconds), lowest=min(seconds), highest=max(seconds))


def references(frame: Frame, macs: int) -> dict[str, Glit]:
    """All-global networks to compare with, untrained: of the same width, of the nearest MACs."""
    same, nearest = (frame, frame.all_global()), plain_vit(frame, macs)
    return {
        f"all-global, d = {each.d}" + _other_d_k(each, arch): Glit(each, arch).reset(0)
        for each, arch in dict.fromkeys((same, nearest))
    }


def _other_d_k(frame: Frame, arch: Arch) -> str:
    d_k = arch.blocks[0].d_k
    return "" if d_k == frame.d else f", d_k = {d_k}"


def latencies(
    models: Mapping[str, nn.Module], images: torch.Tensor, *, rounds: int
) -> dict[str, Latency]:
    """The latency of each network on a batch of images (B, C, image, image), all on one device."""
    for model in models.values():
        model.to(images.device).eval()
    timers = [partial(pass_seconds, model, images) for model in models.values()]
    spent = list(in_turn(timers, rotated(len(timers), WARM_UP + rounds)))[WARM_UP:]
    return dict(zip(models, map(Latency.of, zip(*spent, strict=True)), strict=True))


@torch.inference_mode()
def pass_seconds(model: nn.Module, images: torch.Tensor, clock: Clock = time.perf_counter) -> float:
    """Wall time of one forward pass, until the device has finished it."""

    def run() -> None:
        model(images)
        synchronise(images.device)

    return seconds(run, clock)
