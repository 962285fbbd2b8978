"""Reproduction of a run's values: measured again from its weights and compared.

Supernets and networks are read from the run, never trained; the images are split again by the plan.
Nothing is written to the run, and its test images are not read: a run is tested once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from hnas.architecture.arch import Arch
from hnas.data import Data
from hnas.device import describe
from hnas.errors import MismatchError, StateError
from hnas.scoring.record import Score
from hnas.scoring.score import evaluate
from hnas.studies.run.folder import RESULT, SPLIT, Run
from hnas.studies.run.images import stored_images
from hnas.studies.run.networks import stored_network
from hnas.studies.run.provenance import changed, versions
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.run.split import read_split
from hnas.studies.run.status import read_status
from hnas.studies.run.studies import StageStudy
from hnas.studies.scoring.from_run import stored_scorer
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.trials.record import Record

ACCURACY, LOSS = 0.01, 0.01
"""What accuracy (absolute) and loss (relative) may differ by on another machine or other versions,
whose last digits are others. On the same ones, nothing."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value of a run, as it is stored and as it is now."""

    what: str
    stored: float
    now: float
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What `hnas reproduce` found."""

    values: tuple[Value, ...]
    changes: Mapping[str, tuple[str, str]]
    """Values of the environment that differ, by name: as the run began, as they are now."""

    @property
    def holds(self) -> bool:
        return all(value.holds for value in self.values)


def reproduce(run: Run, device: torch.device, *, sample: int) -> Reproduction:
    """Scores the winner and `sample` trials of each study again, and measures the winner alone.

    Raises StateError if there is nothing to score or a checkpoint is missing, MismatchError
    if images or weights are not those that the run was made with.
    """
    data = stored_images(run).to(device)
    changes = changed(run.about.environment or {}, {**describe(device), **versions()})
    values: list[Value] = []
    status, split = read_status(run), read_split(run)
    result = status.result
    if result and result.images and split and result.images != split.images:
        raise MismatchError(
            f"{RESULT} of {run.folder} is of other images ({result.images}) than its {SPLIT} "
            f"({split.images}). Restore what was changed"
        )
    if not status.searched:
        raise StateError(
            f"there is nothing to score again: {run.folder} has no finished trials. "
            f"Run: hnas search --run {run.folder}"
        )
    for found in status.searched:
        arch = result.winner.arch if result and found is status.searched[-1] else None
        chosen = _chosen(found, arch, sample)
        scores = _scorer(found, data).score([record.arch for record in chosen])
        for record, score in zip(chosen, scores, strict=True):
            name = "the winner" if record.arch == arch else f"trial {record.number}"
            values += _compared(f"{found.stage}, {name}, score", record, score, not changes)
    tested = (("winner", result.winner), ("all-global", result.all_global)) if result else ()
    for name, network in tested:
        model = stored_network(run, network.picked or network.key).to(device)
        rules = run.plan.score
        score = evaluate(model, data.held_out, data, batch=rules.batch, metric=rules.metric)
        values += _compared(f"{name} alone, held-out", network, score, not changes)
    return Reproduction(values=tuple(values), changes=changes)


def _chosen(found: StageStudy, winner: Arch | None, sample: int) -> list[Record]:
    """The winner, then trials drawn by the plan's seed, in the order that they are scored in."""
    rng = np.random.default_rng(found.run.seed(f"reproduce {found.stage}"))
    count = min(sample, found.trials)
    drawn = {int(i) for i in rng.choice(found.trials, size=count, replace=False)}
    kept = [r for i, r in enumerate(found.records) if i in drawn or r.arch == winner]
    return sorted(kept, key=lambda record: record.arch.key)


def _scorer(found: StageStudy, data: Data) -> SupernetScorer:
    scorer = stored_scorer(found.run, found.number, found.conditions.space, data)
    now = scorer.fingerprint
    if differ := [name for name, was in found.conditions.scorer.items() if now.get(name) != was]:
        raise MismatchError(
            f"{found.stage} of {found.run.folder} was scored with other values than the run has "
            f"now, of: {', '.join(differ)}. Restore what was changed"
        )
    return scorer


def _compared(
    what: str, stored: Record | TrainedNetwork, score: Score, exact: bool
) -> Iterator[Value]:
    for name, most in (("accuracy", ACCURACY), ("loss", LOSS * abs(stored.loss))):
        was, now = getattr(stored, name), getattr(score, name)
        holds = abs(was - now) <= (0 if exact else most)
        yield Value(what=f"{what} {name}", stored=was, now=now, holds=holds)
