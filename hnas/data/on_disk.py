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
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hnas.data.decode import shorter_side
from hnas.data.hashing import hashes
from hnas.data.size import Size
from hnas.data.whole import Crops, Whole, boxes, read_at
from hnas.errors import InputError, StateError
from hnas.machine import cores

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
    """Each holds images, uint8 (C, H, W), one behind the other; or as `whole` says."""
    starts: Rows
    """(files + 1,): which row each file begins with, and how many there are in all."""
    image: tuple[int, int, int]
    """C, H and W, as they are read."""
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
    whole: Whole | None = None
    """How a square is made of pictures of many sizes; None: the files have squares."""

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
        """The same as squares of this size, which they were resized to before, unless they are
        whole. Raises InputError if they have another size, or are smaller than what is seen."""
        image, channels = size.image, size.channels
        if self.whole:
            return self._seen(size, self.whole)
        if self.image != (channels, image, image):
            raise InputError(
                f"{self.files[0].parent}: the pack has images of {self.image[1]} pixels a side and "
                f"{self.image[0]} channels, you asked for {image} and {channels}. Change net.image "
                f"and net.channels in the plan, or pack again: hnas data pack {size.packing}"
            )
        return self

    def _seen(self, size: Size, whole: Whole) -> OnDisk:
        channels, shorter, _ = self.image
        least = shorter_side(size.image, size.crop_pct)
        if channels != size.channels or shorter < least:
            raise InputError(
                f"{self.files[0].parent}: the pack has pictures of {shorter} pixels on the shorter "
                f"side and {channels} channels, you asked for {least} (net.image {size.image} / "
                f"data.crop_pct {size.crop_pct:g}) and {size.channels}. Change these and "
                f"net.channels in the plan, or pack again: "
                f"hnas data pack {size._replace(whole=True).packing}"
            )
        return replace(
            self,
            image=(channels, size.image, size.image),
            whole=replace(whole, crop_pct=size.crop_pct),
        )

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
        pixels = int(self.counts[self.rows].sum())
        sums, squares = (all_of[self.rows].sum(axis=0) for all_of in (self.sums, self.squares))
        return pixels, sums.tolist(), squares.tolist()

    @property
    def counts(self) -> Rows:
        """(rows,): values of a channel of each image, as it is in its file."""
        if self.whole:
            counts: Rows = self.whole.shapes.prod(axis=1)
            return counts
        return np.full(len(self.sums), self.image[1] * self.image[2])

    def fetch(
        self, order: Iterable[torch.Tensor], crops: Crops | None = None
    ) -> Iterator[torch.Tensor]:
        """`self[index]` for each index of `order`; the next AHEAD are read meanwhile. Random crops
        are of whole pictures."""
        pool = ThreadPoolExecutor(self._readers, thread_name_prefix="hnas-read")
        reading: deque[Reading] = deque()
        try:
            for i, index in enumerate(order):
                rows, taken = self.rows[index.cpu().numpy()], None
                if self.whole and crops:
                    taken = boxes(self.whole.shapes[rows], crops.smallest, crops.seeds[i])
                reading.append(self._begin(pool, rows, taken))
                if len(reading) > AHEAD:
                    yield self._end(*reading.popleft())
            while reading:
                yield self._end(*reading.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def _readers(self) -> int:
        """Threads that read: resizing is work."""
        return max(READERS, cores()) if self.whole else READERS

    def _begin(self, pool: ThreadPoolExecutor, rows: Rows, crops: Rows | None) -> Reading:
        # Pinned, the copy to a GPU does not wait; torch keeps it until the copy has been made.
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(rows), *self.image), dtype=torch.uint8, pin_memory=pinned)
        # By place on the disk, so that a thread opens few files.
        places = np.argsort(rows, kind="stable")
        target = batch.numpy()
        parts = np.array_split(places, min(self._readers, len(rows)) or 1)
        return batch, [pool.submit(self._read, rows, part, target, crops) for part in parts]

    def _end(self, batch: torch.Tensor, reads: Sequence[Future[None]]) -> torch.Tensor:
        for read in reads:
            read.result()
        return copied(batch, self.device)

    def _read(
        self, rows: Rows, places: Rows, target: npt.NDArray[np.uint8], crops: Rows | None
    ) -> None:
        """target[place] becomes the image of rows[place], or its box, for `places` by rising
        row."""
        numbers = np.searchsorted(self.starts, rows[places], side="right") - 1
        for number in np.unique(numbers).tolist():
            path = self.files[number]
            try:
                with path.open("rb") as file:
                    for place in places[numbers == number].tolist():
                        row = int(rows[place])
                        if self.whole:
                            box = None if crops is None else crops[place]
                            target[place] = self.whole.square(file, row, self.image, box)
                        else:
                            image = target[place]
                            read_at(file, (row - int(self.starts[number])) * image.nbytes, image)
            except OSError as error:
                raise StateError(
                    f"{path} cannot be read: {error.strerror or error}. Restore it, or pack the "
                    "images again: hnas data pack"
                ) from None


def copied(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Pinned pixels on a device. A GPU copies them beside what it computes, on a second stream: the
    host asks for a batch while the GPU is still at the one before."""
    if device.type != "cuda":
        return batch.to(device)
    computing, copying = torch.cuda.current_stream(device), _second_stream(device)
    with torch.cuda.stream(copying):
        there = batch.to(device, non_blocking=True)
    computing.wait_stream(copying)
    there.record_stream(computing)  # its memory is not given away before that stream is done
    return there


@lru_cache
def _second_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
