"""Rankings of a run: train architectures of a stage alone and compare them with their scores.

Only held-out images are used, never the test part. The networks are trained from scratch, by the
retraining rules or for as long (weights of the supernet that scored them would agree with it), from
seeds that pick nothing, and kept next to the retrained ones: none is trained twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import qmc

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import cost
from hnas.device import describe
from hnas.errors import InputError, MismatchError, StateError
from hnas.scoring.record import Score
from hnas.studies.experiments.rank_statistics import DRAWS, agreement
from hnas.studies.figures.ranking import ranking as figure
from hnas.studies.figures.style import save
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.strategies import from_scratch
from hnas.studies.run.ranking import Ranked, Ranking, ranking_file, write_ranking
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.retrain import Asked, retrain_networks
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.trials.conditions import scorer_of
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import records

POOL = 1000
"""Random architectures, some of them equal, that those to train are drawn from."""
LEAST = 4
"""Architectures: fewer have no ranking worth an interval."""


@dataclass(frozen=True, kw_only=True)
class RankRules:
    """What is trained. Raises InputError if a value breaks its rule."""

    stage: int
    architectures: int = 30
    seeds: int = 4
    """Trainings of each."""
    epochs: int | None = None
    """Of each training; None: those of `hnas.studies.plan.strategies.from_scratch`."""

    def __post_init__(self) -> None:
        if self.architectures < LEAST:
            raise InputError(f"architectures must be >= {LEAST}, got {self.architectures}")
        if self.seeds < 1:
            raise InputError(f"seeds must be >= 1, got {self.seeds}")


def draw(
    space: Space, found: Sequence[Record], *, count: int, costs: Costs, seed: int
) -> list[tuple[Arch, bool]]:
    """At most `count` architectures that `costs` allow, and whether each is an elite.

    First the elites: the front of `found` from the most accurate on (that one is the search's
    pick), at most half. Then random ones spread over the MACs, by a van der Corput sequence, so
    that a larger `count` has all of a smaller one's. Fewer if the space has no more.
    """
    best = front(found, costs.objective)
    elites = [record.arch for record in best_by_score(best, len(best), costs.objective)]
    rng = np.random.default_rng(seed)
    pool = {costs.sample(space, rng) for _ in range(POOL)}.difference(elites)
    by_macs = sorted(pool, key=lambda arch: (cost(space.frame, arch).macs, arch.key))
    spread = np.argsort(np.argsort(qmc.Halton(1, scramble=False).random(len(by_macs))[:, 0]))
    kept = elites[: count // 2]
    drawn = [by_macs[i] for i in spread[: count - len(kept)]]
    return [(arch, True) for arch in kept] + [(arch, False) for arch in drawn]


def rank(session: Session, rules: RankRules, *, draws: int = DRAWS) -> Ranking:
    """Trains what is missing, and compares. Hold the run. `draws` are the bootstrap's.

    Writes `ranking-stageN.json` and `.svg` into the run's folder when all is trained.
    Raises StateError if the stage has no trials, MismatchError if they were scored with another
    supernet.
    """
    run, retrain = session.run, from_scratch(session.plan)
    drawn, scores = _scored(session, rules)
    epochs = rules.epochs or retrain.training.epochs
    retrain = replace(retrain, training=replace(retrain.training, epochs=epochs))
    asked = [
        Asked(
            arch=arch,
            what=f"architecture {i} of {len(drawn)}, seed {n} of {rules.seeds}",
            rules=retrain,
            repeat=n,
        )
        for i, (arch, _) in enumerate(drawn, 1)
        for n in range(1, rules.seeds + 1)
    ]
    trained = retrain_networks(session, asked)
    ranked = []
    for i, (arch, is_elite) in enumerate(drawn):
        networks = trained[i * rules.seeds : (i + 1) * rules.seeds]
        ranked.append(
            Ranked(
                arch=arch,
                macs=networks[0].macs,
                elite=is_elite,
                score=scores[arch].accuracy,
                accuracies=tuple(network.accuracy for network in networks),
                networks=tuple(network.key for network in networks),
                right=tuple(network.right or "" for network in networks),
            )
        )
    guess = np.array([one.score for one in ranked])
    alone = np.array([one.accuracies for one in ranked]).T
    made = Ranking(
        stage=rules.stage,
        epochs=epochs,
        images=len(session.data.held_out),
        ranked=tuple(ranked),
        agreement=agreement(guess, alone, pick=0, draws=draws),
        environment=describe(session.device),
    )
    write_ranking(run, made)
    drawing = figure(made.title, made.groups, made.epochs)
    save(drawing, (run.folder / ranking_file(rules.stage)).with_suffix(".svg"), force=True)
    return made


def _scored(
    session: Session, rules: RankRules
) -> tuple[list[tuple[Arch, bool]], dict[Arch, Score]]:
    """What `draw` gives of the stage, and the scores."""
    run, stage = session.run, rules.stage
    run.stage(stage)
    study = session.study(stage)
    found = records(study)
    if not found:
        raise StateError(
            f"ranking needs scored trials: stage {stage} of {run.folder} has none. "
            f"Run: hnas search --stage {stage} --run {run.folder}"
        )
    net = supernet(session, stage)
    scorer = SupernetScorer(net, session.data, session.plan.score)
    if scorer.fingerprint != scorer_of(study):
        raise MismatchError(
            f"stage {stage} of {run.folder} was scored with other weights or images than the run "
            "has now, so that its ranking cannot be judged. Restore them, or search again"
        )
    count, seed = rules.architectures, run.seed(f"ranking {stage}")
    drawn = draw(net.space, found, count=count, costs=session.costs, seed=seed)
    if len(drawn) < LEAST:
        raise StateError(
            f"ranking needs {LEAST} architectures: the space of stage {stage} has {len(drawn)} "
            "within the limits"
        )
    by_key = sorted((arch for arch, _ in drawn), key=lambda arch: arch.key)  # they share most
    return drawn, dict(zip(by_key, scorer.score(by_key), strict=True))
