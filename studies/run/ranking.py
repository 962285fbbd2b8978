"""Rankings of a run: how inherited weights order networks, compared with training each alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.architecture.arch import Arch
from hnas.persist.record import later, recorded
from hnas.scoring.pairs import apart, differ
from hnas.studies.run.folder import Run
from hnas.studies.run.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Regret:
    """The accuracy that a pick loses to the best network, 0 to 1."""

    value: float
    """Mean over the seeds: accuracy of the best by the other seeds, less that of the pick. Neither
    was chosen on the seed that judges it, so the mean may be negative."""
    standard_error: float
    """Of that mean, over the seeds."""
    better: float
    """Share of the architectures whose mean accuracy is above the pick's: 0 is the best."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Correlations of a guess with accuracy alone, and of one standalone training with others."""

    architectures: int
    seeds: int
    tau: Interval
    """Kendall's tau-b with the mean standalone accuracy (Kendall 1945: ties count for neither)."""
    spearman: Interval
    pearson: Interval
    tau_top: Interval
    """tau among the top quarter by standalone accuracy."""
    tau_others: Interval | None
    """tau of the guess with the mean of all seeds but one, averaged over the one left out, to
    compare with `reference`. None if there are too few seeds for these three."""
    reference: Interval | None
    """tau of one standalone seed with the mean of the others, averaged over the one: as high as a
    guess can be expected to come that costs a whole training."""
    difference: Interval | None
    """`tau_others` less `reference`, on the same samples."""
    regret: Regret | None
    """Of the pick; None with one seed."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """An architecture, scored and trained alone."""

    arch: Arch
    macs: int
    elite: bool
    """On the Pareto front of the stage, rather than drawn."""
    score: float
    """With inherited weights, 0 to 1."""
    accuracies: tuple[float, ...]
    """Trained alone, a seed each, on the same held-out images."""
    networks: tuple[str, ...]
    """Names of their files in the run's networks/, a seed each."""
    right: tuple[str, ...] = later(())
    """Which held-out images each is right on (`hnas.scoring.pairs`), empty if not kept."""

    @property
    def accuracy(self) -> float:
        """Mean over the seeds."""
        return math.fsum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The ranking of a stage."""

    stage: int
    epochs: int
    images: int
    """Held-out images that all was measured on."""
    ranked: tuple[Ranked, ...]
    """The search's pick first."""
    agreement: Agreement
    environment: Mapping[str, Any]
    """The device that measured."""

    @property
    def title(self) -> str:
        """Stage, Kendall's tau and its interval, in words."""
        tau = self.agreement.tau
        return f"Stage {self.stage}: tau-b {tau.value:.2f} ({tau.low:.2f} to {tau.high:.2f})"

    @property
    def conclusion(self) -> str:
        """What the numbers say, in a sentence or two."""
        tau, n = self.agreement.tau, self.agreement.architectures
        if math.isnan(tau.value):
            return f"{n} architectures cannot tell: all scores or all accuracies are the same."
        found = f"(tau-b {tau.value:.2f}, 95% {tau.low:.2f} to {tau.high:.2f}; 1 is the same order)"
        if tau.low > 0:
            text = f"Scores rank these {n} architectures better than chance {found}."
        elif tau.high < 0:
            text = f"Scores rank these {n} architectures worse than chance {found}."
        else:
            text = f"{n} architectures cannot tell whether scores rank better than chance {found}."
        if (like := self.like_the_best) is not None:
            text += (
                f" Trained alone, {like} of the other {n - 1} cannot be told from the best by the "
                "images that one alone is right on."
            )
        return text

    @property
    def like_the_best(self) -> int | None:
        """The architectures that the exact McNemar test, all seeds together, cannot tell from the
        one of highest mean accuracy; None if their answers were not kept."""
        best = max(self.ranked, key=lambda one: one.accuracy, default=None)
        if best is None or not all(one.right and all(one.right) for one in self.ranked):
            return None
        ties = 0
        for other in (one for one in self.ranked if one is not best):
            pairs = (apart(a, b) for a, b in zip(best.right, other.right, strict=True))
            ties += not differ([sum(counts) for counts in zip(*pairs, strict=True)])
        return ties

    @property
    def groups(self) -> dict[str, list[tuple[float, tuple[float, ...]]]]:
        """(score, accuracies alone) of the architectures drawn and of those on the front."""
        return {
            name: [(one.score, one.accuracies) for one in self.ranked if one.elite is elite]
            for name, elite in (("drawn by FLOPs", False), ("on the search's front", True))
        }


def ranking_file(stage: int) -> str:
    """The name of a stage's ranking in the run's folder; its figure has the suffix .svg."""
    return f"ranking-stage{stage}.json"


def read_ranking(run: Run, stage: int) -> Ranking | None:
    """The ranking of a stage; None if it has none. Raises StateError if it is damaged."""
    advice = "Delete it, or measure it again: hnas rank"
    return run.restore(ranking_file(stage), Ranking, "is not a ranking", advice)


def write_ranking(run: Run, ranking: Ranking) -> None:
    """The inverse of `read_ranking`."""
    run.write(ranking_file(ranking.stage), recorded(ranking))
