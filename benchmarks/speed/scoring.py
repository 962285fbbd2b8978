"""Scoring a stage-1 search as trees of shared first blocks, against one network at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from benchmarks.common import Row, compare, main, paper_preset
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space
from hnas.cost.flops import cost
from hnas.cost.timing import seconds
from hnas.data import Data, Images, normalise
from hnas.network.glit import Glit
from hnas.network.precision import autocast
from hnas.network.supernet import Supernet
from hnas.scoring.record import Score
from hnas.scoring.score import evaluate, scores, select
from hnas.settings import ScoreRules
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Turn
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.trials.record import Record
from tests.support.fake_scorer import FakeScorer


def generations(space: Space, *, trials: int, population: int) -> Iterator[list[Arch]]:
    """A stage 1 within the all-global network's budget, its accuracies made up but smooth."""
    frame = space.frame
    costs = Costs(frame=frame, flops=cost(frame, frame.all_global()).macs)
    scorer = FakeScorer(frame=frame)
    parents: list[Record] = []
    seen: set[Arch] = set()
    while len(seen) < trials:
        generation = len(seen) // population
        turn = Turn(
            space=space, seed=0, generation=generation, parents=parents, population=population,
            costs=costs, seen=seen, count=min(population, trials - len(seen)),
        )  # fmt: skip
        archs = NSGA2.propose(turn)
        yield sorted(archs, key=lambda arch: arch.key)
        members = [
            Record(
                number=len(seen) + i, generation=generation, arch=arch, accuracy=score.accuracy,
                loss=score.loss, macs=cost(frame, arch).macs, params=0, seconds=0.0,
            )
            for i, (arch, score) in enumerate(zip(archs, scorer.score(archs), strict=True))
        ]  # fmt: skip
        seen.update(archs)
        parents = NSGA2.elites(space, costs, [*parents, *members], population)


def images(frame: Frame, *, train: int, held_out: int) -> Data:
    """Noise: how long scoring takes does not depend on what is on the images."""
    generator = torch.Generator().manual_seed(0)
    shape = (frame.channels, frame.image, frame.image)

    def made(n: int) -> Images:
        return Images(
            pixels=torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8),
            labels=torch.randint(0, frame.classes, (n,), generator=generator),
        )

    return Data(
        train=made(train),
        held_out=made(held_out),
        classes=tuple(str(i) for i in range(frame.classes)),
        mean=torch.full((frame.channels,), 0.5),
        std=torch.full((frame.channels,), 0.3),
    )


@torch.inference_mode()
def score_alone(net: Glit, data: Data, rules: ScoreRules) -> Score:
    """nn.BatchNorm1d's own recalibration of one network, then its score."""
    pixels, held_out = select(data, rules)
    net.train()
    net.patch_embed.eval()  # a stem's BatchNorm is all subnets' and is not measured again
    with autocast(net):  # as the supernet's side is
        net(normalise(pixels, data.mean, data.std))
    return evaluate(net, held_out, data, batch=rules.batch)


def prepared(net: Supernet, arch: Arch) -> Glit:
    """Cut out beforehand: the standalone side is not charged for it."""
    alone = net.extract(arch)
    for module in alone.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    return alone


def measure_search(
    name: str, space: Space, rules: ScoreRules, data: Data, *, trials: int, population: int,
    target: str,
) -> Row:  # fmt: skip
    """One pair a generation; the ratio is that of the sums, as a search's time is one."""
    net = Supernet(space).reset(0)
    ours, theirs = [], []
    for i, archs in enumerate(generations(space, trials=trials, population=population)):
        networks = [prepared(net, arch) for arch in archs]
        tree: list[Score] = []
        alone: list[Score] = []

        def score_tree(archs: list[Arch] = archs, tree: list[Score] = tree) -> None:
            tree += scores(net, archs, data, rules)

        def score_each(networks: list[Glit] = networks, alone: list[Score] = alone) -> None:
            alone += [score_alone(network, data, rules) for network in networks]

        if i % 2:
            ours.append(seconds(score_tree))
            theirs.append(seconds(score_each))
        else:
            theirs.append(seconds(score_each))
            ours.append(seconds(score_tree))
        for a, b in zip(tree, alone, strict=True):
            assert (a.accuracy, a.loss) == (b.accuracy, b.loss), "not the same score to the bit"
    row = compare(f"scoring {name}, {trials} trials, a generation", ours, theirs, target)
    return replace(row, ratio=sum(ours) / sum(theirs))


def measure(quick: bool) -> list[Row]:
    plan = paper_preset("digits")
    deep = replace(plan.net, M=12)
    fixed = plan.stage1
    rows = []
    for name, frame, trials, population, target in (
        ("M = 12, d = 48, T = 17", deep, 1000, 50, "<= 0.75"),
        ("digits preset", plan.net, fixed.trials, fixed.population, "<= 0.85"),
    ):
        rows.append(
            measure_search(
                name,
                distribution_space(frame, d_k=fixed.d_k, d_z=fixed.d_z, E=fixed.E, K=fixed.K),
                ScoreRules(recalibration=16) if quick else plan.score,
                images(frame, train=32, held_out=16)
                if quick
                else images(frame, train=1150, held_out=288),
                trials=20 if quick else trials,
                population=10 if quick else population,
                target=target,
            )
        )
    return rows


if __name__ == "__main__":
    main(measure, __doc__)
