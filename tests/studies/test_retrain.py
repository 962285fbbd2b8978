"""Retraining: what a network's key depends on, and that older runs' networks are read."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
import torch

from hnas.errors import StateError
from hnas.rules import TrainingRules
from studies.plan import Plan
from studies.retrain import rules_of
from studies.run import Run, begin_run
from studies.search import Search

OLD = """
{"versions": [{"file": "50a64ed77695-8a1af135f18f42d5.safetensors",
  "sha256": "8a1af135f18f42d5ae36b985a7d4476e93062fdea21241305c8b6fe30ba2d80f",
  "meta": {"epoch": 2, "identity": {
    "frame": {"image": 8, "channels": 1, "patch": 4, "classes": 10, "d": 12, "M": 3, "N": 3,
      "heads": 1, "activation": "swish"},
    "arch": {"blocks": [{"G": 3, "L": 0, "d_k": 12, "d_z": 4},
      {"G": 3, "L": 0, "d_k": 12, "d_z": 4}, {"G": 3, "L": 0, "d_k": 12, "d_z": 4}]},
    "training": {"epochs": 2, "batch": 64, "lr": 0.003, "warmup": 0.05, "weight_decay": 0.05,
      "label_smoothing": 0.0, "dropout": 0.0, "drop_path": 0.1, "ema": 0.9, "clip": 1.0},
    "augment": {"shift": 0, "flip": false, "rotate": 0.0, "erase": 0.0},
    "split": "6caa5549c28bd124", "seed": 0}}}]}
"""
"""networks/50a64ed77695.json of the all-global network of `tiny`, as hnas wrote it before mixup,
cutmix and repeats were."""
KEY = "50a64ed77695"


@pytest.fixture
def run(tmp_path, tiny: Plan) -> Run:
    return begin_run(tmp_path / "tiny", tiny)


def train_all_global(run: Run) -> str:
    with contextlib.closing(Search(run, torch.device("cpu"))) as search:
        return search._alone(run.plan.net.all_global(), "all-global")[0].key


def test_a_network_trained_before_there_were_later_rules_is_the_same_still(run: Run) -> None:
    assert train_all_global(run) == KEY
    index = json.loads((run.folder / "networks" / f"{KEY}.json").read_text())
    [old] = json.loads(OLD)["versions"]
    assert index["versions"][0]["meta"] == old["meta"]


def test_another_rule_is_another_network(run: Run) -> None:
    rules = replace(run.plan.retrain, training=replace(run.plan.retrain.training, mixup=0.8))
    other = replace(run, plan=replace(run.plan, retrain=rules))
    key = train_all_global(other)
    assert key != KEY
    assert rules_of(run, key).training == rules.training


def test_the_rules_of_an_older_network_are_read(run: Run) -> None:
    run.write(f"networks/{KEY}.json", json.loads(OLD))
    rules = rules_of(run, KEY)
    assert (rules.training, rules.augment) == (
        run.plan.retrain.training,
        run.plan.retrain.augment,
    )
    assert rules.training == TrainingRules(epochs=2, batch=64, lr=3e-3, ema=0.9, drop_path=0.1)


def test_a_network_without_usable_rules_is_told(run: Run) -> None:
    run.write(f"networks/{KEY}.json", {"versions": []})
    with pytest.raises(
        StateError, match=rf"no usable networks/{KEY}.json \(IndexError\)\. Restore"
    ):
        rules_of(run, KEY)
