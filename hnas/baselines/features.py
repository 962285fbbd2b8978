"""Features of images for simple models: raw pixels, and histograms of oriented gradients (HOG).

Shapes: n images, C channels, H = W pixels a side, F features of an image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32
"""Most pixels a side that raw pixels keep."""
BINS = 9
"""Directions of a gradient, without its sign: 20 degrees each."""
CELLS = 8
"""Cells a side that an image of HOG has, if it is large enough."""
CHUNK = 512
"""Images at a time."""


def raw(pixels: Tensor) -> Tensor:
    """uint8 (n, C, H, H) -> float32 (n, F), 0 to 1, at most SIDE pixels a side."""
    parts = []
    for part in pixels.split(CHUNK):
        values = part.float() / 255
        if values.shape[-1] > SIDE:
            values = F.interpolate(values, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        parts.append(values.flatten(1))
    return torch.cat(parts)


def hog(pixels: Tensor) -> Tensor:
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005): uint8 (n, C, H, H) ->
    float32 (n, F).

    Square roots of pixels; of each pixel the channel with the strongest gradient; BINS directions,
    shared between the two nearest; cells of an eighth of a side, at least 2 pixels; blocks of 2 x 2
    cells that overlap, normalised, clipped at 0.2 and normalised again.
    """
    return torch.cat([_hog(part) for part in pixels.split(CHUNK)])


def _hog(pixels: Tensor) -> Tensor:
    strength, low, share = _gradients(pixels)
    n, height, width = strength.shape
    histograms = torch.zeros(n, BINS, height, width)
    for direction, part in ((low, 1 - share), ((low + 1) % BINS, share)):
        histograms.scatter_add_(1, direction.unsqueeze(1), (strength * part).unsqueeze(1))
    cell = min(height, max(2, -(-height // CELLS)))
    cells = F.avg_pool2d(histograms, cell)
    blocks = F.unfold(cells, min(2, cells.shape[-1]))  # (n, BINS x cells of a block, blocks)
    blocks = F.normalize(blocks, dim=1, eps=0.02).clamp(max=0.2)
    return F.normalize(blocks, dim=1, eps=1e-3).flatten(1)


def _gradients(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of every pixel: its gradient's length, the direction below it, the share of the next one."""
    x = F.pad((pixels.float() / 255).sqrt(), (1, 1, 1, 1), mode="replicate")
    across, down = x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2], x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]
    strength, best = (across**2 + down**2).max(dim=1, keepdim=True)
    across, down = (each.gather(1, best).squeeze(1) for each in (across, down))
    turn = torch.remainder(torch.atan2(down, across), torch.pi) / torch.pi * BINS
    low = turn.floor()
    return strength.squeeze(1).sqrt(), low.long() % BINS, turn - low
