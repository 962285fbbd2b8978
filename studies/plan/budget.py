"""Budgets: what a network may cost, and a plan with room within it.

A plan in which an average distribution of stage 1 costs more than is allowed would search few
networks or none. It gets narrower tokens: the widest in which an average distribution is within the
budget. If even the narrowest are too wide, it loses blocks.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from hnas.architecture.space import SIZES, Frame, distribution_space, skippable
from hnas.cost.flops import cost
from hnas.cost.limits import Limit
from hnas.errors import BudgetError, InputError
from hnas.persist.difference import differences
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.quantities import parse_flops, parse_params, share_of
from hnas.studies.plan.tables import Stage1


def keyword(name: str, value: object = None) -> str:
    """An option as Python writes it: `flops`, or `flops='50M'` with its value."""
    return name if value is None else f"{name}={value!r}"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that a network may cost; None: any."""

    flops: int | None = None
    """Multiply-accumulates of one image."""
    params: int | None = None
    """Learned parameters."""
    convention: str = "exact"
    """How `flops` counts."""

    def words(self) -> str:
        """1,196,044 MACs and 5,000,000 parameters."""
        macs = "MACs" if self.convention == "exact" else f"MACs ({self.convention})"
        asked = ((self.flops, macs), (self.params, "parameters"))
        return " and ".join(f"{most:,} {what}" for most, what in asked if most is not None)

    def limits(self, frame: Frame) -> tuple[Limit, ...]:
        """As limits on the networks of a frame."""
        asked = Costs(frame=frame, flops=self.flops, params=self.params, convention=self.convention)
        return asked.limits

    def allows(self, frame: Frame) -> bool:
        """Whether the frame's all-global network is within it."""
        plain = frame.all_global().blocks
        return all(limit.of(plain) <= limit.most for limit in self.limits(frame))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A budget as people write it: amounts such as "50M", or shares such as "40%" of what the
    all-global network of a plan has."""

    flops: int | str | None = None
    params: int | str | None = None
    spell: Callable[..., str] = keyword
    """How the asker writes an option, for errors."""

    def __bool__(self) -> bool:
        return bool(self.given)

    @property
    def given(self) -> dict[str, str]:
        """The amounts that are asked for, by name."""
        return {n: str(v) for n in ("flops", "params") if (v := getattr(self, n)) is not None}

    @property
    def shares(self) -> dict[str, str]:
        """Those that are shares."""
        return {name: value for name, value in self.given.items() if share_of(value) is not None}

    def spelled(self, given: Mapping[str, str]) -> str:
        """As they were typed: "--flops 40%"."""
        return " ".join(self.spell(name, value) for name, value in given.items())

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Names the options in an error about a budget that nothing fits."""
        try:
            yield
        except BudgetError as error:
            if not self:
                raise
            raise BudgetError(f"{self.spelled(self.given)}: {error}") from None

    def of(self, frame: Frame, convention: str = "exact") -> Budget:
        """In numbers, multiply-accumulates by the convention; an all-global network has as many in
        each. Raises InputError, naming the option, for what is neither."""
        whole = cost(frame, frame.all_global())
        return Budget(
            flops=self._amount("flops", parse_flops, whole.macs),
            params=self._amount("params", parse_params, whole.params),
            convention=convention,
        )

    def _amount(self, name: str, read: Callable[..., int], whole: int) -> int | None:
        value = getattr(self, name)
        if value is None:
            return None
        if (share := share_of(value)) is not None:
            return max(1, int(share * whole))
        try:
            return read(value, self.spell(name))
        except InputError as error:
            raise InputError(
                f'{error}. A share of the all-global network is written as "40%"'
            ) from None


ANY = Asked()
"""No budget."""


def widest(frame: Frame, allows: Callable[[Frame], bool]) -> Frame:
    """The frame at the largest width that is allowed; with fewer blocks if not even the least is.

    Widths are multiples of 2 x N x heads, so that half a width has heads of equal width too. If
    nothing is allowed it is the least frame.
    """
    step = 2 * frame.N * frame.heads
    least = replace(frame, d=step)
    while least.M > 1 and not allows(least):
        least = replace(least, M=least.M - 1)
    while allows(wider := replace(least, d=least.d + step)):
        least = wider
    return least


def fit(plan: Plan, budget: Budget) -> Plan:
    """The plan within a budget, in a width and depth that leave it room.

    Raises BudgetError if nothing has.
    """
    limits = {"flops": budget.flops, "params": budget.params}
    allowed: dict[str, Any] = {name: most for name, most in limits.items() if most is not None}
    search = replace(plan.search, **allowed)

    def leaves_room(frame: Frame, stage1: Stage1 = plan.stage1) -> bool:
        has = vars(average(plan, frame, budget, stage1))
        return all(has[name] <= most for name, most in allowed.items())

    if leaves_room(plan.net):
        return replace(plan, search=search)
    if plan.pretrained.file:
        return replace(_cut(plan, leaves_room), search=search)
    frame = widest(plan.net, leaves_room)

    def scaled(widths: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(_scaled(plan, d_k, frame) for d_k in widths))

    return replace(
        plan,
        net=frame,
        stage1=replace(plan.stage1, d_k=_scaled(plan, plan.stage1.d_k, frame)),
        stage2=replace(
            plan.stage2,
            d_k=scaled(plan.stage2.d_k),
            mixed=replace(plan.stage2.mixed, d_k=scaled(plan.stage2.mixed.d_k)),
        ),
        search=search,
    )


def _cut(plan: Plan, leaves_room: Callable[[Frame, Stage1], bool]) -> Plan:
    """A plan of pretrained weights, whose width is theirs: narrower FFNs in stage 1, then halved
    queries and keys, then blocks that may be skipped, then fewer blocks too. If nothing leaves room
    it is the least."""
    s, half = plan.stage1, min(plan.stage2.d_k)
    sizes = [*((s.d_k, d_z) for d_z in range(s.d_z, 0, -1)), (min(half, s.d_k), 1)]
    whole = [(plan.net.M, replace(s, d_k=d_k, d_z=d_z)) for d_k, d_z in sizes]
    fewer = itertools.product(range(plan.net.M, 0, -1), whole)
    cuts = [*whole, *((M, replace(stage1, skip=True)) for M, (_, stage1) in fewer)]
    for M, stage1 in cuts:
        net = replace(plan.net, M=M)
        if leaves_room(net, stage1):
            break
    return replace(plan, net=net, stage1=stage1)


def changes(was: Plan, now: Plan) -> Iterator[str]:
    """What a budget has changed: "net.d 48 -> 36"."""
    for name, (before, after) in differences(asdict(was), asdict(now)).items():
        if not name.startswith("search."):
            yield f"{name} {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def average(plan: Plan, frame: Frame, budget: Budget, stage1: Stage1 | None = None) -> Budget:
    """What the mean of stage 1's distributions has, in another frame of the plan and perhaps with
    another `stage1`, of that which a budget limits."""
    s = stage1 or plan.stage1
    sizes = (_scaled(plan, s.d_k, frame), s.d_z, s.E, s.K)
    space = distribution_space(frame, **dict(zip(SIZES, sizes, strict=True)))
    space = skippable(space) if s.skip else space
    rows = [[frame.block(G, *sizes) for G in block.G] for block in space.blocks]
    return Budget(
        **{
            limit.option: ceil(
                limit.shared + sum(Fraction(sum(map(limit.block, row)), len(row)) for row in rows)
            )
            for limit in budget.limits(frame)
        },
        convention=budget.convention,
    )


def _scaled(plan: Plan, d_k: int, frame: Frame) -> int:
    """A query and key width in proportion to the tokens' width."""
    unit = frame.N * frame.heads
    return max(1, round(Fraction(d_k * frame.d, plan.net.d * unit))) * unit
