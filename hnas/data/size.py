"""The size of images, and how they come to it."""

from typing import Any, NamedTuple

from hnas.data.decode import shorter_side


class Size(NamedTuple):
    """What images become."""

    image: int
    """Pixels a side; of a picture that stays `whole`, most of the shorter side."""
    channels: int
    background: str = "white"
    """What transparent images are laid on."""
    interpolation: str = "bilinear"
    """How they are resized, of `hnas.data.decode.INTERPOLATIONS`."""
    crop_pct: float = 1.0
    """Share of a picture's shorter side that is seen, as `hnas.data.decode.centred` has it."""
    whole: bool = False
    """Whether pictures keep their proportions, in a pack; else they are squares."""

    @property
    def square(self) -> dict[str, Any]:
        """All but `whole`, as `hnas.data.decode.fitted` takes it."""
        return {name: value for name, value in self._asdict().items() if name != "whole"}

    @property
    def packing(self) -> str:
        """The options of `hnas data pack` that make a pack for it."""
        shorter = shorter_side(self.image, self.crop_pct)
        whole = self.whole or shorter > self.image
        side = f"--short-side {shorter}" if whole else f"--image {self.image}"
        ways = ((name, getattr(self, name)) for name in ("background", "interpolation"))
        asked = (f"--{name} {way}" for name, way in ways if way != self._field_defaults[name])
        return " ".join((side, f"--channels {self.channels}", *asked))
