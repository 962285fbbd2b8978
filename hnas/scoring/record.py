"""The score of one subnet with inherited weights, as a record without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Score:
    """A subnet's score on the held-out images."""

    accuracy: float
    """Share of the held-out images classified correctly, 0 to 1, or another metric of them."""
    loss: float
    """Mean cross-entropy on the held-out images, in nats."""
    images: int
    """Held-out images it was measured on."""
    seconds: float
    """Wall time that scoring took."""
    error: float | None = None
    """Standard error of the accuracy; None if that of a share of the images."""
    right: str | None = None
    """Which images are classified correctly, by `hnas.scoring.pairs`; None by another metric than
    accuracy, or on more images than it keeps."""
