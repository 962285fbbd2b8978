"""Strategies to search one plan: GLiT's own and the baselines of its ablations (2107.02960).

hierarchical  GLiT's: distributions of global and local groups, then the sizes of the chosen one; if
              the plan refines, then the whole space, starting from the front
high-level    distributions alone, at stage 1's sizes: shows the gain of choosing sizes
flat          the whole space at once, by SPOS's evolution: shows the gain of two steps
random        the whole space at once, by chance

A plan may name another sampler for any of them but the last, and another one for each stage.

All have the same means: a search of one stage trains its supernet for the epochs of all stages
together and scores as many trials as they do, within the same FLOPs budget. The other settings of
its supernet's training, and its population, are stage 1's. Retraining and the final test are the
same for all: a network that starts from a supernet's weights has as many epochs in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.baselines.record import Course
from hnas.settings import OWN_TEACHER, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import Retrain

if TYPE_CHECKING:
    from hnas.studies.proposers.base import Proposer

DISTRIBUTIONS = (
    "This stage chooses how many of each block's head groups are global (self-attention), `G`; the "
    "others are local (convolution). The sizes are fixed."
)
SKIPPING = " A `G` of -1 skips the block."
SIZES = (
    "This stage chooses the sizes of every block, `d_k`, `d_z`, `E` and `K`. The distribution of "
    "global and local groups comes from stage 1."
)
WHOLE = (
    "This stage chooses every block's global groups `G` and its sizes, `d_k`, `d_z`, `E` and `K`, "
    "all at once, {how}."
)
REFINED = WHOLE.format(how="starting from the front of stage 2") + (
    " It has a supernet of its own, so its scores differ from those of stage 2."
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One study of a search and the supernet that it scores with."""

    name: str
    """The study's name is the run's name and this."""
    about: str
    """The choices of the stage, in Markdown."""
    space: Callable[[Arch | None], Space]
    """Makes the space from the distribution handed over; the first stage gets None."""
    from_front: bool = False
    """Whether generation 0 begins with the front of the stage before, scored again."""
    sampler: str
    """Its way to propose, by name; empty: the strategy's own, and the space's ends do not come
    first."""
    own: str = "nsga2"
    """The strategy's own, by name."""
    trials: int
    population: int
    training: TrainingRules
    """Of the supernet, which inherits weights from the supernets before it."""
    init_from: str = ""
    """A network's files that the supernet starts from; empty: random weights."""

    @property
    def proposer(self) -> Proposer:
        from hnas.studies.proposers.samplers import sampler  # here, as it imports Optuna

        return sampler(self.sampler or self.own)


def stages(plan: Plan) -> tuple[Stage, ...]:
    """The stages of the plan's strategy, in their order, with a hand-off between the first two."""
    hierarchical, strategy = _hierarchical(plan), plan.search.strategy
    if strategy == "hierarchical":
        return hierarchical
    by = plan.search.sampler or "SPOS's evolution"
    about, own, space = {
        "high-level": (DISTRIBUTIONS, "nsga2", lambda _: plan.space1()),
        "flat": (WHOLE.format(how=f"by {by}"), "spos", plan.space2),
        "random": (WHOLE.format(how="by chance"), "random", plan.space2),
    }[strategy]
    about += SKIPPING * plan.stage1.skip
    only = replace(hierarchical[0], name=strategy, about=about, own=own, space=space)
    if strategy != "high-level":
        only = replace(only, sampler=plan.search.sampler)
    epochs = sum(stage.training.epochs for stage in hierarchical)
    trials = sum(stage.trials for stage in hierarchical)
    return (replace(only, trials=trials, training=replace(only.training, epochs=epochs)),)


def supernet_epochs(plan: Plan, stage: int) -> int:
    """Epochs that the weights of a stage's supernet were trained for, in those before it too."""
    return sum(each.training.epochs for each in stages(plan)[:stage])


def from_scratch(plan: Plan) -> Retrain:
    """The rules by which a network is trained from scratch for as long as the plan's retrained ones
    in all.

    If these start from a supernet's weights: for the epochs of all stages and of retraining, as the
    supernet of stage 1 is trained, with what only a network alone has (drop path, averaged weights,
    the epoch to keep, a teacher) as in retraining.
    """
    retrain, chain = plan.retrain, stages(plan)
    if retrain.start == "scratch":
        return retrain
    alone = retrain.training
    training = replace(
        chain[0].training,
        epochs=supernet_epochs(plan, len(chain)) + alone.epochs,
        subnets=alone.subnets,
        drop_path=alone.drop_path,
        ema=alone.ema,
        keep=alone.keep,
        patience=alone.patience,
        layer_decay=1.0,
        head_warmup=0.0,
    )
    return replace(retrain, start="scratch", training=training, augment=plan.augment)


def of_a_cnn(plan: Plan) -> Course:
    """The training of a CNN for as many epochs as the plan's answer has in all, on held-out images
    too if the plan refits. Without what is meant for networks of the plan; the last epoch is
    kept."""
    scratch = from_scratch(plan)
    training = replace(
        scratch.training,
        epochs=scratch.training.epochs + refit_epochs(plan.retrain),
        drop_path=0.0,
        dropout=0.0,
        ema=0.0,
        keep="last",
        patience=0,
        layer_decay=1.0,
        head_warmup=0.0,
    )
    return Course(
        training=training,
        augment=scratch.augment,
        held_out_too=plan.retrain.refit,
        metric=plan.score.metric,
    )


def refit_epochs(rules: Retrain) -> int:
    """Epochs of the last training; 0 if there is none."""
    return (rules.refit_epochs or rules.training.epochs) if rules.refit else 0


def cnn_epochs(plan: Plan) -> int:
    """Epochs of the CNN that is trained to teach; 0 if the plan asks for none."""
    own = plan.retrain.distillation.teacher == OWN_TEACHER
    return of_a_cnn(plan).training.epochs if own else 0


def _hierarchical(plan: Plan) -> tuple[Stage, ...]:
    skipping = SKIPPING * plan.stage1.skip
    first = Stage(
        name="stage1",
        about=DISTRIBUTIONS + skipping,
        space=lambda _: plan.space1(),
        sampler=plan.stage1.sampler or plan.search.sampler,
        trials=plan.stage1.trials,
        population=plan.stage1.population,
        training=plan.stage1.training,
        init_from=plan.stage1.init_from,
    )
    second = Stage(
        name="stage2",
        about=SIZES,
        space=plan.space2,
        sampler=plan.stage2.sampler or plan.search.sampler,
        trials=plan.stage2.trials,
        population=plan.stage2.population,
        training=plan.stage2.training,
    )
    if not plan.refine.trials:
        return first, second
    third = replace(
        second,
        name="stage3",
        about=REFINED + skipping,
        space=lambda _: plan.space2(),
        from_front=True,
        trials=plan.refine.trials,
        training=replace(second.training, epochs=plan.refine.epochs),
    )
    return first, second, third
