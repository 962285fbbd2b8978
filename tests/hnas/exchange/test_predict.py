"""Probabilities of unlabelled images."""

from __future__ import annotations

import pytest
import torch

from hnas.architecture.space import Frame
from hnas.data import normalise
from hnas.exchange.export import Network
from hnas.exchange.predict import likeliest, probabilities
from hnas.network.glit import Glit

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=2, N=3)


def test_they_are_the_softmax_of_the_normalised_image() -> None:
    model = Glit(FRAME, FRAME.all_global()).reset(0)
    network = Network(model=model, classes=("a", "b", "c"), mean=(0.3,), std=(0.2,))
    pixels = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    found = probabilities(network, pixels)
    with torch.no_grad():
        logits = model(normalise(pixels, torch.tensor([0.3]), torch.tensor([0.2])))
    torch.testing.assert_close(found, logits.softmax(-1))
    torch.testing.assert_close(found.sum(-1), torch.ones(4))
    assert not model.training


@pytest.mark.parametrize("top", [2, 3, 9])
def test_the_likeliest_come_first(top: int) -> None:
    best = likeliest(torch.tensor([0.2, 0.5, 0.3]), ("a", "b", "c"), top)
    assert [name for name, _ in best] == ["b", "c", "a"][:top]
    assert best[0][1] == pytest.approx(0.5)
