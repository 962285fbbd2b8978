"""Findings on a run's elites: the traits that GLiT reports of its network (2107.02960, section 4).

- The number of global, mixed and local blocks. In the paper a quarter are mixed.
- The kernels that survive. In the paper the smallest, 17, is never chosen.
- The order of local and global blocks. In the paper they alternate with depth, as in a stacked
  hourglass.

A share is a finding only if it differs from chance: from as many networks drawn from the same space
within the same limits; for kernels, from the same distributions with other sizes. Elites are
relatives, bred by one search, so they may share a trait by descent. The interval and the p assume
independent networks and claim too much; another seed is the better test. The order is tested by
moving the blocks of all elites alike to other depths, which works for relatives too.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hnas.architecture.arch import SKIP, SKIPPED, Arch
from hnas.architecture.space import Space
from hnas.errors import InputError
from hnas.studies.findings.importances import Importances, importances
from hnas.studies.objective.costs import Costs
from hnas.studies.run.interval import CONFIDENCE, wilson
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.pareto import best_by_score, front

ELITES = {"top": "of highest score", "front": "on the Pareto front", "retrained": "trained alone"}
"""Rules that choose networks, in words; `top` takes as many as a generation has."""
KINDS = ("global", "mixed", "local")
DRAWS = 1000
"""Random networks, and random sets of them, that measure chance."""
DRAWS_EACH = 50
"""Least random sizes of each network's distribution."""
LEVEL = 0.05
"""A share with a smaller p differs from chance."""
ORDERS = 5040
"""Orders of the blocks to try; up to 7 blocks these are all."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of blocks with a trait, and the share by chance."""

    what: str
    count: int
    of: int
    low: float
    """Lower end of the interval with CONFIDENCE (Wilson), if blocks were independent."""
    high: float
    chance: float
    """Mean of random sets of as many networks."""
    chance_low: float
    """From here to `chance_high` lie 95 of 100 random sets."""
    chance_high: float
    p: float
    """Two-sided: twice the share of random sets that are as far out."""

    @property
    def share(self) -> float:
        return self.count / self.of

    @property
    def verdict(self) -> str:
        """`more` or `less` than chance, or `chance`."""
        if self.p >= LEVEL:
            return "chance"
        return "more" if self.share > self.chance else "less"

    @property
    def words(self) -> str:
        """The verdict in words."""
        return "as by chance" if self.verdict == "chance" else f"{self.verdict} than chance"


@dataclass(frozen=True, kw_only=True)
class Order:
    """Depth of global and local groups. A p is the share of all orders of the blocks, the same
    order for every network, that reach as much."""

    trend: float
    """Spearman's correlation of depth and global share, mean of the networks: -1 to 1; above 0 the
    later blocks are the more global."""
    trend_p: float
    """Two-sided."""
    turns: float
    """Neighbours, one mostly global and one mostly local; mean of the networks."""
    turns_chance: float
    """The mean over the orders."""
    turns_p: float
    """At least as many turns: an hourglass has many."""
    neighbours: int
    """Most turns possible: blocks - 1."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Traits that the elites of a study share."""

    of: str
    """The study behind its run's name, or a published network."""
    elites: str
    """How the networks were chosen, in words."""
    networks: int
    trials: int = 0
    """Of the study; 0 for a published network."""
    kinds: tuple[Share, ...]
    """Of all blocks: global, mixed, local. Empty if the distribution was handed over."""
    kernels: tuple[Share, ...]
    """Of the blocks with local groups: each K, smallest first. Empty if K is fixed or no block of
    the networks has one."""
    depth: tuple[float, ...]
    """Global groups as a share of all, 0 to 1, by block, first to last; mean of the networks."""
    depth_chance: tuple[float, ...]
    order: Order | None
    """None if the distribution was handed over."""
    importances: Importances | None = None
    """Of all trials, not of the elites alone."""


def find(
    study: StageStudy, rule: str = "top", *, retrained: Collection[Arch] = (), seed: int = 0
) -> Findings | None:
    """The findings on a study's elites (ELITES); None if the rule chooses none of its trials.

    `retrained` are the networks trained alone. Raises InputError for an unknown rule.
    """
    if rule not in ELITES:
        raise InputError(f"elites must be one of {', '.join(ELITES)}, got {rule!r}")
    records, objective = study.records, study.costs.objective
    if rule == "top":
        chosen = best_by_score(records, study.conditions.population, objective)
    elif rule == "front":
        chosen = front(records, objective)
    else:
        chosen = [record for record in records if record.arch in retrained]
    if not chosen:
        return None
    archs, space = [record.arch for record in chosen], study.conditions.space
    elites = f"the {len(archs)} {ELITES[rule]}"
    found = describe(study.stage, archs, space, study.costs, elites, seed=seed)
    importance = importances(space, records, seed=seed)
    return replace(found, trials=len(records), importances=importance)


def describe(
    of: str, archs: Sequence[Arch], space: Space, costs: Costs, elites: str, *, seed: int = 0
) -> Findings:
    """The findings on networks of a space; chance draws from all that `costs` allow."""
    rng = np.random.default_rng(seed)
    drawn = [costs.sample(space, rng) for _ in range(DRAWS)]
    sets = rng.integers(DRAWS, size=(DRAWS, len(archs)))
    is_free = any(len(block.G) > 1 for block in space.blocks)
    kinds = [*KINDS, "skipped"] if any(SKIP in block.G for block in space.blocks) else KINDS
    return Findings(
        of=of,
        elites=elites,
        networks=len(archs),
        kinds=tuple(
            _share(kind, _counts(archs, "kind", kind), _counts(drawn, "kind", kind)[sets])
            for kind in (kinds if is_free else ())
        ),
        kernels=tuple(_kernels(archs, space, costs, rng)),
        depth=tuple(global_shares(archs).mean(0).tolist()),
        depth_chance=tuple(global_shares(drawn).mean(0).tolist()),
        order=order(archs, rng) if is_free else None,
    )


def _kernels(
    archs: Sequence[Arch], space: Space, costs: Costs, rng: np.random.Generator
) -> Iterator[Share]:
    """Shares of kernels, of the blocks that choose one. Chance keeps each network's distribution,
    so the same blocks do."""
    chosen = [_choosing(space, arch) for arch in archs]
    kernels = sorted({K for its in chosen for values in its for K in values})
    if not kernels:
        return
    each = max(DRAWS_EACH, DRAWS // len(archs))
    drawn = []
    for arch in archs:
        choices = zip(space.blocks, arch.blocks, strict=True)
        blocks = tuple(replace(free, G=(block.choice,)) for free, block in choices)
        same = replace(space, blocks=blocks)
        drawn.append([costs.sample(same, rng) for _ in range(each)])
    sets = rng.integers(each, size=(DRAWS, len(archs)))
    for K in kernels:
        counts = np.stack(
            [_kernel_counts(row, its, K) for row, its in zip(drawn, chosen, strict=True)]
        )
        by_chance = counts[np.arange(len(archs)), sets]
        pairs = zip(archs, chosen, strict=True)
        found = np.concatenate([_kernel_counts([arch], its, K) for arch, its in pairs])
        yield _share(f"K = {K}", found, by_chance)


def _choosing(space: Space, arch: Arch) -> list[tuple[int, ...]]:
    """The kernels that each block chooses from with its groups; none if it has no choice."""
    N, found = space.frame.N, []
    for free, block in zip(space.blocks, arch.blocks, strict=True):
        kernels = free.of(block.choice, N)[-1]
        found.append(kernels if block.K is not None and len(kernels) > 1 else ())
    return found


def _kernel_counts(
    archs: Sequence[Arch], chosen: Sequence[tuple[int, ...]], K: int
) -> NDArray[np.int64]:
    """For each network how many of the blocks that choose have the kernel, and how many choose."""
    rows = [[b.K for b, its in zip(arch.blocks, chosen, strict=True) if its] for arch in archs]
    return np.array([(row.count(K), len(row)) for row in rows])


def order(archs: Sequence[Arch], rng: np.random.Generator) -> Order:
    """Trend and turns with depth, against other orders of the same blocks. One that is skipped is
    neither local nor global: it has the middle rank of its network, and takes part in no turn."""
    there = np.array([[block != SKIPPED for block in arch.blocks] for arch in archs])
    shares = np.where(there, global_shares(archs), np.nan)
    blocks = shares.shape[1]
    orders = _orders(blocks, rng)
    found = rankdata(shares, axis=1, nan_policy="omit")
    middle = np.nansum(found, axis=1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1)
    ranks = _standardised(np.where(there, found, middle))
    along = _standardised(np.arange(blocks, dtype=float)[None])[0]
    trends = (ranks.mean(0)[orders] * along).mean(1)
    side = np.sign(np.where(there, shares, 0.5) - 0.5).astype(np.int8)[:, orders]
    turns = (side[:, :, :-1] * side[:, :, 1:] < 0).sum(2).mean(0)
    tiny = 1e-9  # equal but for rounding is as much
    return Order(
        trend=float(trends[0]),
        trend_p=float(np.mean(np.abs(trends) >= abs(trends[0]) - tiny)),
        turns=float(turns[0]),
        turns_chance=float(turns.mean()),
        turns_p=float(np.mean(turns >= turns[0] - tiny)),
        neighbours=blocks - 1,
    )


def _orders(blocks: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Orders of the blocks, the given one first; all orders if they are few."""
    if math.factorial(blocks) <= ORDERS:
        return np.array(list(itertools.permutations(range(blocks))))
    return np.stack([np.arange(blocks), *(rng.permutation(blocks) for _ in range(ORDERS - 1))])


def _standardised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row with mean 0 and deviation 1; a constant one becomes zeros: it has no trend."""
    centred = rows - rows.mean(1, keepdims=True)
    deviation = rows.std(1, keepdims=True)
    scaled: NDArray[np.float64] = centred / np.where(deviation > 0, deviation, 1.0)
    return scaled


def global_shares(archs: Sequence[Arch]) -> NDArray[np.float64]:
    """G / N of every block, 0 of a skipped one: (networks, M)."""
    return np.array(
        [[block.G / max(block.G + block.L, 1) for block in arch.blocks] for arch in archs]
    )


def _counts(archs: Sequence[Arch], size: str, value: object) -> NDArray[np.int64]:
    """For each network how many of its blocks have the value, and how many the size: (n, 2)."""
    found = [[getattr(block, size) for block in arch.blocks] for arch in archs]
    return np.array([(row.count(value), len(row) - row.count(None)) for row in found])


def _share(what: str, found: NDArray[np.int64], by_chance: NDArray[np.int64]) -> Share:
    """From the counts of the networks (n, 2) and of random sets of networks (sets, n, 2)."""
    count, of = map(int, found.sum(0))
    interval = wilson(count, of)
    # What was found is one of the sets that chance could have given: no p is 0.
    sums = np.concatenate([found.sum(0)[None], by_chance.sum(1)])
    shares = sums[:, 0] / sums[:, 1]
    low, high = np.quantile(shares, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    tails = np.mean(shares <= shares[0]), np.mean(shares >= shares[0])
    return Share(
        what=what,
        count=count,
        of=of,
        low=interval.low,
        high=interval.high,
        chance=float(shares.mean()),
        chance_low=float(low),
        chance_high=float(high),
        p=float(min(1.0, 2 * min(tails))),
    )
