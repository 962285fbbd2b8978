"""What a data source gives: labelled images of one size, as plain tensors.

Shapes: n images, C channels (1 grey, 3 RGB), H x W pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from hnas.data.on_disk import OnDisk
from hnas.errors import InputError

CHANNELS = (1, 3)
LUMA = (19595, 38470, 7471)
"""ITU-R 601 weights of R, G and B in 1/65536, as Pillow converts RGB to grey."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Labelled images. Raises InputError where pixels and labels do not belong together."""

    pixels: torch.Tensor | OnDisk
    """uint8 (n, C, H, W), 0 to 255: in memory, or in files."""
    labels: torch.Tensor
    """int64 (n,), an index into the source's classes."""

    def __post_init__(self) -> None:
        pixels, labels = self.pixels, self.labels
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] not in CHANNELS:
            raise InputError(
                "pixels must be uint8 (n, C, H, W) with C = 1 or 3, "
                f"got {pixels.dtype} {tuple(pixels.shape)}"
            )
        if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
            raise InputError(
                f"labels must be int64 ({len(pixels)},), one for each image, "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: torch.Tensor) -> Images:
        """The images of an int64 index (k,), in its order; stored ones stay in their files."""
        index = index.to(self.labels.device)
        stored = isinstance(self.pixels, OnDisk)
        pixels = self.pixels.take(index) if stored else self.pixels[index]
        return Images(pixels=pixels, labels=self.labels[index])

    def tensor(self) -> torch.Tensor:
        """All pixels in memory: uint8 (n, C, H, W). Images on disk are read."""
        if isinstance(self.pixels, OnDisk):
            return self.pixels[torch.arange(len(self))]
        return self.pixels

    def to(self, device: torch.device | str) -> Images:
        return Images(pixels=self.pixels.to(device), labels=self.labels.to(device))

    @property
    def fingerprint(self) -> str:
        """Short sha256 of shape, pixels and labels: two sets of images are the same or not."""
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        for tensor in (self.tensor(), self.labels):
            digest.update(tensor.flatten().cpu().numpy().data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set as its owner divided it.

    Raises InputError, naming the source, where classes, labels and images do not fit.
    """

    name: str
    """What errors call it: the folder, or the name it was asked for by."""
    train: Images
    test: Images | None
    """The source's own test part; None where it has none."""
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """Files that were left out because they could not be decoded."""

    def __post_init__(self) -> None:
        k = len(self.classes)
        if k < 2:
            raise InputError(
                f"{self.name}: a data set needs at least two classes, got {list(self.classes)}"
            )
        for part, images in (("training", self.train), ("test", self.test)):
            if images is None:
                continue
            outside = images.labels[(images.labels < 0) | (images.labels >= k)]
            if len(outside):
                raise InputError(
                    f"{self.name}: labels must be 0 to {k - 1} ({k} classes), "
                    f"the {part} part has {outside[0].item()}"
                )
            if not len(images):
                raise InputError(f"{self.name}: the {part} part needs images, got none")
        missing = (torch.bincount(self.train.labels, minlength=k) == 0).nonzero().flatten().tolist()
        if missing:
            names = ", ".join(f"{c} ({self.classes[c]!r})" for c in missing[:5])
            raise InputError(
                f"{self.name}: every class needs a training image, "
                f"{len(missing)} of {k} have none: {names}"
            )


def fit(pixels: torch.Tensor, *, image: int, channels: int) -> torch.Tensor:
    """Centre-cropped to a square, resized (bilinear, antialiased) and converted grey <-> RGB.

    uint8 (n, C, H, W), C = 1 or 3 -> uint8 (n, channels, image, image), contiguous.
    """
    height, width = pixels.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = pixels[:, :, top : top + side, left : left + side]
    if pixels.shape[1] > channels:
        # In slices: the weighted sum needs four bytes a value.
        pixels = torch.cat([_grey(pixels[i : i + 4096]) for i in range(0, len(pixels), 4096)])
    if side != image:
        pixels = F.interpolate(pixels, size=(image, image), mode="bilinear", antialias=True)
    return pixels.expand(-1, channels, -1, -1).contiguous()


def _grey(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 3, H, W) -> (n, 1, H, W), rounded."""
    weights = torch.tensor(LUMA, dtype=torch.int32).view(3, 1, 1)
    total = (pixels * weights).sum(dim=1, keepdim=True, dtype=torch.int32)
    return ((total + 2**15) >> 16).to(torch.uint8)
