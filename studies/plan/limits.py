"""The most that a search on a kind of device takes: what proposals stay within."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DeviceLimits:
    """The most that a search on a kind of device takes."""

    side: int
    """Most pixels a side of an image."""
    grid: int
    """Most patches a side."""
    images: int
    """Most training images; 0 takes all."""
    scored: int
    """Most held-out images that an architecture is scored on; 0 takes all."""
    width: int
    """Most token width."""
    blocks: int
    work: int
    """Multiply-accumulates of the images that a supernet sees in one training, forward alone. On a
    CPU those of wide convolutions take two thirds of the time of others'."""
    retrained: int
    """Networks of the last stage that are retrained."""
    trials: int
    population: int


LIMITS = {
    "cpu": DeviceLimits(
        side=64,
        grid=8,
        images=10_000,
        scored=1_000,
        width=96,
        blocks=6,
        work=1_280_000_000_000,
        retrained=3,
        trials=100,
        population=20,
    ),
    "cuda": DeviceLimits(
        side=224,
        grid=14,
        images=0,
        scored=0,
        width=192,
        blocks=12,
        work=20_000_000_000_000_000,
        retrained=5,
        trials=1000,
        population=50,
    ),
}
LIMITS["mps"] = LIMITS["cpu"]  # until someone has tried one
"""By `torch.device.type`."""
