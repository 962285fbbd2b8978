import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from hnas.data import mix
from hnas.settings import TrainingRules

CLASSES = 4
LABELS = torch.tensor([0, 1, 2, 3, 3, 0])
IMAGES = torch.rand(6, 3, 8, 10, generator=torch.Generator().manual_seed(0))


def rules(**values: float) -> TrainingRules:
    return TrainingRules(epochs=1, **values)


def mixed(seed: int, **values: float) -> tuple[torch.Tensor, torch.Tensor]:
    return mix(IMAGES, LABELS, rules(**values), classes=CLASSES, seed=seed)


def share(targets: torch.Tensor) -> float:
    """What an image keeps of itself, from the second's targets: its label is 1, its partner's 3."""
    assert targets[1, 1] + targets[1, 3] == pytest.approx(1)
    return float(targets[1, 1])


def test_nothing_asked_is_nothing_done() -> None:
    images, targets = mixed(0)
    assert images is IMAGES and targets is LABELS


@given(
    seed=st.integers(0, 2**63 - 1),
    alphas=st.sampled_from([(0.8, 1.0), (0.2, 0.0), (0.0, 0.5)]),
)
def test_targets_are_shares_that_add_up_to_one(seed: int, alphas: tuple[float, float]) -> None:
    images, targets = mixed(seed, mixup=alphas[0], cutmix=alphas[1])
    assert images.shape == IMAGES.shape and targets.shape == (6, CLASSES)
    assert images.dtype == targets.dtype == torch.float32
    assert torch.allclose(targets.sum(dim=1), torch.ones(6))
    assert targets.min() >= 0 and targets.max() <= 1
    # One share for the batch: what an image keeps of its label, its partner gives away.
    own = share(targets)
    one, other = (F.one_hot(labels, CLASSES) for labels in (LABELS, LABELS.flip(0)))
    assert torch.allclose(targets, own * one + (1 - own) * other, atol=1e-6)


@given(seed=st.integers(0, 2**63 - 1))
def test_mixup_blends_images_as_it_blends_labels(seed: int) -> None:
    images, targets = mixed(seed, mixup=0.8)
    own = share(targets)
    assert torch.allclose(images, own * IMAGES + (1 - own) * IMAGES.flip(0), atol=1e-6)


@given(seed=st.integers(0, 2**63 - 1))
def test_cutmix_puts_in_one_rectangle_and_counts_its_pixels(seed: int) -> None:
    images, targets = mixed(seed, cutmix=1.0)
    others = (images == IMAGES.flip(0)).all(dim=1)
    assert torch.equal(torch.where(others[:, None], IMAGES.flip(0), IMAGES), images)
    assert (others == others[0]).all(), "one rectangle for the batch"
    height, width = others[0].any(dim=1).sum(), others[0].any(dim=0).sum()
    assert others[0].sum() == height * width
    assert share(targets) == pytest.approx(1 - float(height * width) / 80)


def test_a_seed_decides_and_no_generator_is_touched() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (mixed(seed, mixup=0.8, cutmix=1.0) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_shares_are_beta_distributed() -> None:
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1)); with both on, each is taken half the time."""
    shares = torch.tensor([share(mixed(seed, mixup=0.8)[1]) for seed in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.05)
    cut = [
        bool((mixed(seed, mixup=0.8, cutmix=1.0)[0] == IMAGES).all(dim=1).any())
        for seed in range(400)
    ]
    assert 150 < sum(cut) < 250


def test_a_mixed_and_smoothed_loss_is_the_mean_of_the_two_labels_losses() -> None:
    """What the loop takes of mixed targets, by hand."""
    _, targets = mixed(3, mixup=0.8)
    own = share(targets)
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(1))
    first, second = (
        F.cross_entropy(logits, labels, label_smoothing=0.1) for labels in (LABELS, LABELS.flip(0))
    )
    found = F.cross_entropy(logits, targets, label_smoothing=0.1)
    assert found == pytest.approx(float(own * first + (1 - own) * second), rel=1e-5)
    log = logits.log_softmax(dim=1)
    by_hand = -(0.9 * log[range(6), LABELS] + 0.1 * log.mean(dim=1)).mean()
    assert first == pytest.approx(float(by_hand), rel=1e-5)
