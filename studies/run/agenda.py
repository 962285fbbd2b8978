"""Agenda: the steps of a search, how far each is, and the time that is left. Imports no torch.

The work of a step is counted in multiply-accumulates. The seconds of one are those of the same step
of late, else of the other training or scoring, else of both. So it needs nothing but what a search
does anyway, becomes better while it runs, and follows a machine that has become faster or slower.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hnas.architecture.space import Space
from hnas.cost.flops import cheapest, cost, dearest, small_cnn_macs
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.steps import HANDOFF, Alone, OfStage, OwnTeacher, steps_of
from hnas.studies.run.networks import Identity, trained_alone
from hnas.studies.run.split import Sizes, read_sizes
from hnas.studies.run.status import Status

TEACHER, ALONE = "the teacher", "networks alone"
NETWORK = "network of "
"""How progress begins to name a network that is trained alone, in the step HANDOFF or ALONE."""
BACKWARD = 3
"""A training step in forward passes."""
HALVED = 10
"""Parts of a step: after each, what was measured before counts half."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a search."""

    name: str
    """As progress calls it: "supernet of stage 1", "stage 1"."""
    amount: int
    """Epochs, or trials."""
    work: float
    """Multiply-accumulates of one of them."""
    stage: int | None = None
    """The stage of the plan that it belongs to, if it belongs to one."""
    scores: bool = False
    """Whether it scores; else it trains."""
    done: int = 0
    measured: float = 0.0
    """As many of those that are done took `seconds`; what is long ago counts for less than one."""
    seconds: float = 0.0
    earlier: bool = False
    """Whether they were measured in sessions before this one."""

    @property
    def left(self) -> int:
        return max(self.amount - self.done, 0)

    def forget(self, share: float) -> "Step":
        """The step with a share of what was measured, nothing of an earlier session: whatever else
        the machine did then, it may not do now."""
        share = 0.0 if self.earlier else share
        return replace(
            self, measured=self.measured * share, seconds=self.seconds * share, earlier=False
        )

    @property
    def ended(self) -> "Step":
        return replace(self, done=max(self.amount, self.done))


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """The steps of a search in their order. Immutable: `after` gives the next one."""

    steps: tuple[Step, ...]
    together: int = 1
    """Networks that are trained at the same time."""
    networks: tuple[tuple[str, int, int], ...] = ()
    """Those that are trained alone now, with their epochs, done and in all; the one that was heard
    of last is the last."""

    @property
    def at(self) -> int:
        """The first step with something left, counted from 0; the number of steps if none has."""
        return self.steps.index(self.now) if self.now else len(self.steps)

    @property
    def now(self) -> Step | None:
        """That step; None if all have ended."""
        return next((step for step in self.steps if step.left), None)

    def after(self, what: str, *, done: int, total: int, seconds: float) -> "Agenda":
        """The agenda when `done` of `total` epochs or trials of `what` are done, the last of them
        in `seconds`; the steps before it have ended then. Work of another kind changes nothing."""
        if (at := self._index(what)) is None:
            return self
        now, networks = self.steps[at], self.networks
        if what.startswith(NETWORK):
            before = next((its for name, its, _ in networks if name == what), done - 1)
            networks = (*(one for one in networks if one[0] != what), (what, done, total))
            ended, networks = networks[: -self.together], networks[-self.together :]
            # One that ended early counts as whole.
            done = now.done + done - before + sum(whole - its for _, its, whole in ended)
        else:
            networks = ()
        share = 0.5 ** (HALVED / max(now.amount, 1))
        steps = [one.forget(share) if one.scores == now.scores else one for one in self.steps]
        steps[:at] = [step.ended for step in steps[:at]]
        steps[at] = replace(
            steps[at],
            done=max(done, now.done),
            measured=steps[at].measured + 1,
            seconds=steps[at].seconds + seconds,
        )
        return replace(self, steps=tuple(steps), networks=networks)

    def beside_others(self, what: str) -> bool:
        """Whether `what` is a network that is trained at the same time as others."""
        return self.together > 1 and what.startswith(NETWORK)

    def place(self, what: str) -> str:
        """The place of `what` in words: "step 2 of 5"; empty if it has none."""
        at = self._index(what)
        return "" if at is None else f"step {at + 1} of {len(self.steps)}"

    def _index(self, what: str) -> int | None:
        names = [step.name for step in self.steps]
        if what.startswith(NETWORK):
            alone = [i for i, name in enumerate(names) if name in (HANDOFF, ALONE)]
            return next((i for i in alone if i >= self.at), alone[-1] if alone else None)
        return names.index(what) if what in names else None

    def seconds_left(self) -> float | None:
        """The time until the last step ends, or None if nothing was measured yet."""
        rates = [self._rate(step) for step in self.steps]
        if None in rates:
            return None
        return sum(
            step.left * step.work * (rate or 0.0)
            for step, rate in zip(self.steps, rates, strict=True)
        )

    def _rate(self, step: Step) -> float | None:
        """Seconds of a multiply-accumulate in a step."""
        alike: tuple[Callable[[Step], bool], ...] = (
            lambda other: other.name == step.name,
            lambda other: other.scores == step.scores,
            lambda other: True,
        )
        for is_alike in alike:
            some = [one for one in self.steps if is_alike(one) and one.measured and one.seconds]
            if some:
                work = sum(one.measured * one.work for one in some)
                return sum(one.seconds for one in some) / work
        return None


def agenda_of(status: Status, stage: int | None = None) -> Agenda | None:
    """What a run has to do, with what it has done: all of it, or a `stage` alone. None before its
    images are split. Raises StateError."""
    run, sizes = status.run, read_sizes(status.run)
    if sizes is None:
        return None
    networks = trained_alone(run)
    together = sum(epochs for _, epochs, _ in networks)
    alone = sum(epochs for of, epochs, _ in networks if _counts(run.plan, of))
    found = []
    for step in _steps(run.plan, sizes):
        of = status.stages[step.stage - 1] if step.stage else None
        if step.name == HANDOFF:
            done = step.amount if status.handoff else min(alone, step.amount)
            alone -= done
        elif step.name == ALONE:
            done = step.amount if status.result else min(alone, step.amount)
        elif of is None:
            done = run.trained_epochs(run.teacher)
        elif step.scores:
            done = step.amount if of.finished else of.trials
        else:
            done = step.amount if of.trials else of.epochs
        measured = of.trials if of and step.scores else done
        found.append(replace(step, done=done, measured=measured))
    timed = status.times.seconds

    def seconds(step: Step) -> float:
        if step.name in (HANDOFF, ALONE):
            return timed.get(ALONE, 0.0) * step.done / max(together, 1)
        if step.stage is None:
            return timed.get(step.name, 0.0)
        of = "trials" if step.scores else "supernet"
        return timed.get(f"{of} of {run.stage(step.stage).name}", 0.0)

    return Agenda(
        steps=tuple(
            replace(step, seconds=seconds(step), earlier=True)
            for step in found
            if stage is None or step.stage == stage
        )
    )


def _counts(plan: Plan, of: Identity) -> bool:
    """Whether a network is one that the plan asks for; others are from before it was changed, or
    were trained again to rank them. All refits are taken for the plan's: they choose their rules.
    """
    asked = [one.rules for one in steps_of(plan) if isinstance(one, Alone)]
    rules = [(each.training, each.augment) for each in asked]
    return of.held_out_too or ((of.training, of.augment) in rules and not of.repeat)


def _steps(plan: Plan, sizes: Sizes) -> Iterator[Step]:
    plain = cost(plan.net, plan.net.all_global()).macs
    trained, held = sizes.train, sizes.held_out
    scored = plan.score.recalibration + min(plan.score.held_out or held, held)
    alone: list[Alone] = []

    def epoch(macs: int, held_out_too: bool) -> float:
        return BACKWARD * macs * (trained + held * held_out_too)

    for one in steps_of(plan):
        if isinstance(one, OfStage):
            macs, stage = _average(one.stage.space(None)), f"stage {one.number}"
            yield Step(
                name=stage if one.scores else f"supernet of {stage}",
                amount=one.amount,
                work=macs * (scored if one.scores else BACKWARD * trained),
                stage=one.number,
                scores=one.scores,
            )
        elif isinstance(one, OwnTeacher):
            work = epoch(small_cnn_macs(plan.net), one.course.held_out_too)
            yield Step(name=TEACHER, amount=one.amount, work=work)
        elif one.what == HANDOFF:
            yield Step(name=HANDOFF, amount=one.amount, work=epoch(plain, one.held_out_too))
        else:
            alone.append(one)
    amount = sum(one.amount for one in alone)
    work = sum(one.amount * epoch(plain, one.held_out_too) for one in alone) / amount
    yield Step(name=ALONE, amount=amount, work=work)


def _average(space: Space) -> float:
    """Multiply-accumulates of a network of the space, between the cheapest and the dearest."""
    return sum(cost(space.frame, pick(space)).macs for pick in (cheapest, dearest)) / 2
