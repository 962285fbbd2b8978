"""How a trial's time grows: with the trials before it, with the blocks M and with held-out images.

    python -m benchmarks.speed.growth [--quick] [--threads 1] [--json FILE]

Trials are scored by a fake, so that what is left is the search's own: proposing and storing, in CPU
time. M and images are scored by a supernet (d = 48, 17 tokens), a generation of 20 of a stage 1,
recalibration included, in wall time: the median of runs that take turns.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import optuna

from benchmarks.common import paper_preset, report
from benchmarks.speed.scoring import generations, images
from benchmarks.speed.search_overhead import COSTS, FRAME, POPULATION, files, spaces, study
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, distribution_space
from hnas.cost.timing import seconds
from hnas.network.supernet import Supernet
from hnas.scoring.record import Score
from hnas.scoring.score import scores
from hnas.settings import ScoreRules
from hnas.studies.search.stage import SearchRules, run_stage
from tests.support.fake_scorer import FakeScorer


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A trial's time along one axis."""

    axis: str
    unit: str
    points: dict[int, float]
    """By the axis's value: milliseconds a trial."""

    @property
    def exponent(self) -> float:
        """The slope of log(time) over log(value), by least squares: 0 flat, 1 linear."""
        logs = [(math.log(x), math.log(y)) for x, y in self.points.items()]
        x0, y0 = (statistics.mean(axis) for axis in zip(*logs, strict=True))
        return sum((x - x0) * (y - y0) for x, y in logs) / sum((x - x0) ** 2 for x, _ in logs)


class Stamped:
    """A fake scorer that notes the CPU time at which each generation is given to it."""

    def __init__(self) -> None:
        self.fake = FakeScorer(frame=FRAME)
        self.fingerprint = self.fake.fingerprint
        self.at: list[float] = []

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        self.at.append(time.process_time())
        return self.fake.score(archs)


def trials(quick: bool) -> Growth:
    """From one generation's begin to the last one's: proposing, telling and storing."""
    (_, space), *_ = spaces().items()
    points = {}
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        urls = files(folder)
        for have in (50, 100) if quick else (100, 1000, 3000, 10_000):
            scorer = Stamped()
            rules = SearchRules(
                trials=have + (2 if quick else 4) * POPULATION, population=POPULATION
            )
            with study(next(urls), space, have) as mine:
                run_stage(mine, space, scorer, rules, costs=COSTS)
            between = POPULATION * (len(scorer.at) - 1)
            points[have] = (scorer.at[-1] - scorer.at[0]) / between * 1000
    return Growth(axis="trials before", unit="ms CPU a trial", points=points)


def scored(frame: Frame, held_out: int) -> Callable[[], list[object]]:
    """Scores one generation."""
    space = distribution_space(frame, d_k=48, d_z=4, E=1, K=17)
    archs: list[Arch] = next(generations(space, trials=20, population=20))
    net = Supernet(space).reset(0)
    data = images(frame, train=256, held_out=held_out)
    return lambda: list(scores(net, archs, data, ScoreRules()))


def along(axis: str, works: dict[int, Callable[[], list[object]]], repeats: int) -> Growth:
    times: dict[int, list[float]] = {value: [] for value in works}
    for work in works.values():
        work()
    for _ in range(repeats):
        for value, work in works.items():
            times[value].append(seconds(work) / 20)
    points = {value: statistics.median(found) * 1000 for value, found in times.items()}
    return Growth(axis=axis, unit="ms a trial", points=points)


def measure(quick: bool) -> list[Growth]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    frame, repeats = paper_preset("digits").net, 1 if quick else 5
    blocks = (2, 3) if quick else (3, 6, 12, 24)
    counts = (16, 32) if quick else (500, 1000, 2000, 4000, 8000)
    small = 16 if quick else 1000
    return [
        trials(quick),
        along("M", {M: scored(replace(frame, M=M), small) for M in blocks}, repeats),
        along("held-out images", {n: scored(frame, n) for n in counts}, repeats),
    ]


def line(row: Growth) -> str:
    cells = "  ".join(f"{x:,}: {y:.2f}" for x, y in row.points.items())
    return f"{row.axis:16} {row.unit:15} {cells}  (grows with the power {row.exponent:.2f})"


if __name__ == "__main__":
    report(
        measure,
        lambda rows: "\n".join(map(line, rows)),
        lambda row: {**asdict(row), "exponent": row.exponent},
        __doc__,
    )
