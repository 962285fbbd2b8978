"""The size of images, and how they come to it."""

from typing import NamedTuple

from hnas.data.decode import shorter_side


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

    @property
    def packing(self) -> str:
        """The options of `hnas data pack` that make a pack for it."""
        side = f"--image {self.image}"
        if self.crop_pct < 1:
            side = f"--short-side {shorter_side(self.image, self.crop_pct)}"
        usual = Size(self.image, self.channels)
        ways = ((name, getattr(self, name)) for name in ("background", "interpolation"))
        asked = (f"--{name} {value}" for name, value in ways if value != getattr(usual, name))
        return " ".join((side, f"--channels {self.channels}", *asked))
