"""The size of images, and how they come to it."""

from typing import NamedTuple


class Size(NamedTuple):
    """What images become."""

    image: int
    """Pixels a side."""
    channels: int
    background: str = "white"
    """What transparent images are laid on."""
    interpolation: str = "bilinear"
    """How they are resized, of `hnas.data.decode.INTERPOLATIONS`."""
    crop_pct: float = 1.0
    """Share of a picture's shorter side that is seen, as `hnas.data.decode.centred` has it."""
