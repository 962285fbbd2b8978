"""The small CNN: its shapes, what it costs, that it learns."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hnas.architecture.space import Frame
from hnas.architecture.stem import of_small_cnn
from hnas.data import prepare
from hnas.errors import InputError
from hnas.network.cnn import Cnn
from hnas.network.stem import stem
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.training.loop import train
from hnas.training.trainer import adamw


@pytest.mark.parametrize("image", [8, 9, 27, 28, 32, 64, 65])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_image_from_8_pixels_on(image: int, channels: int) -> None:
    net = Cnn(image=image, channels=channels, classes=5, widths=(4, 8, 12)).reset(0)
    logits = net(torch.randn(3, channels, image, image))
    assert logits.shape == (3, 5) and logits.isfinite().all()


@pytest.mark.parametrize("image", [32, 64])
def test_what_it_costs(image: int) -> None:
    net = Cnn(image=image, channels=3, classes=20)
    assert len(net.blocks) == 4  # that are compiled
    assert sum(weight.numel() for weight in net.parameters()) == pytest.approx(0.7e6, rel=0.05)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        net(torch.zeros(1, 3, image, image))
    assert counter.get_total_flops() / 2 == pytest.approx(35e6, rel=0.05)


@pytest.mark.parametrize(
    ("image", "patch", "d"), [(8, 2, 48), (28, 4, 96), (32, 8, 192), (48, 16, 192), (64, 8, 96)]
)
def test_it_gives_its_layers_to_a_stem_that_has_the_same(image: int, patch: int, d: int) -> None:
    frame = Frame(
        image=image, channels=1, patch=patch, classes=2, d=d, M=1, N=3, stem="residual", pool="mean"
    )
    assert of_small_cnn(frame)
    cnn = Cnn(image=image, channels=1, classes=2).reset(0).train()
    x = torch.randn(4, 1, image, image)
    cnn(x)  # running statistics
    own = stem(frame)
    cnn.give(own)
    with torch.no_grad():
        grid = x
        for _, layer in zip(own, cnn.eval().stem, strict=False):
            grid = layer(grid)
        torch.testing.assert_close(own.eval()(x), grid)
        own.conv1.weight.zero_()
    assert cnn.stem.conv1.weight.all()  # a copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": 7}, "image must be at least 8 pixels a side for a CNN, got 7"),
        ({"widths": ()}, r"at least one width, got 1, 2 and \[\]"),
        ({"widths": (8, 0)}, r"widths must be >= 1, .* got 1, 2 and \[8, 0\]"),
        ({"classes": 0}, r"got 1, 0 and \[24, 48, 96, 192\]"),
    ],
)
def test_what_cannot_be_built(change: dict[str, object], message: str) -> None:
    sizes = {"image": 8, "channels": 1, "classes": 2}
    with pytest.raises(InputError, match=message):
        Cnn(**(sizes | change))


def test_the_seed_decides_and_norms_do_not_decay() -> None:
    one, same, other = (
        Cnn(image=8, channels=1, classes=2, widths=(4, 8)).reset(seed) for seed in (0, 0, 1)
    )
    groups = adamw(one, TrainingRules(epochs=1)).param_groups
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, weight in one.named_parameters():
        assert torch.equal(weight, same.get_parameter(name))
        assert torch.equal(weight, other.get_parameter(name)) is (weight.dim() == 1)
        assert decay[id(weight)] == (0.0 if weight.dim() == 1 else 0.05), name


def test_it_learns_digits() -> None:
    data = prepare(DataRules(limit=600), image=8, channels=1, seed=0)[0]
    net = Cnn(image=8, channels=1, classes=10, widths=(8, 16, 32)).reset(0)
    rules = TrainingRules(epochs=20, batch=64, lr=3e-3)
    train(net, data, rules, AugmentRules(shift=1), seed=0)
    assert evaluate(net, data.held_out, data, batch=64).accuracy > 0.9
