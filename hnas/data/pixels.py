"""Pixels in memory or on disk: the same questions, answered by either.

Shapes: n images, C channels (1 grey, 3 RGB), H x W pixels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from hnas.data.hashing import Index, hashes
from hnas.data.on_disk import OnDisk
from hnas.data.size import Size

CHANNELS = (1, 3)
CHUNK = 256
"""Images at a time, where a copy is made of them."""
STRIP = 2**22
"""Bytes of such a copy, if the images are large."""
LUMA = (19595, 38470, 7471)
"""ITU-R 601 weights of R, G and B in 1/65536, as Pillow converts RGB to grey."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Pixels that are a tensor, which answers what `OnDisk` does."""

    pixels: torch.Tensor

    def take(self, index: torch.Tensor) -> torch.Tensor:
        return self.pixels[index]

    def tensor(self) -> torch.Tensor:
        return self.pixels

    def fit(self, size: Size) -> torch.Tensor:
        return fit(self.pixels.cpu(), size)

    def hashes(self) -> Index:
        return hashes(self.pixels.cpu().numpy())

    def moments(self) -> tuple[int, list[int], list[int]]:
        """From counts of the 256 values."""
        values = torch.arange(256)
        counts = torch.zeros((self.pixels.shape[1], 256), dtype=torch.int64)
        each = at_a_time(self.pixels[:1].numel() or 1)
        for some in self.pixels.split(each):  # a channel of all would be a copy of a third
            for count, channel in zip(counts, some.unbind(dim=1), strict=True):
                count += torch.bincount(channel.flatten(), minlength=256).cpu()
        sums = [int((count * values).sum()) for count in counts]
        squares = [int((count * values**2).sum()) for count in counts]
        return self.pixels[:, 0].numel(), sums, squares

    def fetch(self, order: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        for index in order:
            yield self.pixels[sent(index, self.pixels.device)]


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device. A GPU gets it when it comes to that: nobody waits."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def at_a_time(bytes_an_image: int) -> int:
    """Images of which a copy is made at a time, at most CHUNK: so many that the copy is small."""
    return min(CHUNK, max(1, STRIP // bytes_an_image))


def pixels_of(pixels: torch.Tensor | OnDisk) -> InMemory | OnDisk:
    """The pixels of a data set, to be asked the same wherever they are."""
    return InMemory(pixels) if isinstance(pixels, torch.Tensor) else pixels


def fit(pixels: torch.Tensor, size: Size) -> torch.Tensor:
    """Centre-cropped to a square, resized (antialiased) and converted grey <-> RGB.

    uint8 (n, C, H, W), C = 1 or 3 -> uint8 (n, channels, image, image), contiguous: the same memory
    if they are so, else one array more, and nothing else of all.
    """
    shape = (len(pixels), size.channels, size.image, size.image)
    if pixels.shape == shape:
        return pixels.contiguous()
    made = torch.empty(shape, dtype=torch.uint8)
    each = at_a_time(max(pixels[0].numel(), made[0].numel()) if len(made) else 1)
    for to, some in zip(made.split(each), pixels.split(each), strict=True):
        to.copy_(_fitted(some, size))
    return made


def _fitted(pixels: torch.Tensor, size: Size) -> torch.Tensor:
    height, width = pixels.shape[2:]
    side, image = min(height, width), size.image
    top, left = (height - side) // 2, (width - side) // 2
    pixels = pixels[:, :, top : top + side, left : left + side]
    if pixels.shape[1] > size.channels:
        pixels = _grey(pixels)
    if side != image:
        pixels = F.interpolate(pixels, size=(image, image), mode=size.interpolation, antialias=True)
    return pixels.expand(-1, size.channels, -1, -1)


def _grey(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 3, H, W) -> (n, 1, H, W), rounded."""
    weights = torch.tensor(LUMA, dtype=torch.int32).view(3, 1, 1)
    total = (pixels * weights).sum(dim=1, keepdim=True, dtype=torch.int32)
    return ((total + 2**15) >> 16).to(torch.uint8)
