import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hnas.data import Data, Images, normalise
from hnas.errors import InputError
from hnas.rules import ScoreRules
from hnas.score import evaluate, recalibrate, scores, select
from hnas.space import LOCALS, Frame, distribution_space, size_space
from hnas.supernet import Supernet

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=4, N=3)
RULES = ScoreRules(recalibration=16, batch=10)


def data(seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)

    def images(n: int) -> Images:
        return Images(
            pixels=torch.randint(0, 256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8),
            labels=torch.randint(0, 3, (n,), generator=generator),
        )

    return Data(
        train=images(40),
        held_out=images(25),
        classes=("a", "b", "c"),
        mean=torch.tensor([0.5]),
        std=torch.tensor([0.3]),
    )


def supernet(local: str = "conv1d") -> Supernet:
    K = (3, 5) if local == "conv1d" else (1, 3)
    frame = replace(FRAME, local=local)
    space = size_space(frame, None, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=K)
    return Supernet(space).reset(3)


def archs(net: Supernet, n: int) -> list:
    """Random ones and their neighbours, sorted: many share their first blocks."""
    rng = np.random.default_rng(0)
    drawn = [net.space.sample(rng) for _ in range(n)]
    mixed = [type(a)(a.blocks[:2] + b.blocks[2:]) for a, b in itertools.pairwise(drawn)]
    return sorted({*drawn, *mixed}, key=lambda arch: arch.key)


@pytest.mark.parametrize("local", LOCALS)
def test_a_score_is_that_of_the_network_cut_out_and_recalibrated_alone(local):
    """The tree of prefixes, against nn.BatchNorm1d's own recalibration, to the bit."""
    net, d = supernet(local), data()
    population = archs(net, 12)
    pixels, held_out = select(d, RULES)
    for arch, score in zip(population, scores(net, population, d, RULES), strict=True):
        alone = net.extract(arch)
        for module in alone.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 1.0
        alone.train()
        with torch.no_grad():
            alone(normalise(pixels, d.mean, d.std))
        found = evaluate(alone, held_out, d, batch=RULES.batch)
        assert (score.accuracy, score.loss) == (found.accuracy, found.loss)
        assert score.images == 25 and score.seconds > 0


def test_a_score_does_not_depend_on_its_company():
    net, d = supernet(), data()
    population = archs(net, 10)
    together = [s.loss for s in scores(net, population, d, RULES)]
    alone = [next(iter(scores(net, [arch], d, RULES))).loss for arch in population]
    backwards = [s.loss for s in scores(net, population[::-1], d, RULES)][::-1]
    assert together == alone == backwards
    assert len(set(together)) > len(together) // 2  # not a silent no-op


def test_shared_first_blocks_are_computed_once():
    net, d = supernet(), data()
    rng = np.random.default_rng(1)
    a, b = net.space.sample(rng), net.space.sample(rng)
    pair = [a, type(a)(a.blocks[:3] + b.blocks[3:])]
    calls = []
    for i, block in enumerate(net.blocks):
        block.register_forward_hook(lambda *_, i=i: calls.append(i))
    list(scores(net, pair, d, RULES))
    per_pass = 1 + math.ceil(25 / RULES.batch)
    assert calls.count(0) == calls.count(2) == per_pass
    assert calls.count(3) == 2 * per_pass


@pytest.mark.parametrize("local", LOCALS)
def test_an_extracted_and_recalibrated_subnet_has_the_score(local):
    net, d = supernet(local), data()
    arch = archs(net, 3)[0]
    alone = net.extract(arch, recalibrate(net, arch, d, RULES))
    _, held_out = select(d, RULES)
    found = evaluate(alone, held_out, d, batch=RULES.batch)
    [score] = scores(net, [arch], d, RULES)
    assert (score.accuracy, score.loss) == (found.accuracy, found.loss)


def test_weights_that_are_no_numbers_never_give_a_silent_score():
    net, d = supernet(), data()
    with torch.no_grad():
        net.head.bias[0] = math.nan
    [score] = scores(net, archs(net, 1)[:1], d, RULES)
    assert math.isnan(score.accuracy)


def test_an_arch_of_another_space_is_refused_before_anything_is_scored():
    net, d = supernet(), data()
    other = distribution_space(FRAME, d_k=12, d_z=3, E=1, K=5).sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="not in this supernet's space"):
        next(scores(net, [other], d, RULES))


def test_selected_images_are_evenly_spaced():
    d = data()
    pixels, held_out = select(d, ScoreRules(recalibration=10, held_out=5))
    assert torch.equal(pixels, d.train.pixels[::4])
    assert torch.equal(held_out.labels, d.held_out.labels[::5])
    _, everything = select(d, ScoreRules(recalibration=10))
    assert len(everything) == 25
