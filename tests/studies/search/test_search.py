"""A whole search of a tiny plan: what it gives, and that breaking it off changes nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from hnas import data as images
from hnas.cost.flops import cost, plain_vit
from hnas.errors import CheckpointError, InputError, MismatchError, StateError, StorageError
from hnas.exchange.export import Network, load, save
from hnas.network.glit import Glit
from hnas.scoring.pairs import apart, packed
from hnas.scoring.score import evaluate
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import Baselines
from hnas.studies.plan.toml import to_toml
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.networks import stored_network, winner
from hnas.studies.run.result import read_result
from hnas.studies.run.split import read_split
from hnas.studies.search.events import Listener
from hnas.studies.search.finish import finish
from hnas.studies.search.handoff import handoff
from hnas.studies.search.retrain import retrain
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.trials.conditions import conditions_of
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.trial import records
from tests.support.broken_off import CPU, BreaksOff, Broken, kill_and_resume, outcome, whole


@pytest.fixture(scope="module")
def tiny(tiny) -> Plan:
    """With simple models."""
    return replace(tiny, baselines=Baselines())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny) -> Run:
    run = begin_run(tmp_path_factory.mktemp("runs") / "tiny", tiny)
    whole(run)
    return run


def test_both_stages_are_full_distinct_and_within_the_budget(finished, tiny):
    session = Session(finished, CPU)
    for stage, trials in ((1, 12), (2, 11)):
        found = records(session.study(stage))
        assert len(found) == len({r.arch for r in found}) == trials
        for record in found:
            assert cost(tiny.net, record.arch).macs == record.macs <= tiny.budget()


def test_a_session_opens_each_study_once(finished):
    session = Session(finished, CPU)
    first, second = session.study(1), session.study(2)
    assert session.study(1) is first is not second is session.study(2)
    session.close()
    assert session.study(1) is not first  # its connections were closed
    session.close()


def test_stage_2_keeps_the_distribution_of_stage_1s_best(finished):
    session = Session(finished, CPU)
    first = records(session.study(1))
    best = max(first, key=lambda r: (r.accuracy, -r.macs))
    given = handoff(session)
    assert given == best.arch
    for record in records(session.study(2)):
        assert [b.G for b in record.arch.blocks] == [b.G for b in best.arch.blocks]


def test_the_handoff_stands_in_both_studies_and_links_them(finished):
    session = Session(finished, CPU)
    one, two = (session.study(s).user_attrs["handoff"] for s in (1, 2))
    assert one["to"] == "tiny-stage2" and two["from"] == "tiny-stage1"
    assert one["trial"] == two["trial"] and one["arch"] == two["arch"] and one["rule"] == "score"


def test_a_handoff_that_cannot_be_stored_is_told_and_made_again(tmp_path, tiny, monkeypatch):
    run = begin_run(tmp_path / "tiny", tiny)

    def full(*_: object) -> None:
        cause = OperationalError("INSERT", {}, sqlite3.OperationalError("disk is full"))
        raise StorageInternalError("An exception is raised during the commit.") from cause

    with run.hold(), contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
        with monkeypatch.context() as patched:
            patched.setattr("hnas.studies.trials.study.write_attribute", full)
            with pytest.raises(StorageError, match=r"'handoff' of .* stored: disk is full"):
                handoff(session)
        assert "handoff" not in session.study(1).user_attrs
        assert handoff(session) == best_by_score(records(session.study(1)), 1)[0].arch


def test_the_result_is_the_best_retrained_beside_a_plain_network_of_equal_flops(finished, tiny):
    result = finished.read("result.json")
    candidates = result["candidates"]
    assert len(candidates) == 2
    assert result["winner"]["accuracy"] == max(c["accuracy"] for c in candidates)
    plain = result["all_global"]
    assert all(b["G"] == 3 and b["d_z"] == 4 for b in plain["arch"]["blocks"])
    assert plain["frame"]["d"] == plain_vit(tiny.net, result["winner"]["macs"])[0].d
    for network in (plain, result["winner"]):
        assert 0 <= network["test_accuracy"] <= 1


def test_the_test_images_are_tested_and_no_others(finished):
    """By hand: the digits as scikit-learn has them, by the rows of split.json."""
    result, split = read_result(finished), read_split(finished)
    rows = set(split.test.tolist())
    assert not rows & {*split.train.tolist(), *split.held_out.tolist()}
    assert len(rows) == result.test_images
    with contextlib.closing(Session(finished, CPU)) as session:
        data = session.data
    source = images.load(finished.plan.data.source, image=8, channels=1).train
    shown = images.normalise(source.tensor()[split.test], data.mean, data.std)
    labels = source.labels[split.test]
    for network in (result.winner, result.all_global):
        given = stored_network(finished, network.key)(shown).argmax(-1)
        right = [int((given == labels)[labels == c].sum()) for c in range(10)]
        assert right == [network.confusion.right(c) for c in range(10)]
        assert sum(right) / len(rows) == pytest.approx(network.test_accuracy)


@pytest.mark.parametrize("metric", ["balanced", "top5"])
def test_another_metric(tmp_path, tiny, metric):
    """Trials, held-out, test and simple models are all measured by it; so is a resumed search."""
    plan = override(tiny, trials=4)
    run = begin_run(tmp_path / metric, replace(plan, score=replace(plan.score, metric=metric)))
    result = whole(run)
    with contextlib.closing(Session(run, CPU)) as session:
        found = records(session.study(2))
        assert conditions_of(session.study(2)).scorer["metric"] == metric
    assert result.metric == metric and len(found) == 4
    assert all((one.error is None) == (metric == "top5") for one in found)
    assert (result.winner.test_error is None) == (metric == "top5")
    least = {"balanced": 0.05, "top5": 0.5}[metric]
    assert min(one.accuracy for one in found) >= least
    assert result.baselines[0].test_accuracy == {"balanced": 0.1, "top5": 0.5}[metric]
    with pytest.raises(MismatchError, match=r"score\.metric"):
        begin_run(run.folder, plan)


def test_the_images_of_each_class_are_counted(finished):
    result = read_result(finished)
    for network in (result.winner, result.all_global):
        found = network.confusion
        right = sum(map(found.right, range(10)))
        assert found.images == result.test_images == 60
        assert right / 60 == pytest.approx(network.test_accuracy)
        assert [found.of_class(c) for c in range(10)] == [6] * 10


def test_networks_are_compared_image_by_image(finished):
    result, session = read_result(finished), Session(finished, CPU)
    gap = result.winner.test_accuracy - result.all_global.test_accuracy
    assert result.apart[0] - result.apart[1] == round(gap * 60)
    assert "Of the test images, the winner alone is right on " in result.pairs()
    images = len(session.data.held_out)
    none = packed(np.zeros(images, dtype=bool))
    for one in (*records(session.study(1)), *records(session.study(2)), *result.candidates):
        assert apart(one.right, none) == (round(one.accuracy * images), 0)


def test_simple_models_stand_beside_the_answer(finished):
    found = finished.read("result.json")["baselines"]
    assert [one["name"] for one in found][1] == "k-NN" and len(found) == 5
    assert {one["images"] for one in found} == {240}  # all but the 60 to test


@pytest.mark.parametrize(
    ("most", "reason"),
    [
        (0, ""),
        (
            239,
            "No simple models were fitted: 240 images are more than the plan's "
            "baselines.images = 239.",
        ),
        (240, None),
    ],
)
def test_simple_models_are_left_out_for_a_reason(finished, tmp_path, most, reason):
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy)
    (copy / "result.json").unlink()
    plan = replace(finished.plan, baselines=Baselines(images=most))
    whole(begin_run(copy, plan), Listener())
    result = read_result(begin_run(copy, plan))
    assert result.no_baselines == (reason or "") and len(result.baselines) == 5 * (reason is None)


def test_stock_optuna_reads_both_studies(finished):
    for stage in (1, 2):
        name = finished.study_name(stage)
        study = optuna.load_study(study_name=name, storage=finished.storage)
        assert study.metric_names == ["held-out accuracy", "FLOPs (MACs)"]
        assert {"arch", "macs", "params", "loss", "seconds"} <= set(study.trials[0].user_attrs)
        assert study.best_trials


def test_a_finished_run_does_nothing_again(finished, monkeypatch):
    before = outcome(finished)
    seen = []
    listener = Listener()
    monkeypatch.setattr(listener, "epoch", lambda *a: seen.append(a))
    monkeypatch.setattr(listener, "trial", lambda *a: seen.append(a))
    whole(finished, listener)
    assert not seen and outcome(finished) == before


def test_the_test_images_are_read_once_and_only_at_the_end(tmp_path, tiny, monkeypatch):
    """Invariant 3."""
    import hnas.studies.search.finish

    reads = []

    def counted(*args, **kwargs):
        reads.append(kwargs["split"])
        return images.test_images(*args, **kwargs)

    monkeypatch.setattr(hnas.studies.search.finish, "test_images", counted)
    run = begin_run(tmp_path / "tiny", tiny)
    session = Session(run, CPU)
    search_stage(session, 1), search_stage(session, 2), retrain(session)
    assert not reads
    finish(session), finish(session), finish(Session(run, CPU))
    assert len(reads) == 1
    split = reads[0]
    assert not {*split.test} & {*split.train, *split.held_out}
    assert not {*split.held_out} & {*split.train}


def test_broken_off_at_every_few_events_it_ends_as_the_unbroken_one(finished, tmp_path, tiny):
    """Invariants 5 to 7: supernets, trials, hand-off, retrained weights, result."""
    run = begin_run(tmp_path / "tiny", tiny)
    breaks = 0
    for n in (2, 1, 3, 6, 9, 4, 1, 7, 8, 3, 5, 2, 2, 3, 100):
        try:
            whole(run, BreaksOff(n))
            break
        except Broken:
            breaks += 1
    assert breaks >= 6
    assert outcome(run) == outcome(finished)


def test_kill_9_at_any_moment_loses_nothing(finished, tmp_path, tiny):
    plan = tmp_path / "plan.toml"
    plan.write_text(to_toml(tiny))
    kill_and_resume(plan, tmp_path / "tiny", kills=5, most=6)
    run = begin_run(tmp_path / "tiny", tiny)
    assert outcome(run) == outcome(finished)


def test_postgresql_holds_the_same_trials(finished, tmp_path, tiny, database):
    run = begin_run(tmp_path / "tiny", tiny, storage=database)
    for n in (9, 100):
        with contextlib.suppress(Broken):
            whole(run, BreaksOff(n))
    assert outcome(run) == outcome(finished)
    assert not (run.folder / "study.db").exists()


def test_the_seed_decides(tmp_path, tiny, finished):
    run = begin_run(tmp_path / "other", override(tiny, seed=1))
    whole(run)
    assert outcome(run)["trials"] != outcome(finished)["trials"]


def test_the_papers_rule_hands_over_the_best_retrained(tmp_path, tiny):
    plan = replace(tiny, handoff=replace(tiny.handoff, rule="retrained", top=3))
    run = begin_run(tmp_path / "tiny", plan)
    session = Session(run, CPU)
    search_stage(session, 1)
    given = handoff(session)
    attribute = session.study(1).user_attrs["handoff"]
    retrained = attribute["retrained"]
    assert len(retrained) == 3
    assert retrained[str(attribute["trial"])] == max(retrained.values())
    assert given in {r.arch for r in records(session.study(1))}


def test_stage_2_says_that_stage_1_is_not_finished(tmp_path, tiny):
    session = Session(begin_run(tmp_path / "tiny", tiny), CPU)
    with pytest.raises(StateError, match=r"has 0 of 12 trials. Run: hnas search --stage 1 --run"):
        search_stage(session, 2)
    with pytest.raises(StateError, match=r"retraining needs a finished stage 2"):
        retrain(session)
    with pytest.raises(StateError, match=r"no result yet. Finish it"):
        winner(session.run)


def test_scores_of_another_supernet_are_refused(tmp_path, tiny, finished):
    run = begin_run(tmp_path / "tiny", tiny)
    session = Session(run, CPU)
    search_stage(session, 1)
    again = Session(run, CPU)
    with torch.no_grad():
        supernet(again, 1).head.bias += 1
    with pytest.raises(MismatchError, match=r"scorer.supernet: stored '\w+', asked '\w+'"):
        search_stage(again, 1)


def test_a_damaged_supernet_is_trained_on_from_the_version_before(tmp_path, tiny, finished):
    run = begin_run(tmp_path / "tiny", tiny)
    with pytest.raises(Broken):
        whole(run, BreaksOff(4))
    index = json.loads((run.folder / "checkpoints" / "supernet1.json").read_text())
    file = run.folder / "checkpoints" / index["versions"][0]["file"]
    file.write_bytes(file.read_bytes()[:1000])
    if len(index["versions"]) == 1:  # so quick that only the last epoch was written
        with pytest.raises(CheckpointError, match=file.name):
            whole(run)
    else:
        notes = []
        listener = Listener()
        listener.note = notes.append
        whole(run, listener)
        assert any(file.name in note for note in notes)
        assert outcome(run) == outcome(finished)


def test_other_images_are_refused(tmp_path, tiny):
    run = begin_run(tmp_path / "tiny", tiny)
    assert len(Session(run, CPU).data.train)
    recorded = run.read("split.json")
    recorded["train"], recorded["held_out"] = recorded["held_out"], recorded["train"]
    run.write("split.json", recorded)
    with pytest.raises(MismatchError, match=r"not those that the run .* was begun with"):
        _ = Session(run, CPU).data


def test_the_number_of_classes_must_fit(tmp_path, tiny):
    plan = replace(tiny, net=replace(tiny.net, classes=7))
    with pytest.raises(InputError, match=r"net.classes must be .* 10 in 'digits', got 7"):
        search_stage(Session(begin_run(tmp_path / "tiny", plan), CPU), 1)


def test_the_winner_can_be_taken_away(finished, tmp_path):
    network = winner(finished)
    save(network, tmp_path / "net")
    other = replace(finished.plan.retrain.training, epochs=99)
    plan = replace(finished.plan, retrain=replace(finished.plan.retrain, training=other))
    changed = replace(finished, plan=plan)
    save(winner(changed), tmp_path / "same")  # as it was trained, whatever the plan says now
    assert (tmp_path / "same.safetensors").read_bytes() == (
        tmp_path / "net.safetensors"
    ).read_bytes()
    again = load(tmp_path / "net")
    data = Session(finished, CPU).data
    found = evaluate(again.model, data.held_out, data, batch=512)
    assert found.accuracy == read_result(finished).winner.accuracy
    assert again.classes == data.classes
    assert (again.mean, again.std) == (tuple(data.mean.tolist()), tuple(data.std.tolist()))


def test_a_supernet_can_start_from_a_network_that_was_brought_in(tmp_path, tiny):
    """The untrained supernet's all-global subnet is the ViT whose weights it started from."""
    arch = tiny.net.all_global()
    source = Glit(tiny.net, arch).reset(7).eval()
    save(Network(model=source, classes=("a",) * 10, mean=(0.0,), std=(1.0,)), tmp_path / "vit")
    slow = replace(tiny.stage1.training, epochs=1, lr=1e-12, weight_decay=0.0)
    stage1 = replace(tiny.stage1, training=slow, init_from=str(tmp_path / "vit"))
    run = begin_run(tmp_path / "run", replace(tiny, stage1=stage1))
    session = Session(run, CPU)
    net, x = supernet(session, 1), session.data.held_out.pixels / 255
    with torch.no_grad():
        torch.testing.assert_close(net(x, arch), source(x), rtol=1e-3, atol=1e-3)
    other = Network(model=source.reset(8), classes=("a",) * 10, mean=(0.0,), std=(1.0,))
    save(other, tmp_path / "vit", force=True)
    with pytest.raises(CheckpointError, match="initial weights: stored"):
        supernet(Session(run, CPU), 1)
