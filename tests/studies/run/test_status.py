"""How far scores can be told apart, and on how many images."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hnas.architecture.arch import Arch, Block
from hnas.scoring.pairs import packed
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.run.status import scoring_images
from hnas.studies.run.ties import is_tie, standard_error, tied
from hnas.studies.search.session import Session
from hnas.studies.trials.record import Record


def test_equal_networks_tie_and_much_better_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    images = 400
    equal = rng.binomial(images, 0.9, size=(2000, 2)) / images
    assert np.mean([is_tie(a, b, images) for a, b in equal]) > 0.94
    other = np.stack([equal[:, 0], rng.binomial(images, 0.8, size=2000) / images], axis=1)
    assert np.mean([is_tie(a, b, images) for a, b in other]) < 0.05
    assert is_tie(1.0, 1.0, 10) and not is_tie(0.9, 0.8, 10**6)
    assert np.isclose(standard_error(0.9, images), np.std(equal[:, 0]), rtol=0.1)


def test_trials_whose_answers_are_known_are_compared_image_by_image() -> None:
    def trial(right: np.ndarray | None, accuracy: float) -> Record:
        answers = None if right is None else packed(right)
        arch = Arch((Block(G=1, L=0, d_k=1, d_z=1),))
        return Record(
            number=0, generation=0, arch=arch, accuracy=accuracy, loss=0.0, macs=1, params=1,
            seconds=0.0, right=answers,
        )  # fmt: skip

    images = 300
    better = np.arange(images) < 291
    worse, other = better & (np.arange(images) >= 8), np.arange(images) >= 17
    best, known = trial(better, 0.97), (trial(worse, 0.943), trial(other, 0.943))
    # Eight images fewer, all of which the best is right on; or seventeen against nine.
    assert [tied(one, best, images) for one in known] == [False, True]
    assert tied(trial(None, 0.943), best, images)  # by two independent errors


def test_the_images_that_trials_are_scored_on(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    assert scoring_images(run) == 0
    with contextlib.closing(Session(run, torch.device("cpu"))) as session:
        held_out = len(session.data.held_out)
    assert scoring_images(run) == held_out
    limited = replace(run, plan=replace(tiny, score=replace(tiny.score, held_out=7)))
    assert scoring_images(limited) == 7
