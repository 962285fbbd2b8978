import gc
import itertools
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hnas.architecture.space import LOCALS, Frame, distribution_space, size_space
from hnas.data import Data, Images, normalise
from hnas.errors import InputError, StateError
from hnas.network.supernet import Supernet
from hnas.scoring.pairs import packed
from hnas.scoring.score import evaluate, logits_of, recalibrate, scores, select
from hnas.scoring.sharing import MemoryBudget
from hnas.settings import ScoreRules

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


def supernet(local: str = "conv1d", **change: str) -> Supernet:
    K = (3, 5) if local == "conv1d" else (1, 3)
    frame = replace(FRAME, local=local, **change)
    space = size_space(frame, None, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=K)
    net = Supernet(space).reset(3)
    with torch.no_grad():
        net.tokens(torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    return net


def archs(net: Supernet, n: int) -> list:
    """Random ones and their neighbours, sorted: many share their first blocks."""
    rng = np.random.default_rng(0)
    drawn = [net.space.sample(rng) for _ in range(n)]
    mixed = [type(a)(a.blocks[:2] + b.blocks[2:]) for a, b in itertools.pairwise(drawn)]
    return sorted({*drawn, *mixed}, key=lambda arch: arch.key)


@pytest.mark.parametrize("local", LOCALS)
@pytest.mark.parametrize("other", [{}, {"stem": "conv", "pool": "mean"}], ids=["paper", "conv"])
def test_a_score_is_that_of_the_network_cut_out_and_recalibrated_alone(local, other):
    """The tree of prefixes, against nn.BatchNorm1d's own recalibration, to the bit. A stem's
    BatchNorm2d, which all share, keeps its running statistics."""
    net, d = supernet(local, **other), data()
    population = archs(net, 12)
    pixels, held_out = select(d, RULES)
    for arch, score in zip(population, scores(net, population, d, RULES), strict=True):
        alone = net.extract(arch)
        for module in alone.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 1.0
        alone.train()
        alone.patch_embed.eval()
        with torch.no_grad():
            alone(normalise(pixels, d.mean, d.std))
        found = evaluate(alone, held_out, d, batch=RULES.batch)
        assert (score.accuracy, score.loss) == (found.accuracy, found.loss)
        assert score.images == 25 and score.seconds > 0


@pytest.mark.parametrize("metric", ["accuracy", "balanced"])
def test_a_score_says_which_images_it_is_right_on(metric):
    """By accuracy, of which pairs are compared image by image; other metrics say their error."""
    net, d, rules = supernet(), data(), replace(RULES, metric=metric)
    arch = archs(net, 3)[0]
    alone = net.extract(arch, recalibrate(net, arch, d, rules))
    _, held_out = select(d, rules)
    right = (logits_of(alone, held_out, d, batch=7).argmax(1) == held_out.labels).numpy()
    assert 0 < right.sum() < len(right)
    other = evaluate(alone, held_out, d, batch=9, metric=metric)
    for found in (*scores(net, [arch], d, rules), other):
        if metric == "accuracy":
            assert (found.right, found.error) == (packed(right), None)
            assert found.accuracy == right.mean()
        else:
            assert found.right is None and found.error > 0


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


def test_nothing_is_kept_but_where_a_later_architecture_branches_off():
    net, d = supernet(), data()
    population = archs(net, 10)
    made: list[weakref.ref] = []
    for block in net.blocks:
        block.register_forward_hook(lambda _, args, x: made.append(weakref.ref(x)))
    passes = 1 + math.ceil(25 / RULES.batch)
    kept = []
    for _ in scores(net, population, d, RULES):
        gc.collect()
        kept.append(sum(ref() is not None for ref in made) / passes)
    expected = []
    for i, one in enumerate(population):
        # Where each later one leaves the path of this one, so far as none before it left earlier.
        ways = [next(i for i in range(5) if i == 4 or one.blocks[i] != b.blocks[i])
                for b in population[i + 1 :]]  # fmt: skip
        expected.append(len({*itertools.accumulate(ways, min)} - {0}))
    assert kept == expected and max(kept) > 1


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


# Memory that runs out


def little_memory(net: Supernet, most: int, error: Exception) -> None:
    """A device on which no block takes more than `most` images at once."""

    def refuse(module: nn.Module, args: tuple) -> None:
        if len(args[0]) > most:
            raise error

    net.blocks[2].register_forward_pre_hook(refuse)


def allocator_error() -> RuntimeError:
    """The CPU's own: asked for more than there is."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), allocator_error(), MemoryError()]
)
def test_where_memory_runs_out_the_batch_is_halved_once_for_all(error):
    net, d, rules = supernet(), data(), ScoreRules(recalibration=6, batch=25)
    population = archs(net, 6)
    expected = list(scores(net, population, d, rules))
    little_memory(net, 7, error)
    notes = []
    memory = MemoryBudget(batch=rules.batch, note=notes.append)
    for part in (population[:4], population[4:]):  # as the generations of one study
        for arch, score in zip(part, scores(net, part, d, rules, memory), strict=True):
            it = expected[population.index(arch)]
            assert (score.accuracy, score.images) == (it.accuracy, it.images)
            assert score.loss == pytest.approx(it.loss, rel=1e-5)
    assert memory.batch == 6
    assert len(notes) == 3 and "without keeping what architectures share" in notes[0]
    assert "it continues with 6 held-out images at a time" in notes[2]


def test_without_what_they_share_the_scores_are_the_same_to_the_bit():
    net, d = supernet(), data()
    population = archs(net, 6)
    expected = [(s.accuracy, s.loss) for s in scores(net, population, d, RULES)]
    memory = MemoryBudget(batch=RULES.batch, shares=False)
    found = [(s.accuracy, s.loss) for s in scores(net, population, d, RULES, memory)]
    assert found == expected


def test_what_is_shared_is_let_go_before_the_batch_is_halved():
    """Memory for one architecture is there, not for all that they share."""
    net, d = supernet(), data()
    population = archs(net, 4)
    expected = [s.loss for s in scores(net, population, d, RULES)]
    calls = itertools.count()

    def refuse(*_: object) -> None:
        if next(calls) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    net.blocks[3].register_forward_pre_hook(refuse)
    notes = []
    memory = MemoryBudget(batch=RULES.batch, note=notes.append)
    assert [s.loss for s in scores(net, population, d, RULES, memory)] == expected
    assert (memory.shares, memory.batch, len(notes)) == (False, RULES.batch, 1)


def test_a_recalibration_batch_that_does_not_fit_says_what_to_lower():
    net, d = supernet(), data()
    little_memory(net, 15, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(StateError) as caught:
        next(scores(net, archs(net, 1), d, RULES))
    assert str(caught.value).startswith(
        "the 16 images of the recalibration batch do not fit in memory, and BatchNorm is measured "
        "on them at once: lower score.recalibration in the plan"
    )


def test_one_image_that_does_not_fit_is_an_error():
    net, d, rules = supernet(), data(), ScoreRules(recalibration=2, batch=2)
    memory = MemoryBudget(batch=1, shares=False)
    fails = torch.OutOfMemoryError("CUDA out of memory")

    def refuse(module: nn.Module, args: tuple) -> None:
        if len(args[0]) == 1:
            raise fails

    net.blocks[0].register_forward_pre_hook(refuse)
    with pytest.raises(StateError, match="with one held-out image at a time: use a device with"):
        next(scores(net, archs(net, 1), d, rules, memory))


def test_another_error_is_not_taken_for_it():
    net, d = supernet(), data()
    little_memory(net, 1, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        next(scores(net, archs(net, 1), d, RULES))
