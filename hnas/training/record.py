"""Records of a training: what held-out images say of its epochs and weights, without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Held:
    """Weights on the held-out images."""

    accuracy: float
    """0 to 1."""
    loss: float
    """Mean cross-entropy, in nats."""

    @property
    def worth(self) -> tuple[float, float]:
        """More is better: accuracy, of equal ones the lower loss."""
        return self.accuracy, -self.loss


@dataclass(frozen=True, kw_only=True)
class Kept(Held):
    """The weights that a training keeps."""

    epoch: int
    """After which they were so."""
    averaged: bool
    """Whether they are the averaged ones."""
