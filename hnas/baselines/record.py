"""Baseline: what a simple model reached, and how a CNN comes to be one; without torch."""

from dataclasses import dataclass
from typing import Any

from hnas.errors import InputError
from hnas.persist.record import as_json, key_of, later
from hnas.settings import AugmentRules, TrainingRules


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a CNN is trained, from scratch and in one go."""

    training: TrainingRules
    augment: AugmentRules
    held_out_too: bool
    """Whether it is trained on held-out images too."""
    metric: str = "accuracy"
    """By which its held-out accuracy is told."""

    @property
    def made_from(self) -> dict[str, Any]:
        """What the weights depend on: all but the metric."""
        return {name: value for name, value in as_json(self).items() if name != "metric"}

    @property
    def key(self) -> str:
        """The name of the CNN's files."""
        return key_of(self.made_from)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simple model on the images of a search. Raises InputError if an accuracy is none."""

    name: str
    setting: str
    """What was chosen on the held-out images: "k = 1"; empty if there is nothing to choose."""
    images: int
    """Training and held-out images that it was fitted to in the end."""
    accuracy: float | None
    """Held-out accuracy, 0 to 1, when fitted to training images alone; None if it never was."""
    test_accuracy: float
    """0 to 1."""
    test_error: float | None = later(None)
    """Its standard error; None if that of a share of the test images."""
    taught: bool = later(False)
    """Whether the networks of the search learned from it in the end."""
    gave_stem: bool = later(False)
    """Whether the stems of those began with its first layers."""

    def __post_init__(self) -> None:
        for name, value in (("accuracy", self.accuracy), ("test_accuracy", self.test_accuracy)):
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must be 0 to 1, got {value}")
