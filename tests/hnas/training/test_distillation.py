"""Distillation: the loss by hand, and any module or network file as the teacher."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from hnas.architecture.space import Frame
from hnas.data import Data, normalise, prepare
from hnas.errors import CheckpointError, InputError
from hnas.exchange.export import Network, save
from hnas.network.glit import Glit
from hnas.settings import AugmentRules, DataRules, DistillationRules, TrainingRules
from hnas.training.distillation import distilled, load_teacher
from hnas.training.loop import train
from hnas.training.losses import supervised

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)

MODULE = """
from pathlib import Path
import torch
from torch import nn
from hnas.exchange.export import load

def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
def network(): return load(Path("net"))
def seven(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
def wide(): return nn.Conv2d(3, 10, 1)
def number(): return 3
"""


@pytest.fixture(scope="module")
def data() -> Data:
    return prepare(DataRules(limit=200), image=8, channels=1, seed=0)[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The current folder, with a module `taught` and a network file `net` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taught.py").write_text(MODULE)
    net = Glit(FRAME, FRAME.all_global()).reset(3).eval()
    classes = tuple("0123456789")
    save(Network(model=net, classes=classes, mean=(0.25,), std=(0.5,)), tmp_path / "net")
    yield tmp_path
    sys.modules.pop("taught", None)


def logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(5, 10, generator=torch.Generator().manual_seed(seed))


def test_hard_is_equation_3() -> None:
    student, teacher = logits(0), logits(1)
    log = student.log_softmax(dim=1)
    by_teacher = -sum(log[i, row.argmax()] for i, row in enumerate(teacher)) / 5
    found = distilled(torch.tensor(7.0), student, teacher, DistillationRules())
    assert found == pytest.approx(float(0.5 * 7.0 + 0.5 * by_teacher), rel=1e-5)


@pytest.mark.parametrize(("weight", "tau"), [(0.1, 3.0), (0.7, 1.0)])
def test_soft_is_equation_2(weight: float, tau: float) -> None:
    student, teacher = logits(0), logits(1)
    p, q = (teacher / tau).softmax(dim=1).double(), (student / tau).softmax(dim=1).double()
    divergence = (p * (p / q).log()).sum() / 5
    rules = DistillationRules(rule="soft", weight=weight, temperature=tau)
    found = distilled(torch.tensor(7.0), student, teacher, rules)
    assert found == pytest.approx(
        float((1 - weight) * 7.0 + weight * tau**2 * divergence), rel=1e-5
    )


@pytest.mark.parametrize(("weight", "tau", "classes"), [(0.1, 3.0, 10), (0.7, 1.0, 4)])
def test_soft_deit_is_what_deit_s_code_computes(weight: float, tau: float, classes: int) -> None:
    """Its losses.py sums the divergence of softened logits and divides by their number, images
    times classes. docs/paper.md's weight makes it `soft`, up to a factor."""
    student, teacher = (logits(seed)[:, :classes] for seed in (0, 1))
    summed = F.kl_div(
        (student / tau).log_softmax(dim=1),
        (teacher / tau).log_softmax(dim=1),
        reduction="sum",
        log_target=True,
    )
    expected = (1 - weight) * 7.0 + weight * summed * tau**2 / student.numel()
    rules = DistillationRules(rule="soft-deit", weight=weight, temperature=tau)
    labels = torch.tensor(7.0)
    assert distilled(labels, student, teacher, rules) == pytest.approx(float(expected), rel=1e-5)
    equal = DistillationRules(
        rule="soft", weight=weight / (weight + classes * (1 - weight)), temperature=tau
    )
    factor = (1 - weight) / (1 - equal.weight)
    assert factor * distilled(labels, student, teacher, equal) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_who_agrees_with_the_teacher_pays_nothing_more() -> None:
    rules = DistillationRules(rule="soft", weight=1.0)
    assert distilled(torch.tensor(7.0), logits(0), logits(0), rules) == pytest.approx(0, abs=1e-6)


def test_a_module_takes_images_as_the_student_does(folder: Path, data: Data) -> None:
    teacher = load_teacher("taught:linear", data)
    images = normalise(data.train.pixels[:4], data.mean, data.std)
    module = teacher.module
    assert torch.equal(teacher(images), F.linear(images.flatten(1), *module[2].parameters()))
    assert not module.training
    assert not any(weight.requires_grad for weight in module.parameters())
    student = images.clone().requires_grad_()
    assert not teacher(student).requires_grad


@pytest.mark.parametrize("name", ["net", "net.safetensors", "taught:network"])
def test_a_network_brings_its_own_normalisation(folder: Path, data: Data, name: str) -> None:
    teacher = load_teacher(name, data)
    pixels = data.train.pixels[:4]
    own = normalise(pixels, torch.tensor([0.25]), torch.tensor([0.5]))
    with torch.no_grad():
        expected = teacher.module(own)
    found = teacher(normalise(pixels, data.mean, data.std))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "taught:number",
            "must return a torch.nn.Module or a hnas.exchange.export.Network, got int",
        ),
        ("taught:seven", r"must give logits \(2, 10\) for 2 images .*10 classes\), got \(2, 7\)"),
        ("taught:wide", r"must take float images \(B, 1, 8, 8\), as the data's; it raised Runtime"),
        ("taught:nobody", "has no function 'nobody'"),
    ],
)
def test_what_cannot_teach_is_told(folder: Path, data: Data, name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: .*{message}"):
        load_teacher(name, data)


def test_a_file_that_is_missing_is_told(folder: Path, data: Data) -> None:
    with pytest.raises(CheckpointError, match=r"^gone\.json cannot be read: No such file"):
        load_teacher("gone", data)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "medium"}, "rule must be one of hard, soft, soft-deit, got 'medium'"),
        ({"weight": 0.0}, "weight must be a share in (0, 1], got 0.0"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0.0"),
    ],
)
def test_a_distillation_that_breaks_a_rule_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        DistillationRules(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize("rule", ["hard", "soft"])
def test_a_student_comes_to_say_what_its_teacher_says(folder: Path, data: Data, rule: str) -> None:
    """From the teacher alone, who is wrong about the labels: more than by the labels."""
    teacher = load_teacher("net", data)
    rules = DistillationRules(rule=rule, weight=1.0)
    images = normalise(data.train.pixels, data.mean, data.std)
    says = teacher(images).argmax(dim=1)

    def agreement(distil) -> float:
        net = Glit(FRAME, FRAME.all_global()).reset(0)
        rules = TrainingRules(epochs=20, batch=32, lr=3e-3)
        losses = supervised(net, data, rules, distil)
        train(net, data, rules, AugmentRules(), seed=0, losses=losses)
        with torch.no_grad():
            return float((net(images).argmax(dim=1) == says).float().mean())

    alone = agreement(None)
    taught = agreement(lambda loss, z, images: distilled(loss, z, teacher(images), rules))
    always_the_same = float((says == says.mode().values).float().mean())
    assert taught > max(alone, always_the_same) + 0.1
    assert not teacher.module.training
