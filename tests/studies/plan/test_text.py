"""Plans as text to edit: comments stay, and the text is the plan."""

from __future__ import annotations

import pytest

from hnas.studies.plan.change import override, with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.text import commented, edited
from hnas.studies.plan.toml import PRESETS, from_toml, load_preset, preset_text


@pytest.fixture
def changed() -> Plan:
    values = {
        "stage1.training.lr": 1e-4,
        "retrain.training.ema": 0.99,
        "net.local": "attention",
        "stage1.K": 5,
        "stage2.K": [3, 5],
        "search.params": "200K",
        "search.flops": "2.9M",
        "retrain.distillation.teacher": 'a "b" # c',
    }
    return override(with_values(load_preset("digits"), values), trials=7)


@pytest.mark.parametrize("name", PRESETS)
def test_every_key_has_a_comment(name: str) -> None:
    plan = load_preset(name)
    text = commented(plan)
    assert from_toml(text) == plan
    seen = set()
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        if line.startswith(("[", " ", "#")) or not line or key in seen:
            continue
        seen.add(key)
        assert "  # " in line or " # " in line, line
    assert {"d_k", "lr", "crop", "held_out", "teacher"} <= seen
    assert "# params =              # Most learned parameters; unset: no limit\n" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", PRESETS)
def test_a_text_with_its_own_values_is_itself(name: str) -> None:
    assert edited(preset_text(name), load_preset(name)) == preset_text(name)


def test_only_what_changes_is_written(changed: Plan) -> None:
    text = edited(preset_text("digits"), changed)
    assert from_toml(text) == changed
    before, after = preset_text("digits").splitlines(), text.splitlines()
    assert [line for line in after if line not in before] == [
        'local = "attention"     # of local heads, on the grid of patches; "conv1d" is the '
        "paper's, on tokens",
        "K = 5                   # odd, in patches a side",
        "trials = 7              # architectures scored",
        "lr = 0.0001",
        "K = [3, 5]",
        "trials = 7",
        "flops = 2900000         # most multiply-accumulates of one image; unset: the all-global "
        "network's",
        "params = 200000",
        "ema = 0.99",
        "[retrain.distillation]",
        'teacher = "a \\"b\\" # c"',
    ]


def test_and_back(changed: Plan) -> None:
    plan = load_preset("digits")
    assert from_toml(edited(edited(preset_text("digits"), changed), plan)) == plan
