"""Baseline: what a simple model reached, as a record without torch."""

from dataclasses import dataclass

from hnas.errors import InputError
from hnas.persist.record import later


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simple model on the images of a search. Raises InputError if an accuracy is none."""

    name: str
    setting: str
    """What was chosen on the held-out images: "k = 1"; empty if there is nothing to choose."""
    images: int
    """Training and held-out images that it was fitted to in the end."""
    accuracy: float
    """Held-out accuracy, 0 to 1, when fitted to training images alone."""
    test_accuracy: float
    """0 to 1."""
    test_error: float | None = later(None)
    """Its standard error; None if that of a share of the test images."""
    taught: bool = later(False)
    """Whether the networks of the search learned from it in the end."""

    def __post_init__(self) -> None:
        for name in ("accuracy", "test_accuracy"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be 0 to 1, got {getattr(self, name)}")
