"""Held-out images judge a training: what is kept, when it ends, what judging costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hnas.architecture.space import Frame
from hnas.data import Data, prepare
from hnas.errors import InputError, StateError
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.training.judge import Judge, period
from hnas.training.loop import Context, Epoch, _Training, train
from hnas.training.losses import supervised
from hnas.training.processes import World
from hnas.training.record import Held, Kept
from hnas.training.trainer import Trainer, decay, load_trained

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)
RULES = TrainingRules(epochs=6, batch=64, lr=3e-3, dropout=0.1)
AUGMENT = AugmentRules(shift=1)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data() -> Data:
    return prepare(DataRules(limit=300, held_out=0.1), image=8, channels=1, seed=0)[0]


def network() -> Glit:
    return Glit(FRAME, FRAME.all_global()).reset(0)


def weights(net: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in net.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, a, b))


class Says:
    """A judge whose answers are given, and who remembers the weights."""

    def __init__(self, *accuracies: float) -> None:
        self.accuracies, self.seen = iter(accuracies), list[list[torch.Tensor]]()

    def __call__(self, net: nn.Module) -> Held:
        self.seen.append(weights(net))
        return Held(accuracy=next(self.accuracies), loss=1.0)


def trained(
    data: Data, rules: TrainingRules, judge: Judge | None, **more
) -> tuple[Glit, Kept | None]:
    net = network()
    return net, train(net, data, rules, AUGMENT, seed=1, context=Context(judge=judge, **more))


def held_out(data: Data) -> Judge:
    def judge(net: nn.Module) -> Held:
        found = evaluate(net, data.held_out, data, batch=512)
        return Held(accuracy=found.accuracy, loss=found.loss)

    return judge


BEST = replace(RULES, keep="best")


def test_judging_changes_nothing_that_is_learned(data: Data) -> None:
    alone, nothing = trained(data, RULES, None)
    watched, kept = trained(data, RULES, held_out(data))
    assert same(weights(alone), weights(watched)) and nothing is None
    assert kept is not None and (kept.epoch, kept.averaged) == (6, False)
    assert not watched.training


@pytest.mark.parametrize(
    ("accuracies", "epoch"),
    [((0.1, 0.5, 0.3, 0.2, 0.4, 0.1), 2), ((0.1, 0.5, 0.3, 0.5, 0.4, 0.5), 2), ((0.1,) * 6, 1)],
    ids=["a peak", "the first of equals", "flat"],
)
def test_the_best_epoch_is_kept(
    data: Data, tmp_path: Path, accuracies: tuple[float, ...], epoch: int
) -> None:
    judge, path = Says(*accuracies), tmp_path / "net"
    net, kept = trained(data, BEST, judge, path=path, every=0)
    assert kept == Kept(accuracy=max(accuracies), loss=1.0, epoch=epoch, averaged=False)
    assert same(weights(net), judge.seen[epoch - 1])
    stored = network()
    load_trained(stored, path, 6)
    assert same(weights(stored), weights(net))


def test_of_equal_accuracies_the_lower_loss_is_better(data: Data) -> None:
    losses = iter((1.0, 0.8, 0.9, 0.8, 1.0, 2.0))
    _, kept = trained(data, BEST, lambda net: Held(accuracy=0.5, loss=next(losses)))
    assert kept is not None and (kept.epoch, kept.loss) == (2, 0.8)


@pytest.mark.parametrize(("keep", "epoch"), [("last", 6), ("best", 3)])
@pytest.mark.parametrize("averaged", [True, False])
def test_plain_or_averaged_weights_are_kept_whichever_do_better(
    data: Data, keep: str, epoch: int, averaged: bool
) -> None:
    rules = replace(RULES, ema=0.9, keep=keep)
    best, other = (0.2, 0.9) if averaged else (0.9, 0.2), (0.3, 0.3)
    answers = [best if each == epoch else other for each in range(1, 7)]
    judge = Says(*(one for pair in answers for one in pair))
    net, kept = trained(data, rules, judge)
    assert kept is not None and (kept.epoch, kept.averaged) == (epoch, averaged)
    assert same(weights(net), judge.seen[2 * (epoch - 1) + averaged])


def test_patience_ends_a_training_and_a_finished_one_stays_so(data: Data, tmp_path: Path) -> None:
    rules, path = replace(BEST, patience=2), tmp_path / "net"
    epochs: list[Epoch] = []
    judge = Says(0.1, 0.5, 0.4, 0.3, 0.9, 0.9)
    net, kept = trained(data, rules, judge, path=path, on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].kept == kept and [epoch.kept for epoch in epochs[:-1]] == [None] * 3
    again, still = trained(data, rules, Says(), path=path, on_epoch=epochs.append)
    assert len(epochs) == 4 and still == kept and same(weights(again), weights(net))
    stored = network()
    load_trained(stored, path, rules.epochs)
    assert same(weights(stored), weights(net))


@pytest.mark.parametrize("kill", [1, 3, 4])
@pytest.mark.parametrize(
    "rules",
    [BEST, replace(BEST, ema=0.99996, epochs=7), replace(BEST, patience=1, lr=0.02)],
    ids=["best", "averaged", "patience"],
)
def test_killed_and_resumed_it_keeps_what_the_unbroken_one_keeps(
    data: Data, tmp_path: Path, kill: int, rules: TrainingRules
) -> None:
    def rows(into: list[Epoch], stop: int) -> Context:
        def hear(epoch: Epoch) -> None:
            into[:] = [one for one in into if one.epoch != epoch.epoch]
            into.append(replace(epoch, images_per_second=0.0))
            if epoch.epoch == stop:
                raise Killed

        path = tmp_path / "net" if stop else tmp_path / "again" / "net"
        return Context(judge=held_out(data), path=path, every=0, before_kept=hear)

    unbroken, resumed = network(), network()
    one, other = list[Epoch](), list[Epoch]()
    expected = train(unbroken, data, rules, AUGMENT, seed=1, context=rows(one, 0))
    if kill <= len(one):
        with pytest.raises(Killed):
            train(network(), data, rules, AUGMENT, seed=1, context=rows(other, kill))
    found = train(resumed, data, rules, AUGMENT, seed=1, context=rows(other, 99))
    assert found == expected and one == other
    assert same(weights(unbroken), weights(resumed))


def test_judging_costs_at_most_a_tenth_of_training() -> None:
    plain, averaged = RULES, replace(RULES, ema=0.9)
    for rules, networks in ((plain, 1), (averaged, 2)):
        for held, seen in ((100, 1000), (250, 1000), (1000, 1000), (5000, 100)):
            every = period(rules, held_out=held, seen=seen)
            assert networks * held <= 0.1 * 3 * seen * every
            assert every == 1 or networks * held > 0.1 * 3 * seen * (every - 1)


def test_the_decay_warms_up_so_that_a_short_training_converges(data: Data) -> None:
    assert decay(0.99996, 0) == 0.1 and decay(0.5, 1000) == 0.5
    assert decay(0.99996, 10**7) == 0.99996
    notes: list[str] = []
    rules = replace(RULES, ema=0.99996, epochs=20)
    judge, seen = held_out(data), dict[int, Held | None]()
    trained(
        data,
        rules,
        judge,
        on_note=notes.append,
        on_epoch=lambda epoch: seen.update({epoch.epoch: epoch.averaged}),
    )
    plain, _ = trained(data, replace(rules, ema=0.0), None)
    averaged = seen[20]
    assert averaged is not None
    assert averaged.accuracy >= judge(plain).accuracy - 0.05  # was that of random weights
    [note] = notes
    assert note == (
        "ema = 0.99996 is for longer trainings: the decay of averaged weights rises to 0.8714 in "
        "60 steps, and no further"
    )
    trained(data, replace(rules, ema=0.5, epochs=4), judge, on_note=notes.append)
    assert len(notes) == 1


class Told(World):
    """What the first of two processes says: whether the training has ended."""

    ends = False

    def broadcast(self, tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        assert {*tensors} == {"ended"} and device.type == "cpu"
        return {"ended": torch.tensor(self.ends)}


def test_the_first_process_loses_patience_for_all(data: Data) -> None:
    """The others judge nothing, and end with it."""
    for ends in (False, True):
        world = Told(1, 2)
        world.ends = ends
        trainer, rules = (
            Trainer(network(), BEST),
            replace(BEST, patience=2, batch=64, micro_batch=32),
        )
        losses = supervised(trainer.model, data, rules)
        context = Context(world=world)
        training = _Training(trainer, data, rules, AUGMENT, 0, losses, 1, context)
        trainer.epoch = 1
        training._judged(1.0, 1.0)
        assert trainer.ended is ends


def test_the_best_needs_a_judge_and_patience_the_best(data: Data) -> None:
    with pytest.raises(InputError, match="give the training a judge"):
        trained(data, BEST, None)
    with pytest.raises(InputError, match="patience must be >= 0, and 0 unless keep = 'best', got"):
        replace(RULES, patience=3)
    with pytest.raises(InputError, match="keep must be one of last, best, got 'first'"):
        replace(RULES, keep="first")


def test_an_unfinished_training_gives_out_nothing(data: Data, tmp_path: Path) -> None:
    def stop(epoch: Epoch) -> None:
        raise Killed

    path = tmp_path / "net"
    with pytest.raises(Killed):
        trained(data, BEST, held_out(data), path=path, every=0, on_epoch=stop)
    with pytest.raises(StateError, match="1 of 6 epochs are kept"):
        load_trained(network(), path, 6)
