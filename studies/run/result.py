"""A run's result: its networks, tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.errors import InputError, StateError
from hnas.persist.record import later, recorded
from hnas.studies.run.folder import Run


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A network of the result."""

    arch: Arch
    d: int
    """Token width: the all-global network has one of its own, to cost what the winner costs."""
    macs: int
    params: int
    score: float | None
    """With inherited weights, 0 to 1; None where it was not searched."""
    accuracy: float
    """Held-out accuracy of the network alone, 0 to 1."""
    test_accuracy: float | None = None
    """0 to 1; only the winner and the all-global network have met the test set."""
    standard_error: float | None = None
    """Of the test accuracy (binomial)."""
    latency: int | None = None
    """Nanoseconds of a batch by the run's table; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer of a run: its result.json."""

    test_images: int
    winner: Tested
    all_global: Tested
    """Trained the same way, at nearly equal MACs, or as fast where the search is for latency."""
    candidates: tuple[Tested, ...]
    """All that were retrained, best score first."""


def read_result(run: Run) -> Result | None:
    """The run's answer; None where it has none yet. Raises StateError where it is damaged."""
    value = run.read("result.json")
    if value is None:
        return None
    try:
        images = int(value["test_images"])
        return Result(
            test_images=images,
            winner=_tested(value["winner"], images),
            all_global=_tested(value["all_global"], images),
            candidates=tuple(_tested(network, images) for network in value["candidates"]),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, InputError) as error:
        raise StateError(
            f"{run.folder / 'result.json'} is not the result of a run "
            f"({type(error).__name__}: {error}). Restore it, or delete it to make it anew"
        ) from None


def _tested(value: Mapping[str, Any], images: int) -> Tested:
    accuracy = value.get("test_accuracy")
    return Tested(
        arch=Arch.from_dict(value["arch"]),
        d=int(value["frame"]["d"]),
        macs=int(value["macs"]),
        params=int(value["params"]),
        score=value["score"],
        accuracy=float(value["accuracy"]),
        test_accuracy=accuracy,
        standard_error=None if accuracy is None else standard_error(accuracy, images),
        latency=value.get("latency_ns"),
    )


def standard_error(accuracy: float, images: int) -> float:
    """Of an accuracy measured on so many images (binomial)."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def is_tie(a: float, b: float, images: int) -> bool:
    """Whether two accuracies on the same images cannot be told apart at 95%.

    The error of the difference is that of independent samples, which is the most it can be: two
    networks mostly miss the same images.
    """
    error = math.hypot(standard_error(a, images), standard_error(b, images))
    return abs(a - b) <= 1.96 * error


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A network trained alone."""

    key: str
    """Of its frame, architecture and training: the name of its files in the run."""
    frame: Frame
    arch: Arch
    macs: int
    params: int
    accuracy: float
    """Held-out accuracy, 0 to 1."""
    loss: float
    """Held-out loss, in nats."""
    epochs: int
    score: float | None = None
    """Its score with inherited weights; None where it was not searched."""
    latency: int | None = later(None)
    """Nanoseconds of a batch by the run's table; None where that does not know it."""


def best_retrained(networks: Iterable[Retrained]) -> Retrained:
    """The highest held-out accuracy; of equal ones the lower loss, then the cheaper."""
    return min(networks, key=lambda n: (-n.accuracy, n.loss, n.macs, n.key))


def as_json(network: Retrained) -> dict[str, Any]:
    """As it stands in result.json."""
    shown = {**recorded(network), "arch": network.arch.to_dict()}
    if network.latency is not None:
        shown["latency_ns"] = shown.pop("latency")
    return shown
