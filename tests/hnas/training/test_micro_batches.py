"""A step in micro-batches, beside the same step by hand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hnas.data import batches
from hnas.errors import InputError
from hnas.settings import TrainingRules
from hnas.training import buckets, micro_batches
from hnas.training.losses import StepLosses
from hnas.training.processes import ONE_PROCESS, World

COUNT, SIZE = 4, 8
PLAIN = StepLosses(of=lambda images, targets: iter(()))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.unused = nn.Linear(6, 3)

    def forward(self, x):
        return self.last(F.silu(self.norm(self.first(x))))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().train()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(COUNT * SIZE, 5, generator=generator), torch.arange(COUNT * SIZE) % 3


def backward(net, batch, count, number, begin):
    index = micro_batches.take(torch.arange(COUNT * SIZE), number, count)
    loss = F.cross_entropy(net(batch[0][index]), batch[1][index]) / count
    begin()
    loss.backward()
    return loss.detach()[None]


def test_the_gradient_is_the_mean_over_micro_batches(net, batch):
    losses = micro_batches.gradients(
        net, COUNT, ONE_PROCESS, partial(backward, net, batch, COUNT), PLAIN
    )
    found = {name: weight.grad for name, weight in net.named_parameters()}
    assert found["unused.weight"] is None and found["unused.bias"] is None
    net.zero_grad(set_to_none=True)
    means = [F.cross_entropy(net(batch[0][n::COUNT]), batch[1][n::COUNT]) for n in range(COUNT)]
    torch.stack(means).mean().backward()
    torch.testing.assert_close(losses, torch.stack(means).mean().detach()[None])
    for name, weight in net.named_parameters():
        torch.testing.assert_close(found[name], weight.grad)


def test_running_statistics_move_once_a_step_by_the_mean_of_the_micro_batches(net, batch):
    with torch.no_grad():
        seen = [net.first(batch[0][number::COUNT]) for number in range(COUNT)]
    for _ in range(2):
        micro_batches.gradients(
            net, COUNT, ONE_PROCESS, partial(backward, net, batch, COUNT), PLAIN
        )
    mean = torch.stack([x.mean(0) for x in seen]).mean(0)
    var = torch.stack([x.var(0) for x in seen]).mean(0)
    torch.testing.assert_close(net.norm.running_mean, (1 - 0.9**2) * mean)
    torch.testing.assert_close(net.norm.running_var, 0.9**2 + (1 - 0.9**2) * var)
    assert net.norm.num_batches_tracked == 2


def test_a_whole_batch_is_what_it_was(net, batch):
    losses = micro_batches.gradients(net, 1, ONE_PROCESS, partial(backward, net, batch, 1), PLAIN)
    found = [weight.grad for weight in net.parameters()]
    net.zero_grad(set_to_none=True)
    loss = F.cross_entropy(net(batch[0]), batch[1])
    loss.backward()
    assert torch.equal(losses[0], loss.detach())
    for gradient, weight in zip(found, net.parameters(), strict=True):
        assert gradient is weight.grad is None or torch.equal(gradient, weight.grad)


class Two(World):
    """The first of two processes, beside one that adds nothing."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.events: list[object] = []

    def begin_sum(self, values):
        self.events.append(len(values))
        return lambda: self.events.append("waited")


@pytest.mark.parametrize("unused", [False, True])
@pytest.mark.parametrize("count", [2, 4])
def test_buckets_are_sent_while_the_backward_pass_runs(
    net, batch, monkeypatch: pytest.MonkeyPatch, count: int, unused: bool
) -> None:
    """In the order of the gradients, the last layer's first; what follows an unused weight comes at
    the end, with running statistics and loss."""
    monkeypatch.setattr(buckets, "BUCKET", 15)
    if not unused:
        del net.unused
    world = Two()

    def losses(number, begin):
        lost = backward(net, batch, count, number, begin)
        world.events.append("passed")
        return lost

    micro_batches.gradients(net, count, world, losses, PLAIN)
    last, first = 6 * 3 + 3, 5 * 6 + 6
    passed = ["passed"] * (count // 2)
    sent = [3 + 18, 6 + 6 + 6, 30] if not unused else []
    end = last + 12 + first - sum(sent) + 12 + 1
    assert world.events == [*passed[1:], *sent, "passed", end, *["waited"] * (len(sent) + 1)]
    found = [weight.grad for weight in net.parameters()]
    assert not any(weight._post_accumulate_grad_hooks for weight in net.parameters())
    net.zero_grad(set_to_none=True)
    for number in range(count // 2):
        backward(net, batch, count, number, lambda: None)
    for gradient, weight in zip(found, net.parameters(), strict=True):
        if weight.grad is None:
            assert gradient is None
        else:
            torch.testing.assert_close(gradient, weight.grad)


def test_images_in_a_row_come_to_different_micro_batches():
    index = torch.arange(5).repeat_interleave(3)[:14]
    parts = [micro_batches.take(index, number, 3).tolist() for number in range(3)]
    assert parts == [[0, 1, 2, 3]] * 3


@pytest.mark.parametrize(("n", "gpus", "local", "repeats"), [(96, 4, 5, 3), (50, 2, 8, 2)])
def test_repeated_images_are_dealt_as_deit_s_sampler_deals_them_to_gpus(
    n: int, gpus: int, local: int, repeats: int
) -> None:
    """A random order with each image so many times in a row; the r-th of R processes takes every
    R-th of it, and batches of what it took (RASampler of DeiT's samplers.py, as described)."""
    whole = torch.cat(batches(n, n, seed=3, epoch=1))
    repeated = [image for image in whole.tolist() for _ in range(repeats)]
    ours = batches(n, gpus * local, seed=3, epoch=1, repeats=repeats)
    for rank in range(gpus):
        theirs = repeated[rank::gpus][: len(ours) * local]
        mine = torch.cat([micro_batches.take(index, rank, gpus) for index in ours])
        assert mine.tolist() == theirs


def test_every_micro_batch_of_every_step_has_its_own_seed():
    seeds = [micro_batches.seed(5, step, number) for step in range(40) for number in range(25)]
    assert seeds[25] == (5 * 0x9E3779B97F4A7C15 ^ 2 * 0xBF58476D1CE4E5B9) & (2**63 - 1)
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(("batch", "count"), [(64, 4), (63, 3), (16, 1), (9, 1)])
def test_a_short_batch_has_fewer_micro_batches(batch, count):
    assert micro_batches.count(TrainingRules(epochs=1, batch=64, micro_batch=16), batch) == count
    assert micro_batches.count(TrainingRules(epochs=1, batch=64), batch) == 1


@pytest.mark.parametrize("size", [1, 48, 128, -2])
def test_a_micro_batch_divides_the_batch(size):
    with pytest.raises(
        InputError, match=rf"micro_batch must be .* divisor of batch=64, got {size}"
    ):
        TrainingRules(epochs=1, batch=64, micro_batch=size)
