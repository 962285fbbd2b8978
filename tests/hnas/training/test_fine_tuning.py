"""Rules of fine-tuning: blocks near the image learn less, the classifier first learns alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hnas.architecture.space import Frame, distribution_space
from hnas.data import Data, prepare
from hnas.errors import InputError
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.training.loop import train
from hnas.training.supernet import train_supernet
from hnas.training.trainer import adamw

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=3, N=3)
RULES = TrainingRules(epochs=1, batch=64, lr=1e-3, warmup=0.0, weight_decay=0.0, clip=0.0)


@pytest.fixture(scope="module")
def data() -> Data:
    return prepare(DataRules(limit=64 * 2), image=8, channels=1, seed=0)[0]


def network() -> Glit:
    return Glit(FRAME, FRAME.all_global()).reset(5)


def moved(net: torch.nn.Module, before: dict[str, Tensor]) -> dict[str, float]:
    return {n: float((w - before[n]).abs().max()) for n, w in net.state_dict().items()}


def test_a_block_learns_at_its_share_of_the_rate(data: Data) -> None:
    """AdamW's first step is as large as the rate, whatever the gradient."""
    net, one = network(), replace(data, train=data.train.take(torch.arange(64)))
    before = {name: w.clone() for name, w in net.state_dict().items()}
    train(net, one, replace(RULES, layer_decay=0.5), AugmentRules(), seed=0)
    found = moved(net, before)
    for name, share in (
        ("patch_embed.weight", 1 / 16),
        ("pos_embed", 1 / 16),
        ("blocks.0.fc1.weight", 1 / 8),
        ("blocks.2.qkv.bias", 1 / 2),
        ("norm.bias", 1),
        ("head.weight", 1),
    ):
        assert found[name] == pytest.approx(share * RULES.lr, rel=0.02), name


def test_the_classifier_learns_alone_at_first(data: Data) -> None:
    space = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)
    net = Supernet(space).reset(5)
    before = {name: w.clone() for name, w in net.state_dict().items()}
    # Two epochs of one step: the first is the classifier's.
    one = replace(data, train=data.train.take(torch.arange(64)))
    train_supernet(net, one, replace(RULES, head_warmup=0.99), AugmentRules(), seed=0)
    found = moved(net, before)
    assert found.pop("head.weight") > 0 and found.pop("head.bias") > 0
    assert set(found.values()) == {0.0}
    train_supernet(net, one, replace(RULES, head_warmup=0.0), AugmentRules(), seed=0)
    assert moved(net, before)["blocks.0.fc1.weight"] > 0


def test_without_these_rules_weights_are_in_two_groups_as_ever() -> None:
    net = network()
    groups = adamw(net, RULES).param_groups
    assert [(g["weight_decay"], g["share"]) for g in groups] == [(0.0, 1.0), (0.0, 1.0)]
    decayed = adamw(net, replace(RULES, weight_decay=0.1)).param_groups
    assert [g["weight_decay"] for g in decayed] == [0.1, 0.0]
    names = {id(w): name for name, w in net.named_parameters()}
    kept = [names[id(w)] for w in decayed[0]["params"]]
    assert kept == [n for n in names.values() if n.endswith("weight") and "norm" not in n]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"layer_decay": 0.0}, r"layer_decay must be in \(0, 1\], got 0.0"),
        ({"layer_decay": 1.5}, r"layer_decay must be in \(0, 1\], got 1.5"),
        ({"head_warmup": 1.0}, r"head_warmup must be a share in \[0, 1\), got 1.0"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(RULES, **rules)
