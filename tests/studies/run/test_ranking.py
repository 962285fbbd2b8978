"""The conclusion of a ranking: what its numbers say, no more."""

from __future__ import annotations

import numpy as np
import pytest

from hnas.architecture.arch import Arch, Block
from hnas.scoring.pairs import packed
from hnas.studies.run.interval import Interval
from hnas.studies.run.ranking import Agreement, Ranked, Ranking


def ranked(right: float, images: int = 40, kept: bool = True) -> Ranked:
    """An architecture that is right on the first of the images."""
    answers = packed(np.arange(images) < right * images)
    assert answers is not None
    return Ranked(
        arch=Arch((Block(G=1, L=0, d_k=1, d_z=1),)),
        macs=1,
        elite=False,
        score=right,
        accuracies=(right,),
        networks=("n",),
        right=(answers,) if kept else (),
    )


def ranking(tau: Interval, *archs: Ranked) -> Ranking:
    return Ranking(
        stage=1,
        epochs=1,
        images=40,
        ranked=archs,
        agreement=Agreement(
            architectures=len(archs),
            seeds=1,
            **dict.fromkeys(("tau", "spearman", "pearson", "tau_top"), tau),
            **dict.fromkeys(("tau_others", "reference", "difference", "regret")),
        ),
        environment={},
    )


@pytest.mark.parametrize(
    ("tau", "said"),
    [
        ((0.5, 0.1, 0.8), "Scores rank these 2 architectures better than chance (tau-b 0.50, 95%"),
        ((-0.5, -0.8, -0.1), "Scores rank these 2 architectures worse than chance (tau-b -0.50"),
        ((0.5, 0.0, 0.8), "2 architectures cannot tell whether scores rank better than chance ("),
        ((float("nan"),) * 3, "2 architectures cannot tell: all scores or all accuracies are the"),
    ],
)
def test_it_says_whether_scores_rank(tau: tuple[float, float, float], said: str) -> None:
    value, low, high = tau
    found = ranking(Interval(value=value, low=low, high=high), ranked(0.9), ranked(0.5))
    assert found.conclusion.startswith(said)


def test_it_says_how_many_are_like_the_best_if_the_answers_were_kept() -> None:
    tau = Interval(value=0.5, low=0.1, high=0.8)
    best, near, far = ranked(0.9), ranked(0.85), ranked(0.4)
    said = "Trained alone, 1 of the other 2 cannot be told from the best by the images that one"
    assert said in ranking(tau, far, best, near).conclusion
    lacking = ranking(tau, best, near, ranked(0.4, kept=False))
    assert "Trained alone" not in lacking.conclusion
    assert "Trained alone" not in ranking(tau).conclusion  # a file that others emptied
