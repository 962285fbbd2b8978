"""Metrics: their values as scikit-learn has them, their errors as repeated samples have them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score

from hnas.errors import InputError
from hnas.scoring.metric import measured
from hnas.settings import METRICS, ScoreRules

K = 7


def guesses(n: int, seed: int = 0, classes: int = K) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are right more often than not, and labels; some classes are rare."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, generator=generator) ** 3 * classes).long()
    noise = torch.randn(n, classes, generator=generator)
    return noise + 2 * torch.nn.functional.one_hot(labels, classes), labels


def expected(metric: str, logits: torch.Tensor, labels: torch.Tensor) -> float:
    given, y = logits.argmax(1).numpy(), labels.numpy()
    if metric == "balanced":
        return float(balanced_accuracy_score(y, given))
    if metric == "f1":
        return float(f1_score(y, given, average="macro", labels=sorted(set(y))))
    if metric == "top5":
        return float(top_k_accuracy_score(y, logits.numpy(), k=5, labels=range(logits.shape[1])))
    return float((given == y).mean())


@pytest.mark.parametrize("metric", METRICS)
def test_a_value_is_scikit_learn_s(metric: str) -> None:
    for n, seed in ((300, 0), (40, 1), (1000, 2)):
        logits, labels = guesses(n, seed)
        assert measured(metric, logits, labels)[0] == pytest.approx(
            expected(metric, logits, labels)
        )


@pytest.mark.parametrize("metric", ["balanced", "f1"])
def test_an_error_is_the_deviation_of_repeated_samples(metric: str) -> None:
    values, errors = [], []
    for seed in range(60):
        value, error = measured(metric, *guesses(400, seed + 10))
        values.append(value)
        errors.append(error or 0.0)
    deviation = float(torch.tensor(values).std())
    assert sum(errors) / len(errors) == pytest.approx(deviation, rel=0.35)


@pytest.mark.parametrize("metric", ["accuracy", "top5"])
def test_the_error_of_a_share_follows_from_it(metric: str) -> None:
    assert measured(metric, *guesses(50))[1] is None


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_images_give_the_same(metric: str) -> None:
    logits, labels = guesses(100)
    torch.manual_seed(1)
    first = measured(metric, logits, labels)
    torch.manual_seed(2)
    assert measured(metric, logits, labels) == first


@pytest.mark.parametrize("metric", METRICS)
def test_two_classes_and_one_right_image(metric: str) -> None:
    logits, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    value, _ = measured(metric, logits, labels)
    assert value == pytest.approx({"top5": 1.0, "f1": 1 / 3}.get(metric, 0.5))
    assert measured(metric, logits[:1], labels[:1])[0] == 1.0


THEIRS = """
def right(logits, labels):
    return (logits.argmax(1) == labels).float().mean()

def wrong(logits, labels):
    return 1.5

def text(logits, labels):
    return "good"
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_metric.py").write_text(THEIRS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_metric", raising=False)


def test_a_function_of_the_user_s(theirs: None) -> None:
    logits, labels = guesses(400)
    value, error = measured("mine_metric:right", logits, labels)
    assert value == pytest.approx(measured("accuracy", logits, labels)[0])
    assert error == pytest.approx((value * (1 - value) / 400) ** 0.5, rel=0.25)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine_metric:wrong", "mine_metric:wrong must give a number of 0 to 1, got 1.5"),
        ("mine_metric:text", "must give a number of 0 to 1, got 'good'"),
        ("mine_metric:none", "has no function 'none'"),
        ("no_such_metric:none", "there is no module 'no_such_metric'"),
    ],
)
def test_a_function_that_is_none(theirs: None, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        measured(name, *guesses(10))


def test_an_unknown_metric() -> None:
    with pytest.raises(InputError, match="metric must be one of accuracy, balanced, top5, f1, or"):
        ScoreRules(metric="recall")
