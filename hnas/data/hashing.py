"""Hashes of images: 64 bits each, in a small part of the time that decoding takes.

An image's bytes are read as 32-bit words w; the hash is the sum of k_i w_i modulo 2^64, with fixed
random 64-bit keys k (multilinear hashing: Carter and Wegman, "Universal classes of hash functions",
1979). Two images that differ have the same hash with a probability of at most 2^-33, mostly 2^-60.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
SLICE = 2**20
"""Bytes that are hashed at a time: what a core keeps in its cache."""


def hashes(images: npt.NDArray[np.uint8]) -> Index:
    """uint8 (n, ...) -> int64 (n,): the hash of each image."""
    flat = images.reshape(len(images), -1)
    size = flat.shape[1]
    keys = _keys(-(-size // 4))
    found = np.empty(len(flat), dtype=np.uint64)
    each = max(1, SLICE // size)
    words = np.empty((min(each, len(flat)), len(keys)), dtype=np.uint64)  # fresh memory costs more
    for at in range(0, len(flat), each):
        part = flat[at : at + each]
        if size % 4:
            part = np.pad(part, ((0, 0), (0, -size % 4)))
        some = words[: len(part)]
        some[:] = np.ascontiguousarray(part).view("<u4")
        np.einsum("nk,k->n", some, keys, out=found[at : at + len(part)])
    return found.view(np.int64)


def to_hex(values: Index, kind: str = "<i8") -> str:
    """Numbers as text, for JSON: a list of millions takes seconds to write."""
    return values.astype(kind).tobytes().hex()


def from_hex(text: str, kind: str = "<i8") -> Index:
    """The inverse of `to_hex`. Raises ValueError."""
    return np.frombuffer(bytes.fromhex(text), dtype=kind).astype(np.int64)


@cache
def _keys(count: int) -> npt.NDArray[np.uint64]:
    return np.random.PCG64(2107_02960).random_raw(count) | np.uint64(1)
