"""Pairs: which images each of two networks is right on, so that they are compared image by image.

Two networks mostly miss the same images. Only the images that one alone is right on tell them
apart; two independent errors would hide it.
"""

import base64
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hnas.errors import StateError

MOST = 8192
"""Images: of more the answers are not kept, as each trial would take over a kilobyte."""


WORD = 40
"""Letters: a page that shows the answers breaks its lines between words."""


def packed(right: NDArray[np.bool_]) -> str | None:
    """The answers (images,) as words of WORD letters; None if there are more than MOST, or none."""
    if not 0 < len(right) <= MOST:
        return None
    text = base64.b85encode(zlib.compress(np.packbits(right).tobytes(), 9)).decode()
    return " ".join(text[i : i + WORD] for i in range(0, len(text), WORD))


def apart(a: str, b: str) -> tuple[int, int]:
    """The images that only `a`, and only `b`, is right on; both are `packed` answers on the same
    images. Raises StateError if they are damaged."""
    first, second = map(_bits, (a, b))
    if len(first) != len(second):
        raise StateError("answers of networks are compared on the same images, got others")
    return int((first & ~second).sum()), int((second & ~first).sum())


def differ(apart: Sequence[int]) -> bool:
    """Whether the exact McNemar test tells two networks apart at 95%, by how many images the one
    alone, and the other alone, is right on: twice the smaller tail of a fair coin is under 1/20."""
    either = sum(apart)
    ways = tail = 1
    for k in range(min(apart)):
        ways = ways * (either - k) // (k + 1)
        tail += ways
    return bool(40 * tail < 2**either)


def _bits(text: str) -> NDArray[np.bool_]:
    """The answers, and zeros behind them to a multiple of eight."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(base64.b85decode("".join(text.split())), MOST // 8 + 1)
        if not unpacking.eof:
            raise ValueError(f"they are cut off, or of more than {MOST:,} images")
    except (ValueError, zlib.error) as error:
        raise StateError(
            f"the answers {text[:20]!r} of a network are damaged: {error}. Restore the study, or "
            "the file, that has them"
        ) from None
    return np.unpackbits(np.frombuffer(found, dtype=np.uint8)).astype(bool)
