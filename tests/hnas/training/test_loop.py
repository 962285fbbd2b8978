import contextlib
import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, distribution_space
from hnas.data import batches, normalise, prepare, steps
from hnas.errors import CheckpointError, StateError
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.sampling import RULES as SUBNETS
from hnas.settings import AugmentRules, DataRules, DistillationRules, TrainingRules
from hnas.training.distillation import distilled
from hnas.training.loop import Context, train
from hnas.training.losses import StepLosses, class_weights, supervised
from hnas.training.supernet import train_supernet
from hnas.training.trainer import adamw, learning_rate, load_trained

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)
SPACE = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)
RULES = TrainingRules(epochs=4, batch=64, lr=3e-3, dropout=0.1, drop_path=0.2, ema=0.9)
MIXED = replace(RULES, label_smoothing=0.1, mixup=0.8, cutmix=1.0, repeats=3)
SHIFT = AugmentRules(shift=1)
STRONG = AugmentRules(crop=0.3, flip=True, randaugment=9.0, erase=0.25, erase_noise=True)


@pytest.fixture(scope="module")
def data():
    return prepare(DataRules(limit=400), image=8, channels=1, seed=0)[0]


def network() -> Glit:
    arch = Arch((SPACE.choices[0][1], SPACE.choices[1][2]))
    return Glit(FRAME, arch, dropout=RULES.dropout, drop_path=RULES.drop_path).reset(5)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_balanced_classes_have_the_same_share_of_a_loss(data) -> None:
    kept = torch.cat([(data.train.labels == c).nonzero().flatten()[: 1 + 3 * c] for c in range(10)])
    uneven = replace(data, train=data.train.take(kept))
    found = class_weights(uneven, replace(RULES, class_weights="balanced"))
    shares = found * torch.bincount(uneven.train.labels)
    assert torch.allclose(shares, torch.full((10,), len(kept) / 10))
    assert class_weights(uneven, RULES) is None


def test_a_class_of_one_image_or_none_has_a_weight(data) -> None:
    few = torch.cat([(data.train.labels == c).nonzero().flatten()[: c + 1] for c in range(3)])
    found = class_weights(
        replace(data, train=data.train.take(few)), replace(RULES, class_weights="balanced")
    )
    assert found.tolist() == pytest.approx([0.6, 0.3, 0.2] + [0.6] * 7)


def test_balanced_classes_are_trained_so(data) -> None:
    """A network alone and a supernet: other weights where classes are unequal, else the same."""
    short = replace(RULES, epochs=1)
    uneven = replace(data, train=data.train.take((data.train.labels < 5).nonzero().flatten()[:99]))
    for make, learn in ((network, train), (lambda: Supernet(SPACE).reset(5), train_supernet)):
        ends = []
        for kind in ("none", "balanced"):
            net = make()
            learn(net, uneven, replace(short, class_weights=kind), SHIFT, seed=1)
            ends.append(weights(net))
        assert not same(*ends)


class Killed(Exception):
    pass


def kill_after(epoch: int):
    def on_epoch(event):
        if event.epoch == epoch:
            raise Killed

    return on_epoch


def by_teacher(loss, logits, images):
    """Of another random network."""
    teacher = Glit(FRAME, FRAME.all_global()).reset(6).eval()
    with torch.no_grad():
        taught = teacher(images)
    return distilled(loss, logits, taught, DistillationRules())


@pytest.mark.parametrize(
    ("rules", "augmentation", "distil"),
    [(RULES, SHIFT, None), (MIXED, STRONG, by_teacher)],
    ids=["plain", "everything"],
)
@pytest.mark.parametrize("kill", [1, 3])
def test_a_training_killed_and_resumed_ends_as_the_one_that_was_not(
    data, tmp_path, kill, rules, augmentation, distil
):
    """With dropout, stochastic depth, EMA and augmentation: all randomness is in (seed, step)."""
    path = tmp_path / "net"

    def run(net: Glit, **more) -> None:
        losses = supervised(net, data, rules, distil)
        train(net, data, rules, augmentation, seed=1, losses=losses, context=Context(**more))

    unbroken = network()
    run(unbroken)
    with pytest.raises(Killed):
        run(network(), path=path, every=0, on_epoch=kill_after(kill))
    resumed, epochs = network(), []
    run(resumed, path=path, every=0, on_epoch=lambda event: epochs.append(event.epoch))
    assert epochs == list(range(kill + 1, 5))
    assert same(weights(unbroken), weights(resumed))
    # Done: a third call trains nothing and gives the same again.
    third = network()
    run(third, path=path, on_epoch=kill_after(1))
    assert same(weights(third), weights(resumed)) and not third.training


def test_the_seed_decides_and_the_global_generator_does_not(data):
    first, second, other = network(), network(), network()
    train(first, data, RULES, SHIFT, seed=1)
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    train(second, data, RULES, SHIFT, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    train(other, data, RULES, SHIFT, seed=2)
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_what_was_done_with_a_network_before_is_forgotten(data):
    """It was scored, which leaves it in eval mode, or a training was broken off, which leaves
    gradients: also of weights that the first steps do not use, and which would decay."""
    rules = TrainingRules(epochs=1, batch=64, dropout=0.1)
    fresh, used = (Supernet(SPACE, dropout=0.1).reset(0) for _ in range(2))
    arch = Arch((SPACE.choices[0][1], SPACE.choices[1][2]))
    used(normalise(data.train.pixels[:8], data.mean, data.std), arch).sum().backward()
    used.load_state_dict(fresh.state_dict())
    for net in (fresh, used.eval()):
        train_supernet(net, data, rules, SHIFT, seed=1)
    assert same(weights(fresh), weights(used))


def test_a_supernet_learns(data):
    """Golden: where they differ, `pytest tests/hnas/training/test_loop.py -k learns` prints the
    losses.

    Two per cent apart is another torch; more is another training.
    """
    net = Supernet(SPACE).reset(0)
    rules = TrainingRules(epochs=8, batch=64, lr=3e-3)
    losses = []
    train_supernet(
        net, data, rules, AugmentRules(), seed=0,
        context=Context(on_epoch=lambda event: losses.append(event.loss)),
    )  # fmt: skip
    print(losses)
    golden = [2.4418, 2.2879, 2.2521, 2.0967, 2.1635, 2.0129, 1.8968, 1.9337]
    assert losses == pytest.approx(golden, rel=0.02)


@pytest.mark.parametrize("subnets", SUBNETS)
def test_every_rule_of_subnets_costs_the_same_and_resumes(data, tmp_path, subnets):
    rules = TrainingRules(epochs=3, batch=32, subnets=subnets)

    def run(**more) -> tuple[Supernet, int]:
        net, calls = Supernet(SPACE).reset(0), []
        net.register_forward_hook(lambda *_: calls.append(1))
        with contextlib.suppress(Killed):
            train_supernet(net, data, rules, AugmentRules(), seed=1, context=Context(**more))
        return net, len(calls)

    unbroken, calls = run()
    assert calls == 3 * (len(data.train) // 32)  # 8 passes an epoch, whatever the rule
    _, before = run(path=tmp_path / "net", every=0, on_epoch=kill_after(2))
    resumed, after = run(path=tmp_path / "net", every=0)
    assert before + after == calls
    assert same(weights(unbroken), weights(resumed))


@pytest.mark.parametrize("taught", [True, False])
def test_in_a_sandwich_the_others_learn_what_the_largest_answers(data, taught):
    """One step, by hand: the mean of the losses, the largest's answer being a constant."""
    rules = TrainingRules(epochs=1, batch=256, lr=1e-2, warmup=0, clip=0, subnets="sandwich")
    net, other = Supernet(SPACE).reset(0), Supernet(SPACE).reset(0)
    train_supernet(net, data, rules, AugmentRules(), seed=1)
    index = batches(len(data.train), 256, seed=1, epoch=0)[0]
    images = normalise(data.train.pixels[index], data.mean, data.std)
    labels = data.train.labels[index]
    archs = SUBNETS["sandwich"].draw(SPACE, seed=1, step=0)
    largest, *logits = [other(images, arch) for arch in archs]
    answer = largest.detach().softmax(-1) if taught else F.one_hot(labels, 10).float()
    losses = [F.cross_entropy(largest, labels)]
    losses += [-(answer * one.log_softmax(-1)).sum(-1).mean() for one in logits]
    optimizer = adamw(other, rules)
    (sum(losses) / len(losses)).backward()
    optimizer.step()
    found, by_hand = (torch.cat([w.flatten() for w in weights(n).values()]) for n in (net, other))
    # AdamW's first step has the size lr whatever the gradient: where that is 0 the sign is chance.
    alike = torch.isclose(found, by_hand, atol=1e-4).float().mean()
    assert alike > 0.99 if taught else alike < 0.95


def test_a_checkpoint_of_another_training_is_refused(data, tmp_path):
    rules = TrainingRules(epochs=1, batch=64)
    path = tmp_path / "net"
    train(network(), data, rules, SHIFT, seed=1, context=Context(path=path, identity={"lr": 0.1}))
    with pytest.raises(CheckpointError, match=r"(?s)lr: stored 0.1, asked 0.2\nUse another --run"):
        train(
            network(), data, rules, SHIFT, seed=1, context=Context(path=path, identity={"lr": 0.2})
        )


def test_a_checkpoint_of_another_network_is_refused(data, tmp_path):
    rules = TrainingRules(epochs=1, batch=64)
    train(network(), data, rules, SHIFT, seed=1, context=Context(path=tmp_path / "net"))
    other = Supernet(SPACE).reset(0)
    with pytest.raises(
        CheckpointError, match=r"does not fit the network: .* Delete net\.json"
    ) as it:
        train(other, data, rules, SHIFT, seed=1, context=Context(path=tmp_path / "net"))
    assert len(str(it.value).removeprefix(f"checkpoint {tmp_path}")) < 450  # not every weight


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint_before(data, tmp_path):
    path = tmp_path / "net"
    rules = TrainingRules(epochs=3, batch=64)
    with pytest.raises(Killed):
        train(
            network(),
            data,
            rules,
            SHIFT,
            seed=1,
            context=Context(path=path, every=0, on_epoch=kill_after(1)),
        )
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    net = network()
    none = StepLosses(of=lambda images, targets: iter([net(images).sum() * math.nan]))
    with pytest.raises(StateError, match=r"diverged: the loss of epoch 2 is nan.*lower lr"):
        train(
            net, data, rules, SHIFT, seed=1, context=Context(path=path, every=0),
            losses=lambda step: none,
        )  # fmt: skip
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_rate_rises_then_falls_to_zero():
    rules = TrainingRules(epochs=1, lr=1.0, warmup=0.1)
    rates = [learning_rate(rules, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-3


def test_averaged_weights_are_those_of_all_steps_and_are_kept(data, tmp_path, monkeypatch):
    """By hand: the average moves to the new weights by 1 - decay, which falls to 1 - ema."""
    rules, net = TrainingRules(epochs=2, batch=128, lr=1e-2, ema=0.3, drop_path=0.0), network()
    after, step = [], torch.optim.AdamW.step

    def seen(optimizer, *args):
        step(optimizer, *args)
        after.append([weight.detach().clone() for weight in net.parameters()])

    monkeypatch.setattr(torch.optim.AdamW, "step", seen)
    train(net, data, rules, SHIFT, seed=1, context=Context(path=tmp_path / "net"))
    average = after[0]
    for n, now in enumerate(after[1:], 1):
        decay = min(0.3, (1 + n) / (10 + n))
        average = [decay * old + (1 - decay) * new for old, new in zip(average, now, strict=True)]
    assert len(after) == 4
    for found, expected, last in zip(net.parameters(), average, after[-1], strict=True):
        torch.testing.assert_close(found.detach(), expected)
        assert found.numel() == 1 or not torch.allclose(found.detach(), last, atol=1e-7)
    read = network()
    load_trained(read, tmp_path / "net", 2)
    assert same(weights(read), weights(net))
    statistics = {name: b for name, b in net.named_buffers() if name.endswith("running_var")}
    plain = network()
    train(plain, data, replace(rules, ema=0.0), SHIFT, seed=1)
    for name, found in statistics.items():  # nor those that it began with, nor the last ones
        assert not found.eq(1).any() and not torch.equal(found, dict(plain.named_buffers())[name])


def test_labels_are_smoothed(data):
    """By hand: a share of the label is spread over all classes; alone and in a supernet."""
    rules, labels = replace(RULES, label_smoothing=0.2), data.train.labels[:32]
    images = normalise(data.train.pixels[:32], data.mean, data.std)
    net = network().eval()
    answer = 0.8 * F.one_hot(labels, 10) + 0.2 / 10
    expected = -(answer * net(images).log_softmax(-1)).sum(-1).mean()
    (found,) = supervised(net, data, rules)(0).of(images, labels)
    torch.testing.assert_close(found, expected)
    ends = []
    for smoothing in (0.0, 0.2):
        supernet = Supernet(SPACE).reset(5)
        short = replace(RULES, epochs=1, label_smoothing=smoothing)
        train_supernet(supernet, data, short, SHIFT, seed=1)
        ends.append(weights(supernet))
    assert not same(*ends)


@pytest.mark.parametrize("repeats", [1, 2, 4])
def test_a_batch_has_each_image_so_many_times(data, repeats):
    net, seen = network(), []
    net.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(1)))
    rules = TrainingRules(epochs=1, batch=64, repeats=repeats)
    train(net, data, rules, AugmentRules(), seed=1)
    assert {len(batch) for batch in seen} == {64}
    assert {len(batch.unique(dim=0)) for batch in seen} == {64 // repeats}


def test_only_matrices_and_kernels_decay():
    net = network()
    groups = adamw(net, TrainingRules(epochs=1)).param_groups
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, weight in net.named_parameters():
        plain = weight.dim() == 1 or name in ("cls_token", "pos_embed")
        assert decay[id(weight)] == (0.0 if plain else 0.05), name


def test_stochastic_depth_rises_with_depth():
    blocks = network().blocks
    assert [b.drop_path.p for b in blocks] == [0.0, RULES.drop_path]


@pytest.mark.parametrize("fault", ["nan", "explodes"])
def test_bad_weights_are_never_kept(data, tmp_path, fault, monkeypatch):
    """The last gradient of epoch 2 is bad: its loss was still good. The same command goes on."""
    rules = TrainingRules(epochs=3, batch=64, ema=0.5)
    whole = network()
    train(whole, data, rules, SHIFT, seed=1)
    path, step, calls = tmp_path / "net", torch.optim.AdamW.step, itertools.count(1)
    last = 2 * steps(len(data.train), rules.batch)

    def bad(optimizer, *args):
        step(optimizer, *args)
        if next(calls) == last:
            for weight in optimizer.param_groups[0]["params"]:
                weight.data.mul_(math.nan if fault == "nan" else 1e4)

    net = network()
    with monkeypatch.context() as patch, pytest.raises(StateError, match="diverged: ") as error:
        patch.setattr(torch.optim.AdamW, "step", bad)
        train(net, data, rules, SHIFT, seed=1, context=Context(path=path, every=0))
    said = str(error.value)
    assert ("after epoch 2 model/" in said) == (fault == "nan")
    assert ("the loss of epoch 3 is " in said) == (fault == "explodes")
    kept = (
        "The checkpoint of epoch 1 is kept" if fault == "nan" else "it is dropped, the one before"
    )
    assert kept in said and "the same command resumes from there" in said
    net = network()
    train(net, data, rules, SHIFT, seed=1, context=Context(path=path, every=0))
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, net.state_dict()[name])


def test_out_of_memory_is_told_with_what_to_do(data, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(StateError, match=r"^the memory .*: CUDA out of memory\. .*smaller batch"):
        train(network(), data, TrainingRules(epochs=1, batch=64), SHIFT, seed=1)
