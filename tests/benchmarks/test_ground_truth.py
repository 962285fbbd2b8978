"""The ground truth, and what searches find in it: samplers and hand-offs on real answers."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from benchmarks.ranking.ground_truth import Row, append, complete, missing, read, table
from benchmarks.ranking.inherited import inherited
from benchmarks.ranking.rules import truth
from benchmarks.ranking.small_spaces import DIGITS, MEASURED, Ground, distribution
from benchmarks.search.table_search import PROPOSERS, TRIALS, TableScorer, search, shares
from hnas.cost.flops import cost
from hnas.studies.experiments.rank_statistics import kendall, reference
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.proposers.random_search import RANDOM
from hnas.studies.trials.pareto import best_by_score, front

ABOUT, ROWS = read(table(DIGITS))
COMPLETE = complete(DIGITS, ROWS)


def column(name: str, seeds: list[int] = COMPLETE) -> np.ndarray:
    """(seeds, 256) in the order of `distributions`."""
    found = {(row.seed, row.G): getattr(row, name) for row in ROWS}
    return np.array([[found[seed, G] for G in DIGITS.distributions] for seed in seeds])


@pytest.fixture(scope="module")
def scorer() -> TableScorer:
    return TableScorer(row for row in ROWS if row.seed in COMPLETE)


def test_every_network_is_there_from_two_seeds_at_least() -> None:
    assert len(COMPLETE) >= 2
    assert len({(row.seed, row.G) for row in ROWS}) == len(ROWS)
    assert {G for G in DIGITS.distributions} == {row.G for row in ROWS}
    assert {"settings", "command", "commit", "cpu", "cores", "versions", "date"} <= set(ABOUT)
    assert 0.5 < min(row.accuracy for row in ROWS) < max(row.accuracy for row in ROWS) < 1


def test_a_distribution_and_its_architecture_are_one() -> None:
    assert [distribution(DIGITS.arch_of(G)) for G in DIGITS.distributions] == DIGITS.distributions


def test_seeds_agree_far_beyond_chance_and_not_wholly() -> None:
    tau = reference(column("accuracy"))
    assert 0.15 < tau < 0.95
    shuffled = np.random.default_rng(0).permuted(column("accuracy"), axis=1)
    assert abs(reference(shuffled)) < 0.1


@pytest.mark.parametrize("proposer", PROPOSERS, ids=lambda proposer: proposer.name)
def test_a_search_through_everything_finds_the_true_front(scorer, proposer) -> None:
    limit = scorer.costs.flops
    fitting = [arch for arch in scorer.accuracy if cost(DIGITS.frame, arch).macs <= limit]
    found = search(scorer, proposer, trials=len(fitting), seed=0)
    assert {record.arch for record in found} == set(fitting)
    best = max(scorer.accuracy[arch] for arch in fitting)
    assert front(found)[-1].accuracy == best


def test_nsga2_comes_nearer_to_the_true_front_than_chance_after_some_generations(scorer) -> None:
    nsga2, chance = (
        np.mean([shares(scorer, proposer, seed=seed) for seed in range(8)], axis=0)
        for proposer in (NSGA2, RANDOM)
    )
    late = TRIALS.index(96)
    assert (nsga2[late:] > chance[late:] + 0.01).all()
    assert nsga2[-1] > 0.99
    assert (nsga2 <= 1 + 1e-12).all() and (np.diff(nsga2) >= 0).all()


def test_what_is_handed_over_is_better_than_the_average_by_seeds_that_did_not_choose() -> None:
    """Scored by one seed's training, retrained by another's, judged by the rest."""
    accuracy, scores = column("accuracy"), column("score_accuracy")
    gains: dict[str, list[float]] = {"score": [], "retrained": []}
    for s, r in itertools.permutations(range(len(COMPLETE)), 2):
        scored = TableScorer(
            (row for row in ROWS if row.seed == COMPLETE[s]), value="score_accuracy"
        )
        found = search(scored, NSGA2, trials=128, seed=s)
        top = [
            DIGITS.distributions.index(distribution(one.arch)) for one in best_by_score(found, 5)
        ]
        judges = np.delete(accuracy, (s, r), axis=0).mean(axis=0)
        gains["score"].append(judges[top[0]] - judges.mean())
        gains["retrained"].append(judges[max(top, key=lambda i: scores[r, i])] - judges.mean())
    assert np.mean(gains["score"]) > 0.001
    assert np.mean(gains["retrained"]) > 0.001


def test_a_killed_table_goes_on_where_it_was(tmp_path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"# {json.dumps({'settings': {}})}\n{','.join(Row.__dataclass_fields__)}\n")
    assert len(missing(DIGITS, path, [0, 1])) == 512
    first = missing(DIGITS, path, [0, 1])[:64]
    assert len({G for _, G in first}) == 32  # all seeds of one, then the next
    for row in ROWS[:3]:
        append(path, row)
    append(path, ROWS[0])  # two processes that met
    assert read(path)[1] == sorted(ROWS[:3], key=lambda row: (row.seed, row.G))
    left = missing(DIGITS, path, [ROWS[0].seed])
    assert len(left) == 253
    assert not {row.G for row in ROWS[:3]} & {G for _, G in left}


@pytest.mark.parametrize("ground", MEASURED, ids=lambda ground: ground.name)
def test_the_report_is_what_the_table_and_the_scores_give(root, ground: Ground) -> None:
    report = json.loads(ground.result("ranking", "json").read_text())
    page = (root / "docs" / "ranking.md").read_text("utf-8")
    of = truth(ground, report["seeds"])
    assert len(of.index) == ground.sample
    assert list(of.seeds) == complete(ground, read(table(ground))[1])
    for rule, one in report["rules"].items():
        taus = [
            kendall(np.array(scored.accuracy), of.accuracy.mean(axis=0))
            for scored in inherited(ground)
            if (scored.rule, scored.way) == (rule, ground.usual)
        ]
        assert len(taus) == 3
        assert one["tau"]["value"] == pytest.approx(np.mean(taus))
        assert f"{one['tau']['value']:.3f} ({one['tau']['low']:.3f} to" in page
