"""Compiled blocks: few graphs without a break, the same numbers by a backend that changes none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._dynamo import config
from torch._dynamo.utils import counters

from hnas.architecture.space import Frame, distribution_space
from hnas.data import Data, Images
from hnas.errors import InputError
from hnas.network import compiled
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, ScoreRules, TrainingRules
from hnas.training.loop import train
from hnas.training.supernet import train_supernet

pytestmark = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf",
    "ignore:Guards may run slower on Python 3.13.0",
)
"""Of Dynamo: the first it asks for itself, and hides where warnings are none of pytest's."""
FRAME = Frame(image=8, channels=1, patch=4, classes=4, d=12, M=2, N=3)
SPACE = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)
RULES = TrainingRules(epochs=1, batch=16, micro_batch=8, dropout=0.1)
FAST = replace(RULES, compile=True)
ARCHS = [SPACE.sample(np.random.default_rng(seed)) for seed in range(3)]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Those that were made, of a backend that runs them as they are."""
    found: list[object] = []

    def counting(graph, inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(compiled, "BACKEND", counting)
    torch._dynamo.reset()
    counters.clear()
    with config.patch(dict(zip(compiled.limits(), (8, 256), strict=True))):  # and back
        yield found
    torch._dynamo.reset()


def data() -> Data:
    pixels = torch.arange(32 * 64).view(32, 1, 8, 8).remainder(251).to(torch.uint8)
    images = Images(pixels=pixels, labels=torch.arange(32) % 4)
    half = torch.full((1,), 0.5)
    return Data(train=images, held_out=images, classes=tuple("0123"), mean=half, std=half)


def searched(rules: TrainingRules) -> tuple[dict[str, torch.Tensor], list[tuple[float, float]]]:
    """Weights of a trained supernet, and the scores of a few subnets."""
    net = Supernet(SPACE, dropout=rules.dropout).reset(0)
    train_supernet(net, data(), rules, AugmentRules(), seed=0)
    found = scores(net, ARCHS, data(), ScoreRules(batch=20, recalibration=8))
    return net.state_dict(), [(score.accuracy, score.loss) for score in found]


def alone(rules: TrainingRules) -> dict[str, torch.Tensor]:
    net = Glit(FRAME, ARCHS[0], dropout=rules.dropout, drop_path=0.1).reset(0)
    train(net, data(), rules, AugmentRules(), seed=0)
    return net.state_dict()


def same(found: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return found.keys() == right.keys() and all(torch.equal(found[k], right[k]) for k in right)


def test_a_supernet_learns_and_scores_the_same_by_few_graphs(graphs: list[object]) -> None:
    (weights, values), right = searched(FAST), searched(RULES)
    assert same(weights, right[0]) and values == right[1]
    kinds = {block.G for choices in SPACE.choices for block in choices}
    assert 0 < len(graphs) <= 4 * len(kinds)  # trained, recalibrated, chunks of two sizes
    assert not counters["graph_break"]
    before = len(graphs)
    assert searched(FAST)[1] == values
    assert len(graphs) == before  # another network of the same kinds and sizes needs none


def test_a_network_alone_learns_the_same_by_a_graph_a_block(graphs: list[object]) -> None:
    assert same(alone(FAST), alone(RULES))
    assert 0 < len(graphs) <= FRAME.M and not counters["graph_break"]


def test_there_are_no_more_graphs_than_are_allowed(graphs: list[object], monkeypatch) -> None:
    monkeypatch.setattr(compiled, "GRAPHS", 2)
    assert same(searched(FAST)[0], searched(RULES)[0])
    assert len(graphs) <= 2


@pytest.mark.parametrize(
    ("device", "needs"), [("cpu", "a C[+][+] compiler"), ("cuda", "Triton .pip install triton.")]
)
def test_what_is_missing_is_told(monkeypatch, device: str, needs: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=rf"^training.compile needs {needs} on the device {device}"
    ):
        compiled._check_compiler(torch.device(device))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Inductor's own, of what it imports
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_a_compiler_gives_the_same_scores() -> None:
    """Of the same weights: in a training Inductor draws other dropout, and Adam makes much of the
    last digits of small gradients."""
    torch._dynamo.reset()
    net = Supernet(SPACE).reset(0)
    train_supernet(net, data(), replace(RULES, dropout=0.0), AugmentRules(), seed=0)
    rules = ScoreRules(batch=20, recalibration=8)
    right = list(scores(net, ARCHS, data(), rules))
    compiled.compile_blocks(net)
    found = list(scores(net, ARCHS, data(), rules))
    assert counters["stats"]["unique_graphs"] > 0
    assert [score.accuracy for score in found] == [score.accuracy for score in right]
    assert np.allclose([score.loss for score in found], [score.loss for score in right], atol=1e-5)
