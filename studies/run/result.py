"""A run's result: the networks that it trained, two of them tested, and what their images are like.

Nobody needs the images to use a finished run: what a network must know of them is in the result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.baselines.record import Baseline
from hnas.errors import InputError, StateError
from hnas.persist.record import later, recorded
from hnas.persist.words import few
from hnas.scoring.pairs import differ
from hnas.studies.run.confusion import Confusion
from hnas.studies.run.folder import RESULT, Run
from hnas.studies.run.ties import is_tie, standard_error
from hnas.training.record import Kept


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network trained by itself."""

    key: str
    """Of its frame, architecture and training: the name of its files in the run."""
    frame: Frame
    arch: Arch
    macs: int
    params: int
    accuracy: float
    """Held-out accuracy, 0 to 1, or what else the result's metric measures; so is the other."""
    loss: float
    """Held-out loss, in nats."""
    epochs: int
    score: float | None = None
    """Its score with inherited weights; None if it was not searched."""
    latency_ns: int | None = later(None)
    """Nanoseconds of a batch by the run's table; None if the table does not know it."""
    test_accuracy: float | None = later(None)
    """0 to 1; only the winner and the all-global network are tested."""
    test_error: float | None = later(None)
    """Its standard error; None if that of a share of the test images."""
    confusion: Confusion | None = later(None)
    """Of the test images; None if it was not tested, or before there were confusions."""
    inherited: int = later(0)
    """Epochs of the supernets that it began with the weights of; 0: it began with random ones."""
    kept: Kept | None = later(None)
    """The weights that were kept on held-out images; None: those after the last epoch, and none are
    averaged."""
    picked: str = later("")
    """The key of the network that was picked, and trained once more on the held-out images too as
    this one: accuracy and loss are of that one. Empty: this one was picked."""
    right: str | None = later(None)
    """Which held-out images it is right on: `hnas.scoring.pairs`; None if that was not kept."""
    more: int = later(0)
    """Epochs of that last training, if they are others than those of the one that was picked."""

    @property
    def latency(self) -> int | None:
        """As `hnas.studies.objective.costs.Priced` has it."""
        return self.latency_ns

    @property
    def d(self) -> int:
        """Token width: the all-global network mostly has its own, to cost what the winner costs."""
        return self.frame.d

    @property
    def trained(self) -> str:
        """How it was trained, in words."""
        if self.inherited:
            how = f"for {self.inherited:,} epochs in supernets and {self.epochs:,} alone"
        else:
            how = f"from scratch for {self.epochs:,} epoch{'s' * (self.epochs > 1)}"
        if self.more:
            return f"{how}, in the end for {self.more:,} on held-out images too"
        return how + ", picked on held-out images, then trained on them too" * bool(self.picked)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the images of a run's networks are like, and what they show.

    Raises InputError if channels, mean and deviation do not fit each other.
    """

    image: int
    """Pixels a side."""
    channels: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Of the training images by channel, in units of 0 to 1."""
    std: tuple[float, ...]
    background: str = later("white")
    """What transparent images are laid on."""
    interpolation: str = later("bilinear")
    """How they are resized."""
    crop_pct: float = later(1.0)
    """Share of their shorter side that is seen."""

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == self.channels:
            raise InputError(
                f"mean and std must have {self.channels} channels, got "
                f"{len(self.mean)} and {len(self.std)}"
            )


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer of a run. Raises InputError if its parts do not fit each other."""

    test_images: int
    environment: Mapping[str, str]
    """The device that tested."""
    candidates: tuple[TrainedNetwork, ...]
    """All that were retrained, best first by the plan's `search.pick`."""
    winner: TrainedNetwork
    all_global: TrainedNetwork
    """Trained as long, at nearly equal MACs, or as fast if the search is for latency."""
    inputs: Inputs
    baselines: tuple[Baseline, ...] = later(())
    """Simple models on the same images, the simplest first."""
    no_baselines: str = later("")
    """Why there are none; empty if there are."""
    metric: str = later("accuracy")
    """What `accuracy` and `test_accuracy` measure: `hnas.settings.ScoreRules.metric`."""
    images: str | None = later(None)
    """Fingerprint of the images that were split; None in older results."""
    apart: tuple[int, ...] = later(())
    """Test images that the winner alone, and the all-global network alone, is right on; empty by
    another metric than accuracy, and in older results."""

    def __post_init__(self) -> None:
        if self.test_images < 1:
            raise InputError(f"test_images must be >= 1, got {self.test_images}")
        if self.apart and (
            len(self.apart) != 2 or min(self.apart) < 0 or sum(self.apart) > self.test_images
        ):
            raise InputError(f"apart must be two counts of test images, got {self.apart}")
        for name, network in (("winner", self.winner), ("all_global", self.all_global)):
            tested = network.test_accuracy
            if tested is None or not 0 <= tested <= 1:
                raise InputError(f"{name}.test_accuracy must be 0 to 1, got {tested}")
            if network.confusion and network.confusion.images != self.test_images:
                raise InputError(
                    f"{name}.confusion must be of the {self.test_images} test images, got "
                    f"{network.confusion.images}"
                )
            if network.frame.classes != len(self.inputs.classes):
                raise InputError(
                    f"inputs.classes must have a name for each of the {network.frame.classes} "
                    f"classes of the {name}, got {len(self.inputs.classes)}"
                )

    def standard_error(self, network: TrainedNetwork) -> float | None:
        """Of a network's test accuracy; None if it was not tested."""
        tested = network.test_accuracy
        if tested is None:
            return None
        return standard_error(tested, self.test_images, network.test_error)

    def verdict(self) -> str:
        """Which classes the winner never names, and whether a simple model is better, or why that
        is not known: up to two sentences; empty if there is nothing to say."""
        return " ".join(filter(None, (self._never_named(), self._against_simple())))

    def _never_named(self) -> str:
        confusion, classes = self.winner.confusion, self.inputs.classes
        if confusion is None or not (never := [classes[c] for c in confusion.never_given]):
            return ""
        shown = sum(map(bool, confusion.rows))
        return (
            f"The winner never names {len(never):,} of the {shown:,} classes that test images "
            f"show: {few(never)}."
        )

    def _against_simple(self) -> str:
        best = max(self.baselines, key=lambda one: one.test_accuracy, default=None)
        if best is None:
            return self.no_baselines
        theirs, ours = best.test_accuracy, self.winner.test_accuracy or 0.0
        name = f"The {best.name}" if best.taught else best.name
        errors = best.test_error, self.winner.test_error
        if theirs == ours:
            return f"{name} is as good as the winner: both {ours:.4f}."
        if is_tie(theirs, ours, self.test_images, errors):
            return (
                f"{name} reaches {theirs:.4f}, the winner {ours:.4f}: {self.test_images:,} "
                "test images cannot tell the two apart."
            )
        if theirs > ours:
            return f"{name} is better than the winner: {theirs:.4f} against {ours:.4f}."
        return (
            f"The winner is better than every simple model: {ours:.4f} against {theirs:.4f} "
            f"({best.name})."
        )

    def pairs(self) -> str:
        """Whether the test images tell the winner from the all-global network, in a sentence; empty
        if they were not compared image by image."""
        if not self.apart:
            return ""
        ours, theirs = (f"{count:,}" for count in self.apart)
        tells = "tells" if differ(self.apart) else "cannot tell"
        return (
            f"Of the test images, the winner alone is right on {ours}, the all-global network "
            f"alone on {theirs}: that {tells} the two apart (exact McNemar test, 95%)."
        )

    def __repr__(self) -> str:
        tested = (
            f"{name} {one.test_accuracy or 0.0:.4f} at {one.macs:,} MACs"
            for name, one in (("winner", self.winner), ("all-global", self.all_global))
        )
        return f"Result({self.test_images:,} test images: {', '.join(tested)})"

    def shown(self, network: TrainedNetwork) -> dict[str, Any]:
        """A network as the JSON of commands shows it."""
        names = ("d", "macs", "params", "score", "accuracy", "test_accuracy")
        return {
            "arch": network.arch.to_dict(),
            **{name: getattr(network, name) for name in names},
            "standard_error": self.standard_error(network),
            "latency": network.latency,
            "epochs": network.epochs,
            "inherited": network.inherited,
            "refit": bool(network.picked),
        }


def has_result(folder: Path) -> bool:
    """Whether the run in the folder has its result: the search has come to its end once."""
    return (folder / RESULT).exists()


def read_result(run: Run) -> Result | None:
    """The run's answer; None if it has none yet. Raises StateError if it is damaged."""
    advice = "Restore it, or delete it to make it again"
    return run.restore(RESULT, Result, "is not the result of a run", advice)


def finished_result(run: Run) -> Result:
    """The run's answer. Raises StateError if the search is not finished, or it is damaged."""
    if (result := read_result(run)) is None:
        raise StateError(
            f"the run {run.folder} has no result yet. Finish it: hnas search --run {run.folder}"
        )
    return result


def write_result(run: Run, result: Result) -> None:
    """The inverse of `read_result`. Raises StateError."""
    run.write(RESULT, recorded(result))


def best_trained(networks: Iterable[TrainedNetwork]) -> TrainedNetwork:
    """The highest held-out accuracy; of equal ones the lower loss, then the cheaper."""
    return min(networks, key=lambda n: (-n.accuracy, n.loss, n.macs, n.key))


def shown_baselines(baselines: Iterable[Baseline], test_images: int) -> list[dict[str, Any]]:
    """Simple models as the JSON of commands shows them."""
    return [
        {
            **recorded(one),
            "standard_error": standard_error(one.test_accuracy, test_images, one.test_error),
        }
        for one in baselines
    ]
