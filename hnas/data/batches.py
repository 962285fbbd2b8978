"""Batches: the images that each training step takes."""

import numpy as np
import torch

from hnas.errors import InputError


def steps(n: int, batch: int) -> int:
    """Batches in one epoch of n images."""
    return max(1, n // batch)


def batches(n: int, batch: int, *, seed: int, epoch: int, repeats: int = 1) -> list[torch.Tensor]:
    """One epoch of n images in random order: `steps(n, batch)` int64 CPU tensors (batch,).

    Each image comes `repeats` times in a row, so that an epoch has so many times fewer of them;
    the last may come less often.

    A pure function of its arguments, so that a resumed training sees what it would have seen.
    All batches are equally large: a remainder is dropped (every epoch drops others), since
    a second shape is compiled and captured again, and its BatchNorm statistics are worse.
    If n < batch there is one batch, of all n.

    Raises InputError if that would be fewer than two images: BatchNorm needs two.
    """
    if min(n, batch) < 2:
        raise InputError(f"a batch needs at least 2 images, got batch={batch} of {n} images")
    stream = np.random.default_rng(np.random.SeedSequence((seed, epoch)))
    size = min(n, batch)
    order = torch.from_numpy(stream.permutation(n)).repeat_interleave(repeats)
    return list(order[: steps(n, batch) * size].view(-1, size))
