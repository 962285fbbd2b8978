"""A small residual CNN (He et al., 1512.03385): what one would train instead of a search.

B images, C channels. A yardstick beside the answer, and a teacher: DeiT's best is a CNN too
(2012.12877, table 2).
"""

from collections.abc import Sequence
from typing import Self

from torch import Tensor, nn

from hnas.architecture.stem import CNN_WIDTHS, small_cnn
from hnas.errors import InputError
from hnas.network.initial import reset
from hnas.network.stem import Convolutions, Residual


class Cnn(nn.Module):
    """Normalised images (B, channels, image, image) -> logits (B, classes).

    A 3 x 3 convolution, a residual block for each width, the mean over the grid, a linear map. The
    blocks after the first halve the sides, and so does the first convolution of images of 48 pixels
    or more. 0.7M weights by default; 35M multiply-accumulates at 32 and at 64 pixels a side.
    Raises InputError if an image is smaller than 8 pixels, or a size is below 1.
    """

    def __init__(
        self, *, image: int, channels: int, classes: int, widths: Sequence[int] = CNN_WIDTHS
    ) -> None:
        super().__init__()
        if image < 8:
            raise InputError(f"image must be at least 8 pixels a side for a CNN, got {image}")
        if min(channels, classes, *widths, len(widths)) < 1:
            raise InputError(
                "a CNN's channels, classes and widths must be >= 1, at least one width, got "
                f"{channels}, {classes} and {list(widths)}"
            )
        self.stem = Convolutions(small_cnn(image=image, channels=channels, widths=widths))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stem(images).mean(dim=(2, 3)))
        return logits

    @property
    def blocks(self) -> list[Residual]:
        """The residual ones: they are compiled, if a training says so."""
        return [layer for layer in self.stem if isinstance(layer, Residual)]

    def reset(self, seed: int) -> Self:
        """Initialises all weights from a seed, in place."""
        reset(self, seed)
        return self

    def give(self, stem: nn.Module) -> None:
        """Copies its first layers to a stem that has the same (`of_small_cnn`)."""
        own = self.stem.state_dict()
        stem.load_state_dict({name: own[name] for name in stem.state_dict()})
