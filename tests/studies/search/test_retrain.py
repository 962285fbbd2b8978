"""Retraining: what a network's key depends on, and that older runs' networks are read."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hnas.architecture.arch import Arch
from hnas.errors import CheckpointError, MismatchError, StateError
from hnas.exchange.export import Network, save
from hnas.network.glit import Glit
from hnas.settings import DistillationRules
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.networks import identity_of, network_path, stored_network
from hnas.studies.search.retrain import _latency, retrain_network
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import join_network
from hnas.training import checkpoint
from hnas.training.processes import ONE_PROCESS
from tests.support.fake_latency import fake_table

OLD = """
{"versions": [{"file": "a9e9aae1219f-8a1af135f18f42d5.safetensors",
  "sha256": "8a1af135f18f42d5ae36b985a7d4476e93062fdea21241305c8b6fe30ba2d80f",
  "meta": {"epoch": 2, "identity": {
    "frame": {"image": 8, "channels": 1, "patch": 4, "classes": 10, "d": 12, "M": 3, "N": 3,
      "heads": 1, "activation": "swish"},
    "arch": {"blocks": [{"G": 3, "L": 0, "d_k": 12, "d_z": 4},
      {"G": 3, "L": 0, "d_k": 12, "d_z": 4}, {"G": 3, "L": 0, "d_k": 12, "d_z": 4}]},
    "training": {"epochs": 2, "batch": 64, "lr": 0.003, "warmup": 0.05, "weight_decay": 0.05,
      "label_smoothing": 0.0, "dropout": 0.0, "drop_path": 0.1, "ema": 0.0, "clip": 1.0},
    "augment": {"shift": 0, "flip": false, "rotate": 0.0, "erase": 0.0},
    "split": "6caa5549c28bd124", "seed": 0}}}]}
"""
"""networks/a9e9aae1219f.json of the all-global network of `run`, as hnas wrote it before mixup,
cutmix and repeats were."""
KEY = "a9e9aae1219f"


CPU = torch.device("cpu")


@pytest.fixture
def run(tmp_path, tiny: Plan) -> Run:
    """Without averaged weights: networks with them are others since their decay warms up."""
    rules = replace(tiny.retrain, training=replace(tiny.retrain.training, ema=0.0))
    return begin_run(tmp_path / "tiny", replace(tiny, retrain=rules))


def train_all_global(run: Run) -> tuple[str, Glit]:
    with contextlib.closing(Session(run, CPU)) as session:
        made, net = retrain_network(session, run.plan.net.all_global(), "all-global")
        return made.key, net


def same(a: Glit, b: Glit) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_network_trained_before_there_were_later_rules_is_the_same_still(run: Run) -> None:
    assert train_all_global(run)[0] == KEY
    index = run.read(f"networks/{KEY}.json")
    [old] = json.loads(OLD)["versions"]
    found = index["versions"][0]["meta"]["identity"]
    assert found.pop("images")  # kept beside what the key is made of
    assert found == old["meta"]["identity"]


def test_another_rule_is_another_network(run: Run) -> None:
    rules = run.plan.retrain
    mixed = replace(rules, training=replace(rules.training, mixup=0.8))
    key, net = train_all_global(replace(run, plan=replace(run.plan, retrain=mixed)))
    assert key != KEY
    assert same(stored_network(run, key), net)  # as it was trained, whatever the plan says


def test_a_network_without_a_usable_index_is_told(run: Run) -> None:
    run.write(f"networks/{KEY}.json", {"versions": []})
    message = rf"no usable networks/{KEY}.json \(IndexError.*\)\. Restore"
    with pytest.raises(StateError, match=message):
        stored_network(run, KEY)


def test_a_width_has_the_latency_of_the_network_that_was_measured(tiny: Plan) -> None:
    """The comparison of equal FLOPs may have queries and keys of another width."""
    table, wide = fake_table(tiny.space1(), tiny.space2()), replace(tiny.net, d=6)
    session: Any = SimpleNamespace(plan=tiny, costs=SimpleNamespace(table=table))
    measured = wide.all_global()
    assert _latency(session, wide, measured) == table.plain[6]
    thin = Arch(tuple(replace(block, d_k=3) for block in measured.blocks))
    assert _latency(session, wide, thin) is None
    unmeasured = replace(tiny.net, d=24)
    assert _latency(session, unmeasured, unmeasured.all_global()) is None
    assert _latency(session, tiny.net, tiny.net.all_global()) == table.of(tiny.net.all_global())


# With a teacher


def write_teacher(run: Run, seed: int) -> None:
    net = Glit(run.plan.net, run.plan.net.all_global()).reset(seed).eval()
    network = Network(model=net, classes=tuple("0123456789"), mean=(0.3,), std=(0.4,))
    save(network, run.folder / "teacher", force=True)


@pytest.fixture
def taught(run: Run) -> Run:
    write_teacher(run, seed=3)
    rules = DistillationRules(teacher=str(run.folder / "teacher"))
    plan = replace(run.plan, retrain=replace(run.plan.retrain, distillation=rules))
    return replace(run, plan=plan)


def test_the_teacher_is_part_of_what_a_network_is_and_of_no_checkpoint(
    run: Run, taught: Run
) -> None:
    key, net = train_all_global(taught)
    alone, plain = train_all_global(run)
    assert alone == KEY != key and not same(net, plain)
    tensors = [checkpoint.load(network_path(taught, name)).tensors.keys() for name in (key, alone)]
    assert tensors[0] == tensors[1]
    write_teacher(taught, seed=4)
    assert train_all_global(taught)[0] not in (key, alone)


def test_a_finished_network_needs_its_teacher_no_more(taught: Run) -> None:
    key, net = train_all_global(taught)
    (taught.folder / "teacher.json").unlink()
    assert same(stored_network(taught, key), net)


def test_an_unfinished_network_is_not_given_out(taught: Run) -> None:
    key, _ = train_all_global(taught)
    path = network_path(taught, key)
    done = checkpoint.load(path)
    checkpoint.save(path, done.tensors, {**done.meta, "epoch": 1, "ended": False})
    message = (
        rf"has not all of the network {key}: .* 1 of 2 epochs are kept\. Restore it, or delete"
    )
    with pytest.raises(StateError, match=message):
        stored_network(taught, key)


def test_a_process_that_joins_needs_the_very_same_teacher(taught: Run) -> None:
    key, _ = train_all_global(taught)
    made_from = identity_of(taught, key)
    assert made_from.key == key
    with contextlib.closing(Session(taught, CPU)) as session:
        data = session.data
    job = {"identity": made_from.to_dict(), "seed": taught.seed(f"training {key}")}
    join_network(job, data, ONE_PROCESS)
    write_teacher(taught, seed=4)
    with pytest.raises(MismatchError, match="is not the one of the first process: its weights"):
        join_network(job, data, ONE_PROCESS)
    (taught.folder / "teacher.json").unlink()
    with pytest.raises(CheckpointError, match=r"teacher\.json cannot be read"):
        join_network(job, data, ONE_PROCESS)


def test_a_teacher_that_is_missing_is_told_before_anything_is_trained(taught: Run) -> None:
    (taught.folder / "teacher.json").unlink()
    with (
        contextlib.closing(Session(taught, CPU)) as session,
        pytest.raises(CheckpointError, match=r"teacher\.json cannot be read: No such file"),
    ):
        search_stage(session, 1)
    assert not (taught.folder / "checkpoints").exists()
