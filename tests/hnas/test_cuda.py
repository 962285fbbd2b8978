"""The CUDA path: `make gpu` on a machine with a GPU."""

import numpy as np
import pytest
import torch

from hnas.architecture.space import Frame, size_space
from hnas.data import prepare
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.scoring.score import recalibrate, scores
from hnas.settings import AugmentRules, DataRules, DistillationRules, ScoreRules, TrainingRules
from hnas.training.distillation import distilled
from hnas.training.loop import Context, train
from hnas.training.losses import supervised
from hnas.training.supernet import train_supernet

pytestmark = pytest.mark.gpu

FRAME = Frame(image=8, channels=1, patch=2, classes=10, d=48, M=3, N=3)
SPACE = size_space(FRAME, None, d_k=(48, 96), d_z=(2, 4), E=(1, 2), K=(5, 9))
RULES = TrainingRules(epochs=15, batch=128, lr=3e-3)


@pytest.fixture(scope="module")
def data():
    return prepare(DataRules(), image=8, channels=1, seed=0)[0].to("cuda")


def trained(data, **more) -> Supernet:
    net = Supernet(SPACE).reset(0).to("cuda")
    train_supernet(
        net, data, RULES, AugmentRules(shift=1, rotate=5), seed=0, context=Context(**more)
    )
    return net


@pytest.fixture(scope="module")
def net(data) -> Supernet:
    return trained(data)


def test_a_supernet_learns_in_bf16_and_resumes(data, tmp_path):
    losses = []
    trained(data, path=tmp_path / "net", every=0, on_epoch=lambda e: losses.append(e.loss))
    assert losses[-1] < 0.7 * losses[0]
    again = []
    trained(data, path=tmp_path / "net", on_epoch=again.append)
    assert not again


def test_the_whole_recipe_trains_and_resumes(data, tmp_path):
    """Mixed, repeated and strongly augmented images, and a teacher, all on the device."""
    net = Glit(FRAME, FRAME.all_global()).reset(0).to(data.mean.device)
    teacher = Glit(FRAME, FRAME.all_global()).reset(1).to(data.mean.device).eval()
    rules = TrainingRules(
        epochs=3, batch=128, lr=3e-3, label_smoothing=0.1, mixup=0.8, cutmix=1.0, repeats=3,
        ema=0.9, drop_path=0.1,
    )  # fmt: skip
    strong = AugmentRules(crop=0.3, flip=True, randaugment=9.0, erase=0.25, erase_noise=True)

    def distil(loss, logits, images):
        with torch.no_grad():
            taught = teacher(images).float()
        return distilled(loss, logits, taught, DistillationRules(rule="soft", weight=0.1))

    losses = []
    for _ in range(2):  # the second time there is nothing left to train
        train(
            net, data, rules, strong, seed=0, losses=supervised(net, data, rules, distil),
            context=Context(
                path=tmp_path / "net", on_epoch=lambda event: losses.append(event.loss)
            ),
        )  # fmt: skip
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_a_subnet_is_its_standalone_network(net, data):
    rng = np.random.default_rng(0)
    images = torch.randn(64, 1, 8, 8, device="cuda")
    for _ in range(20):
        arch = net.space.sample(rng)
        statistics = recalibrate(net, arch, data, ScoreRules())
        with torch.no_grad():
            inherited = net(images, arch, [s.apply for s in statistics])
            alone = net.extract(arch, statistics).eval()(images)
        torch.testing.assert_close(inherited, alone, rtol=1e-4, atol=1e-4)


def test_scores_are_near_those_of_the_cpu(net, data):
    rng = np.random.default_rng(0)
    archs = sorted({net.space.sample(rng) for _ in range(20)}, key=lambda arch: arch.key)
    on_gpu = [s.accuracy for s in scores(net, archs, data, ScoreRules())]
    copy = Supernet(SPACE)
    copy.load_state_dict({k: v.cpu() for k, v in net.state_dict().items()})
    on_cpu = [s.accuracy for s in scores(copy, archs, data.to("cpu"), ScoreRules())]
    assert max(abs(a - b) for a, b in zip(on_gpu, on_cpu, strict=True)) < 0.03
    assert len(set(on_gpu)) > 5
