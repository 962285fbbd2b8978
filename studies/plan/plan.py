"""A plan: all settings of a search, as frozen records read from one TOML file.

One record is one table; a field that is a record is a table inside it. A missing table or key takes
its default. Mistakes are reported at once, before hours are spent on them.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import (
    SIZES,
    Frame,
    Space,
    distribution_space,
    size_space,
    skippable,
)
from hnas.architecture.stem import of_small_cnn
from hnas.cost.flops import cost
from hnas.cost.latency_table import LatencyTable
from hnas.errors import BudgetError, InputError
from hnas.settings import OWN_TEACHER, AugmentRules, DataRules, PretrainedRules, ScoreRules
from hnas.studies.objective.costs import OBJECTIVES, Costs
from hnas.studies.plan.quantities import nanoseconds
from hnas.studies.plan.tables import Baselines, Handoff, Refine, Retrain, Search, Stage1, Stage2

Named = tuple[tuple[str, Any], ...]


@lru_cache
def _check_fit(net: Frame, limits: Named, sizes1: Named, sizes2: Named, *, skip: bool) -> None:
    """Raises what a plan raises of sizes. Hundreds of plans differ in epochs alone, when one is
    sized to a time: their spaces are checked once."""
    costs = Costs(frame=net, **dict(limits))
    spaces = {
        "stage1": partial(distribution_space, net, **dict(sizes1)),
        "stage2": partial(size_space, net, None, **dict(sizes2)),
    }
    for stage, make in spaces.items():
        try:
            costs.check(skippable(make()) if skip else make())
        except BudgetError as error:
            raise BudgetError(f"{stage}: {error}") from None
        except InputError as error:
            raise InputError(f"{stage}.{error}") from None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole search. Raises InputError if a stage's sizes cannot be built in the frame or do not
    fit each other, BudgetError if nothing fits the budget."""

    data: DataRules = DataRules()
    net: Frame
    pretrained: PretrainedRules = PretrainedRules()
    augment: AugmentRules = AugmentRules()
    """Of the supernet's training images."""
    stage1: Stage1
    stage2: Stage2
    refine: Refine = Refine()
    score: ScoreRules = ScoreRules()
    search: Search = Search()
    handoff: Handoff = Handoff()
    retrain: Retrain
    baselines: Baselines = Baselines()

    def __post_init__(self) -> None:
        convention, params = self.search.convention, self.search.params
        limits = ("flops", self.budget()), ("convention", convention), ("params", params)
        _check_fit(self.net, limits, self._sizes1, self._sizes2, skip=self.stage1.skip)
        if self.pretrained.file and self.stage1.init_from:
            raise InputError(
                "pretrained.file and stage1.init_from both say what the supernet begins with: give "
                f"one of them, got {self.pretrained.file!r} and {self.stage1.init_from!r}"
            )
        second = self.stage2
        kinds = {"": second, "mixed.": second.mixed, "local.": second.local}
        for (kind, lists), name in itertools.product(kinds.items(), SIZES):
            fixed, candidates = getattr(self.stage1, name), getattr(lists, name)
            if candidates and max(candidates) < fixed:
                raise InputError(
                    f"stage2.{kind}{name} must reach stage1.{name} = {fixed} (stage 2's supernet "
                    f"grows out of stage 1's), got {list(candidates)}"
                )

    def space1(self) -> Space:
        """Stage 1: the distribution (G, L) of every block."""
        space = distribution_space(self.net, **dict(self._sizes1))
        return skippable(space) if self.stage1.skip else space

    def space2(self, distribution: Arch | None = None) -> Space:
        """Stage 2: the sizes of every block of `distribution`; None: the whole space."""
        space = size_space(self.net, distribution, **dict(self._sizes2))
        return skippable(space) if self.stage1.skip and distribution is None else space

    @property
    def _sizes1(self) -> Named:
        return tuple((name, getattr(self.stage1, name)) for name in SIZES)

    @property
    def _sizes2(self) -> Named:
        return tuple((name, getattr(self.stage2, name)) for name in (*SIZES, "mixed", "local"))

    def budget(self) -> int | None:
        """Most multiply-accumulates of one image, by `search.convention`; None: no limit."""
        if self.search.flops is not None:
            return self.search.flops
        if "macs" not in OBJECTIVES[self.search.objective]:
            return None
        return cost(self.net, self.net.all_global()).macs

    @property
    def gives_stem(self) -> bool:
        """Whether networks begin with the convolutions of the CNN that teaches them. An all-global
        network that is as fast as the winner has another width, and so could not."""
        rules = self.retrain.distillation
        own = rules.stem and rules.teacher == OWN_TEACHER
        return own and self.search.objective == "flops" and of_small_cnn(self.net)

    @property
    def needs_latency(self) -> bool:
        """Whether the search needs a latency table."""
        return bool(self.search.latency) or "latency" in OBJECTIVES[self.search.objective]

    def costs(self, table: LatencyTable | None = None) -> Costs:
        """The costs to minimise, and their limits; without a table that the search needs, only the
        limits on FLOPs and parameters."""
        objective, asked, latency = self.search.objective, self.search.latency, None
        if table is not None:
            latency = nanoseconds(asked) if asked else self._usual_latency(table)
        return Costs(
            frame=self.net,
            objective=objective,
            flops=self.budget(),
            convention=self.search.convention,
            params=self.search.params,
            latency=latency,
            table=table,
        )

    def _usual_latency(self, table: LatencyTable) -> int:
        """The latency of the all-global network, or the mean of stage 1's networks if that is more:
        with few tokens nothing is as fast as all-global, so its latency would allow no other."""
        means = (sum(map(table.block, row)) // len(row) for row in self.space1().choices)
        return max(table.of(self.net.all_global()), table.shared + sum(means))
