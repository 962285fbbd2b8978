"""Reports: all data of a report, gathered once from the run's files and studies.

The search may still be running. This module imports no torch.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hnas import __version__
from hnas.studies.figures.network import Picture, picture
from hnas.studies.findings.findings import Findings, find
from hnas.studies.findings.published import Published, published, published_findings
from hnas.studies.objective.costs import Costs, Measure, measures
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.plan.toml import to_toml
from hnas.studies.run.folder import Run
from hnas.studies.run.history import Row, curves
from hnas.studies.run.interval import Interval, interval, paired
from hnas.studies.run.latency import Measured, read_costs, read_measured
from hnas.studies.run.networks import trained_alone
from hnas.studies.run.ranking import Ranking, read_ranking
from hnas.studies.run.result import Result, TrainedNetwork
from hnas.studies.run.split import read_sizes
from hnas.studies.run.status import Status, read_status, scoring_images
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.url import masked

IMAGENET = 1000
"""Classes of ImageNet: a report compares networks for as many with published ones."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The winner and the all-global network of nearly equal cost."""

    test_images: int
    winner: TrainedNetwork
    all_global: TrainedNetwork
    winner_accuracy: Interval
    """On the test images, 0 to 1: Wilson's, or by the standard error of another metric."""
    all_global_accuracy: Interval
    difference: Interval
    """Winner less all-global: by the images that one alone is right on, if they are known
    (`hnas.studies.run.interval.paired`); else by two Wilson intervals, as if on other images
    (Newcombe 1998, method 10), which is wider than need be."""


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """The cost of a step of the search so far."""

    step: str
    trained: int = 0
    """Images trained on, repeats counted."""
    scored: int = 0
    """Networks scored with inherited weights."""
    images: int = 0
    """Images these were scored on."""
    seconds: float | None = None
    """On the clock; None if it was not recorded."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run as it stands."""

    run: str
    folder: str
    plan: Plan
    status: Status
    answer: Answer | None
    picture: Picture | None
    findings: tuple[Findings, ...]
    paper: Findings
    """The published GLiT-Tiny by the same measures."""
    rankings: tuple[Ranking, ...]
    published: tuple[Published, ...]
    """Empty if the data is not like ImageNet."""
    curves: Mapping[str, tuple[Row, ...]]
    """The trainings of supernets and networks, by what they are called."""
    costs: tuple[StepCost, ...]
    environment: Mapping[str, str]
    """Versions and device."""
    limits: Costs
    """What is minimised, and the limits."""
    latencies: Measured | None
    """The latency table, if the search has one."""
    toml: str
    """The plan as a file."""
    commands: tuple[str, ...]
    """Commands that repeat the search with that file as plan.toml."""
    missing: tuple[str, ...]
    """The missing steps, in sentences."""

    @property
    def studies(self) -> tuple[StageStudy, ...]:
        """Those that have trials."""
        return self.status.searched

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The costs that the search minimises."""
        return measures(self.plan.search.objective)


def gather(run: Run, *, seed: int = 0) -> Report:
    """The report on a run. Raises StateError if a file is damaged, StorageError.

    `seed` draws the random networks to compare with.
    """
    status = read_status(run)
    found = [find(study, seed=seed) for study in status.searched]
    rankings = tuple(
        ranking for stage in range(1, len(run.stages) + 1) if (ranking := read_ranking(run, stage))
    )
    about = run.about
    return Report(
        run=run.name,
        folder=str(run.folder),
        plan=run.plan,
        status=status,
        answer=answer(status.result) if status.result else None,
        picture=picture_of(run.plan, status),
        findings=tuple(findings for findings in found if findings is not None),
        paper=published_findings(),
        rankings=rankings,
        published=published() if run.plan.net.classes == IMAGENET else (),
        curves=curves(run, status.result),
        costs=_costs(run, status),
        environment={
            "hnas": __version__,
            **(about.environment or {}),
            # Reports are passed on, so they do not say where the folder is on this machine.
            **({"images": "; ".join(about.images)} if about.images else {}),
            "storage": masked(run.storage) if about.storage else "study.db in the run",
        },
        limits=read_costs(run),
        latencies=read_measured(run),
        toml=to_toml(run.plan).strip(),
        commands=(
            f"hnas search --plan plan.toml --run runs/{run.name}",
            f"hnas reproduce runs/{run.name}",
            f"hnas export runs/{run.name} --to {run.name}",
        ),
        missing=tuple(_missing(run, status)),
    )


def answer(result: Result) -> Answer:
    """The result with its intervals."""
    ours, plain = (_accuracy(network, result) for network in (result.winner, result.all_global))
    gap = ours.value - plain.value
    difference = Interval(
        value=gap,
        low=gap - math.hypot(ours.value - ours.low, plain.high - plain.value),
        high=gap + math.hypot(ours.high - ours.value, plain.value - plain.low),
    )
    return Answer(
        test_images=result.test_images,
        winner=result.winner,
        all_global=result.all_global,
        winner_accuracy=ours,
        all_global_accuracy=plain,
        difference=paired(result.apart, result.test_images) if result.apart else difference,
    )


def _accuracy(network: TrainedNetwork, result: Result) -> Interval:
    value, images = network.test_accuracy, result.test_images
    assert value is not None  # both are tested
    return interval(value, images, network.test_error)


def picture_of(plan: Plan, status: Status) -> Picture | None:
    if status.result is not None:
        title, arch = "The winner", status.result.winner.arch
    else:
        best = [(stage.number, one) for stage in status.stages if (one := stage.best)]
        if not best:
            return None
        number, record = best[-1]
        title, arch = f"The best so far, trial {record.number} of stage {number}", record.arch
    return picture(title, plan.net, arch)


def _costs(run: Run, status: Status) -> tuple[StepCost, ...]:
    """Step by step. Training is counted from checkpoints, scoring from trials."""
    if (sizes := read_sizes(run)) is None:
        return ()
    train, on = sizes.train, scoring_images(run)
    costs, took = [], status.times.seconds.get
    if (measuring := took("latency table")) is not None:
        costs.append(StepCost(step="latency table", seconds=measuring))
    for stage in status.stages:
        net, scored = (f"{what} of {stage.asked.name}" for what in ("supernet", "trials"))
        scoring = math.fsum(record.seconds for record in stage.records)
        costs += [
            StepCost(step=net, trained=stage.epochs * train, seconds=took(net)),
            StepCost(
                step=scored,
                scored=stage.trials,
                images=stage.trials * on,
                seconds=took(scored, scoring),
            ),
        ]
    if taught := run.trained_epochs(run.teacher):
        seen = taught * (train + of_a_cnn(run.plan).held_out_too * sizes.held_out)
        costs.append(StepCost(step="the teacher", trained=seen, seconds=took("the teacher")))
    alone = trained_alone(run)
    seen = sum(n * (train + of.held_out_too * sizes.held_out) for of, n, _ in alone)
    name, alone_took = f"{len(alone)} networks alone", took("networks alone")
    costs.append(StepCost(step=name, trained=seen, seconds=alone_took))
    if (test := took("the test")) is not None:
        costs.append(StepCost(step="the test, and simple models", seconds=test))
    return tuple(costs)


def _missing(run: Run, status: Status) -> Iterator[str]:
    for stage in status.stages:
        number, epochs, asked = stage.number, stage.epochs, stage.asked
        if epochs < asked.training.epochs:
            yield f"The supernet of stage {number} has {epochs} of {asked.training.epochs} epochs."
        if not stage.finished:
            yield f"Stage {number} has {stage.trials} of {asked.trials} trials."
    if status.result is None:
        yield (
            "No network is tested yet: the best so far is the best by its score with inherited "
            "weights."
        )
    if not status.finished:
        yield f"To resume: hnas search --run {run.folder}"
