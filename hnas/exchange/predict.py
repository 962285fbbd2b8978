"""Predictions of a trained network for images in files."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from hnas.data import normalise
from hnas.data.sources.files import File, read
from hnas.errors import InputError
from hnas.exchange.export import Network

BATCH = 64
"""Images at a time."""


@torch.inference_mode()
def probabilities(network: Network, pixels: Tensor) -> Tensor:
    """uint8 (B, C, image, image) -> float32 (B, classes) on the CPU; each row adds up to 1.

    In fp32 on the network's device, so that the answer is the same to the digits that are shown.
    """
    model = network.model.eval()
    device = model.pos_embed.device
    mean, std = torch.tensor(network.mean), torch.tensor(network.std)
    logits = model(normalise(pixels, mean, std).to(device))
    return torch.softmax(logits.float(), dim=-1).cpu()


def of_files(
    network: Network, files: Sequence[File], refused: Callable[[InputError], object]
) -> Iterator[tuple[File, Tensor]]:
    """Each file with its probabilities (classes,), in their order; `refused` hears of those that
    cannot be read."""
    size = network.size
    for i in range(0, len(files), BATCH):
        there: list[tuple[File, Tensor]] = []
        for file in files[i : i + BATCH]:
            try:
                there.append((file, read(file, size)))
            except InputError as error:
                refused(error)
        if there:
            rows = probabilities(network, torch.stack([pixels for _, pixels in there]))
            yield from ((file, row) for (file, _), row in zip(there, rows, strict=True))


def likeliest(row: Tensor, classes: tuple[str, ...], top: int) -> list[tuple[str, float]]:
    """The `top` classes of one row (classes,) with their probabilities, the likeliest first."""
    values, indices = row.topk(min(top, len(classes)))
    return [(classes[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]
