"""Pixels on disk, read a batch at a time when they are used.

They are read by position, not mapped: a file that is cut short or a disk that fails is then an
error with a name, where a mapped page would kill the process, and no page counts as its memory.

Shapes: n images, C channels, H x W pixels, B images of a batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hnas.data.hashing import hashes
from hnas.data.size import Size
from hnas.errors import InputError, StateError

AHEAD = 2
"""Batches that are read while the one before is used."""
READERS = 8
"""Threads that read: a disk answers several questions at once. They wait more than they work."""

HASHED = 256
"""Images that are hashed at a time."""

Rows = npt.NDArray[np.int64]
Reading = tuple[torch.Tensor, list[Future[None]]]
"""A batch, and what has to end before it is there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnDisk:
    """Pixels (n, C, H, W) in files, with the dtype, ndim, shape and length of a uint8 tensor."""

    files: tuple[Path, ...]
    """Each holds whole images, uint8 (C, H, W), one behind the other."""
    starts: Rows
    """(files + 1,): which row each file begins with, and how many there are in all."""
    image: tuple[int, int, int]
    """C, H and W."""
    sums: Rows
    """(rows, C): of each image's values."""
    squares: Rows
    """(rows, C): of each image's squared values."""
    rows: Rows
    """(n,): the images that these are, in their order."""
    device: torch.device
    """Where batches are brought to."""
    hashed: Rows | None = None
    """(rows,): hash of each image's pixels, `hnas.data.hashing`; None if nobody has counted it."""

    dtype = torch.uint8
    ndim = 4

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.rows), *self.image)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        """uint8 (B, C, H, W) of an int64 index (B,). Raises StateError, naming a broken file."""
        return next(self.fetch([index]))

    def take(self, index: torch.Tensor) -> OnDisk:
        """The images of an index, in its order; nothing is read."""
        return replace(self, rows=self.rows[index.cpu().numpy()])

    def join(self, others: OnDisk) -> OnDisk:
        """These and other images of the same files."""
        return replace(self, rows=np.concatenate((self.rows, others.rows)))

    def tensor(self) -> torch.Tensor:
        """All of them, read."""
        return self[torch.arange(len(self))]

    def fit(self, size: Size) -> OnDisk:
        """The same, resized before. Raises InputError if they have another size."""
        image, channels = size.image, size.channels
        if self.image != (channels, image, image):
            raise InputError(
                f"{self.files[0].parent}: the pack has images of {self.image[1]} pixels a side and "
                f"{self.image[0]} channels, you asked for {image} and {channels}. Change net.image "
                "and net.channels in the plan, or pack again: "
                f"hnas data pack --image {image} --channels {channels}"
            )
        return self

    def to(self, device: torch.device | str) -> OnDisk:
        """The same, brought to another device; nothing is read."""
        return replace(self, device=torch.device(device))

    def hashes(self) -> Rows:
        """(n,): hash of each image's pixels; read if they are not known."""
        if self.hashed is not None:
            return self.hashed[self.rows]
        slices = torch.arange(len(self)).split(HASHED)
        return np.concatenate([hashes(each.cpu().numpy()) for each in self.fetch(slices)])

    def moments(self) -> tuple[int, list[int], list[int]]:
        """Values in a channel, and of each channel their sum and the sum of their squares."""
        _, height, width = self.image
        sums, squares = (all_of[self.rows].sum(axis=0) for all_of in (self.sums, self.squares))
        return len(self) * height * width, sums.tolist(), squares.tolist()

    def fetch(self, order: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """`self[index]` for each index of `order`; the next AHEAD are read meanwhile."""
        pool = ThreadPoolExecutor(READERS, thread_name_prefix="hnas-read")
        reading: deque[Reading] = deque()
        try:
            for index in order:
                reading.append(self._begin(pool, index))
                if len(reading) > AHEAD:
                    yield self._end(*reading.popleft())
            while reading:
                yield self._end(*reading.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, index: torch.Tensor) -> Reading:
        # Pinned, the copy to a GPU does not wait; torch keeps it until the copy has been made.
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(index), *self.image), dtype=torch.uint8, pin_memory=pinned)
        rows = self.rows[index.cpu().numpy()]
        # By place on the disk, so that a thread opens few files.
        places = np.argsort(rows, kind="stable")
        target = batch.numpy().reshape(len(rows), -1)
        parts = np.array_split(places, min(READERS, len(rows)) or 1)
        return batch, [pool.submit(self._read, rows, part, target) for part in parts]

    def _end(self, batch: torch.Tensor, reads: Sequence[Future[None]]) -> torch.Tensor:
        for read in reads:
            read.result()
        return batch.to(self.device, non_blocking=True)

    def _read(self, rows: Rows, places: Rows, target: npt.NDArray[np.uint8]) -> None:
        """target[place] becomes the image of rows[place], for `places` by rising row."""
        numbers = np.searchsorted(self.starts, rows[places], side="right") - 1
        for number in np.unique(numbers).tolist():
            path = self.files[number]
            try:
                with path.open("rb") as file:
                    for place in places[numbers == number].tolist():
                        at = int(rows[place] - self.starts[number]) * target.shape[1]
                        file.seek(at)
                        end = at + file.readinto(target[place])
                        if end < at + target.shape[1]:
                            raise OSError(f"it ends at byte {end:,}, an image should be there")
            except OSError as error:
                raise StateError(
                    f"{path} cannot be read: {error.strerror or error}. Restore it, or pack the "
                    "images again: hnas data pack"
                ) from None
