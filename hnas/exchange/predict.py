"""Predictions of a trained network for images without labels."""

import torch
from torch import Tensor

from hnas.data import normalise
from hnas.exchange.export import Network


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


def likeliest(row: Tensor, classes: tuple[str, ...], top: int) -> list[tuple[str, float]]:
    """The `top` classes of one row (classes,) with their probabilities, the likeliest first."""
    values, indices = row.topk(min(top, len(classes)))
    return [(classes[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]
