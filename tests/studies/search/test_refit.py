"""The winner and the all-global network, trained once more on the held-out images too."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hnas.errors import InputError
from hnas.scoring.score import evaluate
from hnas.settings import TrainingRules
from hnas.studies.experiments.reproduce import reproduce
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.history import curves
from hnas.studies.run.networks import Identity, identity_of, stored_network, winner
from hnas.studies.run.remarks import trained
from hnas.studies.run.result import TrainedNetwork, read_result
from hnas.studies.search import alone
from hnas.studies.search.finish import finish
from hnas.studies.search.retrain import refit, retrain_network
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import join_network
from hnas.training.processes import ONE_PROCESS
from hnas.training.record import Held
from tests.support.broken_off import CPU, BreaksOff, Broken, whole


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> Run:
    rules = replace(tiny.retrain.training, epochs=4, keep="best")
    retrain = replace(tiny.retrain, training=rules, refit=True, start="supernet")
    run = begin_run(tmp_path_factory.mktemp("runs") / "tiny", replace(tiny, retrain=retrain))
    whole(run)
    return run


def unjudged(picked: Identity, rules: TrainingRules, network: TrainedNetwork) -> Identity:
    """What a network is trained to once more by these rules: averaged only if that was better."""
    assert network.kept is not None
    if not network.kept.averaged:
        picked, rules = replace(picked, averaging=None), replace(rules, ema=0.0)
    return replace(picked, training=rules, held_out_too=True)


def test_the_winner_is_trained_anew_on_all_images_for_as_long_as_was_best(finished: Run) -> None:
    result = read_result(finished)
    assert result is not None
    winner = result.winner
    picked = next(one for one in result.candidates if one.key == winner.picked)
    assert winner.accuracy == picked.accuracy and not winner.more
    before, after = (identity_of(finished, key) for key in (winner.picked, winner.key))
    assert winner.kept is not None
    rules = replace(before.training, epochs=winner.kept.epoch, keep="last")
    assert after == unjudged(before, rules, winner)
    assert "picked on held-out images, then trained on them too" in trained(
        winner, result.all_global
    )
    assert {"winner", "winner, on all images"} <= set(curves(finished, result))


def test_an_all_global_network_from_scratch_goes_on_with_all_images(finished: Run) -> None:
    """As the winner does from a supernet, which has not seen the held-out images either."""
    result, asked = read_result(finished), finished.plan.retrain
    assert result is not None
    plain = result.all_global
    before, after = (identity_of(finished, key) for key in (plain.picked, plain.key))
    assert before.start is None and before.training.epochs > asked.training.epochs == plain.more
    rules = replace(asked.training, keep="last")
    assert after == replace(unjudged(before, rules, plain), continues=plain.picked)
    said = f"from scratch for {plain.epochs} epochs, in the end for {plain.more} on held-out images"
    assert said in plain.trained


def test_what_was_trained_on_all_images_is_tested_and_given_away(finished: Run) -> None:
    result = read_result(finished)
    assert result is not None
    again, given = stored_network(finished, result.winner.key), winner(finished).model
    assert all(map(torch.equal, again.state_dict().values(), given.state_dict().values()))
    with contextlib.closing(Session(finished, CPU)) as session:
        data = session.data
    assert len(data.with_held_out().train) == len(data.train) + len(data.held_out)
    both = torch.cat((data.train.tensor(), data.held_out.tensor()))
    assert torch.equal(data.with_held_out().train.tensor(), both)
    seen = evaluate(again, data.held_out, data, batch=512)
    first = evaluate(stored_network(finished, result.winner.picked), data.held_out, data, batch=512)
    assert (first.accuracy, first.loss) == (result.winner.accuracy, result.winner.loss)
    assert seen.loss != first.loss
    assert reproduce(finished, CPU, sample=1).holds


def test_broken_off_between_the_two_it_ends_the_same(finished: Run, tmp_path: Path) -> None:
    result = read_result(finished)
    assert result is not None
    run = replace(finished, folder=Path(shutil.copytree(finished.folder, tmp_path / "tiny")))
    (run.folder / "result.json").unlink()
    for network in (result.winner, result.all_global):
        (run.folder / "networks" / f"{network.key}.json").unlink()
    for _ in range(2):
        session = Session(run, CPU, BreaksOff(2))
        with contextlib.closing(session), contextlib.suppress(Broken):
            finish(session)
    with contextlib.closing(Session(run, CPU)) as session:
        again = finish(session)
    assert again == result
    assert (run.folder / "history.jsonl").read_bytes() == (
        finished.folder / "history.jsonl"
    ).read_bytes()


def test_a_process_that_joins_trains_on_all_images_too(finished: Run) -> None:
    result = read_result(finished)
    assert result is not None
    made_from = identity_of(finished, result.all_global.key)
    job = {"identity": made_from.to_dict(), "seed": finished.seed(f"training {made_from.key}")}
    with contextlib.closing(Session(finished, CPU)) as session:
        join_network(job, session.data, ONE_PROCESS)


def test_the_last_training_may_be_longer(tmp_path: Path, tiny: Plan) -> None:
    asked = replace(tiny.retrain, refit=True, refit_epochs=3, start="supernet", top=1)
    run = begin_run(tmp_path / "tiny", replace(tiny, retrain=asked))
    result = whole(run)
    for network in (result.winner, result.all_global):
        assert identity_of(run, network.key).training.epochs == network.more == 3
        assert network.trained.endswith("in the end for 3 on held-out images too")
        assert network.epochs != 3


def test_epochs_of_a_last_training_that_is_not_asked_for(tiny: Plan) -> None:
    for wrong in ({"refit_epochs": 3}, {"refit_epochs": -1, "refit": True}):
        with pytest.raises(InputError, match="refit_epochs must be >= 0, and 0 unless refit"):
            replace(tiny.retrain, **wrong)


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("averaged_wins", [False, True])
def test_nobody_judges_the_last_training_so_it_averages_only_if_that_was_better(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch, keep: str, averaged_wins: bool
) -> None:
    accuracies = itertools.cycle((0.5, 0.6 if averaged_wins else 0.4))  # plain, averaged
    monkeypatch.setattr(
        alone, "judge_of", lambda *_, **__: lambda net: Held(accuracy=next(accuracies), loss=1.0)
    )
    rules = replace(tiny.retrain.training, epochs=1, keep=keep)
    plan = replace(tiny, retrain=replace(tiny.retrain, training=rules, refit=True))
    run = begin_run(tmp_path / "tiny", plan)
    with contextlib.closing(Session(run, CPU)) as session:
        made, _ = retrain_network(session, plan.net.all_global(), "all-global")
        [(again, _)] = refit(session, {"all-global": made})
    assert made.kept is not None and made.kept.averaged is averaged_wins
    trained = identity_of(run, again.key)
    assert trained.training.ema == (rules.ema if averaged_wins else 0.0)
    assert (trained.averaging is not None) is averaged_wins
