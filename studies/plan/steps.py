"""The steps of a search that take time, in their order: an estimate times them, an agenda counts
them.

The latency table and the test are not among them: a plan does not say how much work they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hnas.baselines.record import Course
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import (
    Stage,
    cnn_epochs,
    from_scratch,
    of_a_cnn,
    refit_epochs,
    stages,
)
from hnas.studies.plan.tables import Retrain

HANDOFF = "hand-off"
REFIT = "on held-out images too"
"""The step in which the answer is trained again."""


@dataclass(frozen=True, kw_only=True)
class OfStage:
    """The training of a stage's supernet, or the stage's trials."""

    number: int
    stage: Stage
    scores: bool

    @property
    def amount(self) -> int:
        """Trials if it scores, else epochs."""
        return self.stage.trials if self.scores else self.stage.training.epochs


@dataclass(frozen=True, kw_only=True)
class OwnTeacher:
    """The training of the CNN that teaches."""

    course: Course

    @property
    def amount(self) -> int:
        """Epochs."""
        return self.course.training.epochs


@dataclass(frozen=True, kw_only=True)
class Alone:
    """Trainings of networks by themselves, by the same rules."""

    what: str
    rules: Retrain
    networks: int
    together: int
    """So many of them may be trained at the same time; the others follow."""
    held_out_too: bool = False

    @property
    def amount(self) -> int:
        """Epochs of all of them."""
        return self.networks * self.rules.training.epochs

    @property
    def taught(self) -> bool:
        return self.rules.teaches(held_out_too=self.held_out_too)


def steps_of(plan: Plan) -> Iterator[OfStage | OwnTeacher | Alone]:
    """The steps of a plan. Its own teacher is trained before the first networks that learn from it,
    at the latest before the last stage's best."""
    chain = stages(plan)
    own = [OwnTeacher(course=of_a_cnn(plan))] if cnn_epochs(plan) else []
    for number, stage in enumerate(chain, 1):
        yield OfStage(number=number, stage=stage, scores=False)
        yield OfStage(number=number, stage=stage, scores=True)
        if number == 1 and len(chain) > 1 and plan.handoff.rule == "retrained":
            several = min(plan.handoff.top, stage.trials)
            handed = Alone(what=HANDOFF, rules=plan.retrain, networks=several, together=several)
            if handed.taught:
                yield from own
                own = []
            yield handed
    yield from own
    yield from _retrained(plan)


def _retrained(plan: Plan) -> Iterator[Alone]:
    """What is trained alone after the stages: the all-global network among the others if it has
    their rules. A refit trains it and the winner a second time."""
    rules, plain = plan.retrain, from_scratch(plan)
    several = rules.top + (plain == rules)
    yield Alone(what="retraining", rules=rules, networks=several, together=rules.top)
    if plain != rules:
        yield Alone(what="all-global network", rules=plain, networks=1, together=1)
    if rules.refit:
        last = replace(rules, training=replace(rules.training, epochs=refit_epochs(rules)))
        yield Alone(what=REFIT, rules=last, networks=2, together=2, held_out_too=True)
