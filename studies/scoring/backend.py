"""Protocols of scoring: a scorer of architectures, and a backend that scores and stores them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from hnas.architecture.arch import Arch
from hnas.errors import StateError
from hnas.scoring.record import Score
from hnas.studies.trials.record import Record


class Scorer(Protocol):
    """Scores architectures with inherited weights."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What comparable scores have in common: weights, held-out images, recalibration."""

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        """One Score for each of `archs`, in their order."""


class Backend(AbstractContextManager["Backend"], Protocol):
    """Scores the architectures of a generation and stores them; a context around a whole stage."""

    def scored(self, generation: int, archs: Sequence[Arch]) -> Iterator[Record]:
        """A record for each of `archs`, in any order, each as soon as there is its score."""

    def stored(self) -> Iterator[Record]:
        """What has been stored since the last call, without waiting. Once the context was left
        without an error: all the rest."""


def check_score(score: Score, arch: Arch) -> None:
    """Raises StateError if a score is no number."""
    if not (0 <= score.accuracy <= 1 and math.isfinite(score.loss)):
        raise StateError(
            "a score must have an accuracy in 0..1 and a finite loss, got "
            f"accuracy={score.accuracy}, loss={score.loss} for {arch.to_json()}. The weights "
            "it inherits have diverged: train the supernet again, with a smaller lr"
        )
