"""The ways to search one plan: GLiT's own and the baselines of its ablations (2107.02960).

hierarchical  GLiT's: distributions of global and local groups, then the sizes of the chosen one
high-level    distributions alone, at stage 1's sizes: what choosing sizes adds
flat          the whole space at once, by SPOS's evolution: what searching in two steps adds
random        the whole space at once, by chance

All are given the same: a search of one stage trains its supernet for the epochs that the plan's two
stages have together and scores as many trials as both, within the same FLOPs budget; how its
supernet is trained besides, and its population, are stage 1's. Retraining and the final test follow
in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hnas.arch import Arch
from hnas.rules import TrainingRules
from hnas.space import Space
from studies.evolution import NSGA2
from studies.plan import Plan
from studies.proposer import Proposer
from studies.random_search import RANDOM
from studies.spos import SPOS

DISTRIBUTIONS = (
    "Which of each block's head groups are global (self-attention), which local (convolution): "
    "`G` is the number of global ones. The sizes are fixed."
)
SIZES = (
    "The sizes of every block, `d_k`, `d_z`, `E` and `K`; the distribution of global and local "
    "groups is the one that stage 1 handed over."
)
WHOLE = (
    "Every block's global groups `G` and its sizes, `d_k`, `d_z`, `E` and `K`, all at once, {how}."
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One study of a search and the supernet that it scores with."""

    name: str
    """Behind the run's name it is the study's."""
    about: str
    """What is searched, in Markdown."""
    space: Callable[[Arch | None], Space]
    """From the distribution that was handed over; the first stage is given None."""
    proposer: Proposer
    trials: int
    population: int
    training: TrainingRules
    """Of the supernet."""


def stages(plan: Plan) -> tuple[Stage, ...]:
    """The stages of the plan's strategy, in their order: one, or two with a hand-off between."""
    return _STRATEGIES[plan.search.strategy](plan)


def _hierarchical(plan: Plan) -> tuple[Stage, ...]:
    return (
        _first(plan, "stage1", DISTRIBUTIONS, NSGA2, lambda _: plan.space1()),
        Stage(
            name="stage2",
            about=SIZES,
            space=plan.space2,
            proposer=NSGA2,
            trials=plan.stage2.trials,
            population=plan.stage2.population,
            training=plan.stage2.training,
        ),
    )


def _high_level(plan: Plan) -> tuple[Stage, ...]:
    return (_alone(plan, "high-level", DISTRIBUTIONS, NSGA2, lambda _: plan.space1()),)


def _flat(plan: Plan) -> tuple[Stage, ...]:
    about = WHOLE.format(how="by SPOS's evolution")
    return (_alone(plan, "flat", about, SPOS, plan.space2),)


def _random(plan: Plan) -> tuple[Stage, ...]:
    return (_alone(plan, "random", WHOLE.format(how="by chance"), RANDOM, plan.space2),)


def _first(
    plan: Plan, name: str, about: str, proposer: Proposer, space: Callable[[Arch | None], Space]
) -> Stage:
    return Stage(
        name=name,
        about=about,
        space=space,
        proposer=proposer,
        trials=plan.stage1.trials,
        population=plan.stage1.population,
        training=plan.stage1.training,
    )


def _alone(
    plan: Plan, name: str, about: str, proposer: Proposer, space: Callable[[Arch | None], Space]
) -> Stage:
    """The only stage: it has what two have together."""
    epochs = plan.stage1.training.epochs + plan.stage2.training.epochs
    return replace(
        _first(plan, name, about, proposer, space),
        trials=plan.stage1.trials + plan.stage2.trials,
        training=replace(plan.stage1.training, epochs=epochs),
    )


_STRATEGIES: dict[str, Callable[[Plan], tuple[Stage, ...]]] = {
    "hierarchical": _hierarchical,
    "high-level": _high_level,
    "flat": _flat,
    "random": _random,
}
