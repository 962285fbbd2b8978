"""Plans as TOML: reading, writing, presets, and the message for every mistake."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.settings import AugmentRules, DataRules, ScoreRules
from hnas.studies.plan.tables import Handoff, Search
from hnas.studies.plan.toml import PRESETS, from_toml, load_plan, load_preset, preset_text, to_toml
from tests.support.plans import MINIMAL, edited


def test_what_is_left_out_takes_its_default() -> None:
    plan = from_toml(MINIMAL)
    assert plan.net == Frame(image=8, channels=1, patch=2, classes=10, d=48, M=2, N=3)
    assert (plan.stage1.d_z, plan.stage1.E) == (4, 1)
    assert plan.stage2.K == (9, 17)
    assert (plan.stage1.training.epochs, plan.stage2.training.epochs) == (1, 2)
    assert plan.data == DataRules()
    assert plan.augment == plan.retrain.augment == AugmentRules()
    assert plan.score == ScoreRules()
    assert plan.search == Search(flops=None, seed=0)
    assert plan.handoff == Handoff(rule="score", top=5) and plan.retrain.top == 5


def test_a_whole_number_does_for_a_fraction() -> None:
    plan = from_toml(edited("{ epochs = 1 }", "{ epochs = 1, lr = 1 }"))
    assert type(plan.stage1.training.lr) is float


MISTAKES = {
    "not TOML": ("d = 48", "d = ", "a plan must be TOML: Invalid value (at line 7, column 5)"),
    "unknown table": (
        "[retrain]",
        "[retrian]",
        "retrian is not part of a plan; did you mean 'retrain'? Known: data, net, pretrained, "
        "augment, stage1, stage2, refine, score, search, handoff, retrain, baselines",
    ),
    "unknown key": (
        "population = 2\ntraining = { epochs = 1 }",
        "popluation = 2",
        "stage1.popluation is not part of a plan; did you mean 'population'? "
        "Known: d_k, d_z, E, K, trials, population, training, init_from, "
        "sampler, skip",
    ),
    "unknown key, nothing like it": (
        "{ epochs = 1 }",
        "{ epochs = 1, zzz = 3 }",
        "stage1.training.zzz is not part of a plan; Known: epochs, batch, lr, warmup, "
        "weight_decay, label_smoothing, dropout, drop_path, ema, clip, mixup, cutmix, repeats, "
        "micro_batch, subnets, keep, patience, layer_decay, head_warmup, initial, class_weights, "
        "precision, compile",
    ),
    "missing table": (
        "[retrain]\ntraining = { epochs = 3 }",
        "",
        "retrain is needed and is missing",
    ),
    "missing key": ("{ epochs = 3 }", "{}", "retrain.training.epochs is needed and is missing"),
    "no table": ("{ epochs = 3 }", "3", "retrain.training must be a table, got 3"),
    "text for a number": ("M = 2", 'M = "2"', "net.M must be a whole number, got '2'"),
    "truth for a number": ("M = 2", "M = true", "net.M must be a whole number, got True"),
    "fraction for a number": ("M = 2", "M = 2.0", "net.M must be a whole number, got 2.0"),
    "text for a fraction": (
        "{ epochs = 3 }",
        '{ epochs = 3, lr = "fast" }',
        "retrain.training.lr must be a number, got 'fast'",
    ),
    "infinite": (
        "{ epochs = 3 }",
        "{ epochs = 3, lr = inf }",
        "retrain.training.lr must be a number, got inf",
    ),
    "number for truth": (
        "[net]",
        "augment = { flip = 1 }\n[net]",
        "augment.flip must be true or false, got 1",
    ),
    "number for text": (
        "[net]",
        "data = { source = 1 }\n[net]",
        "data.source must be text in quotes, got 1",
    ),
    "number for a list": (
        "E = [1, 2]",
        "E = 1",
        "stage2.E must be a list of whole numbers, got 1",
    ),
    "fractions in a list": (
        "E = [1, 2]",
        "E = [1, 2.5]",
        "stage2.E must be a list of whole numbers, got [1, 2.5]",
    ),
    "rule of training": (
        "{ epochs = 1 }",
        "{ epochs = 0 }",
        "stage1.training.epochs must be >= 1, got 0",
    ),
    "rule of the frame": ("patch = 2", "patch = 3", "net.patch must divide image=8, got patch=3"),
    "rule of the activation": (
        "N = 3",
        'N = 3\nactivation = "relu"',
        "net.activation must be one of ('swish', 'gelu'), got 'relu'",
    ),
    "no trials": (
        "trials = 4\npopulation = 2\ntraining = { epochs = 1 }",
        "trials = 0\npopulation = 2\ntraining = { epochs = 1 }",
        "stage1.trials must be >= 1, got 0",
    ),
    "no parents": (
        "population = 2\ntraining = { epochs = 2 }",
        "population = 1\ntraining = { epochs = 2 }",
        "stage2.population must be >= 2 (a child has two parents), got 1",
    ),
    "no candidates": (
        "E = [1, 2]",
        "E = []",
        "stage2.E must be distinct candidates, at least one, got []",
    ),
    "same candidate twice": (
        "E = [1, 2]",
        "E = [1, 1]",
        "stage2.E must be distinct candidates, at least one, got [1, 1]",
    ),
    "size of stage 1": (
        "d_k = 48",
        "d_k = 47",
        "stage1.d_k must be a multiple of N x heads = 3, got 47",
    ),
    "size of stage 2": (
        "d_k = [24, 48]",
        "d_k = [25, 48]",
        "stage2.d_k must be a multiple of N x heads = 3, got 25",
    ),
    "even kernel": (
        "K = [9, 17]",
        "K = [8, 17]",
        "stage2.K must be odd (the kernel has a centre), got 8",
    ),
    "stage 2 below stage 1": (
        "K = [9, 17]",
        "K = [5, 9]",
        "stage2.K must reach stage1.K = 17 (stage 2's supernet grows out of stage 1's), got [5, 9]",
    ),
    "unreadable budget": (
        "[net]",
        'search = { flops = "1.3X" }\n[net]',
        "search.flops must be a whole number of multiply-accumulates >= 1, or text with K, M, G "
        'or T behind the number, such as "250M" or "1.3G"; got \'1.3X\'',
    ),
    "seed": (
        "[net]",
        "search = { seed = -1 }\n[net]",
        "search.seed must be in [0, 2^32), got -1",
    ),
    "hand-off": (
        "[net]",
        'handoff = { rule = "best" }\n[net]',
        "handoff.rule must be one of ('score', 'retrained'), got 'best'",
    ),
    "nothing handed off": (
        "[net]",
        "handoff = { top = 0 }\n[net]",
        "handoff.top must be >= 1, got 0",
    ),
    "distillation": (
        "[retrain]",
        '[retrain]\ndistillation = { rule = "harder" }',
        "retrain.distillation.rule must be one of hard, soft, soft-deit, got 'harder'",
    ),
    "repeats": (
        "{ epochs = 3 }",
        "{ epochs = 3, batch = 4, repeats = 5 }",
        "retrain.training.repeats must be 1 to batch=4, got 5",
    ),
    "rule of subnets": (
        "training = { epochs = 1 }",
        'training = { epochs = 1, subnets = "all" }',
        "stage1.training.subnets must be one of uniform, sandwich, fair, near, got 'all'",
    ),
    "subnets of one network": (
        "{ epochs = 3 }",
        '{ epochs = 3, subnets = "fair" }',
        "retrain.training.subnets is for a supernet: a network trained alone has no subnets, "
        "got 'fair'",
    ),
    "best epoch of supernet 1": (
        "{ epochs = 1 }",
        '{ epochs = 1, keep = "best" }',
        "stage1.training.keep is for a network trained alone: of a supernet the last epoch is "
        "kept, got 'best'",
    ),
    "best epoch of supernet 2": (
        "{ epochs = 2 }",
        '{ epochs = 2, keep = "best" }',
        "stage2.training.keep is for a network trained alone: of a supernet the last epoch is "
        "kept, got 'best'",
    ),
    "time without a unit": (
        "[net]",
        'search = { objective = "latency", latency = "2.5" }\n[net]',
        'search.latency must be a time with its unit, ns, us, ms or s, such as "2.5ms"; got '
        "'2.5'",
    ),
    "nothing retrained": ("[retrain]", "[retrain]\ntop = 0", "retrain.top must be >= 1, got 0"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_toml(edited(old, new))
    assert str(caught.value) == message


def test_nested_beyond_reason_is_a_mistake_too() -> None:
    with pytest.raises(InputError, match=r"^a plan must be TOML: "):
        from_toml("a = " + "[" * 100_000)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(MINIMAL, "utf-8-sig")  # as some editors write it
    assert load_plan(path) == from_toml(MINIMAL)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(edited("M = 2", "M = 0"))
    with pytest.raises(InputError) as caught:
        load_plan(path)
    assert str(caught.value) == f"{path}: net.M must be a whole number >= 1, got 0"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_plan(tmp_path / "none")
    assert str(caught.value) == (
        f"the plan {tmp_path / 'none'} cannot be read: No such file or directory"
    )
    with pytest.raises(InputError, match=r"cannot be read: Is a directory$"):
        load_plan(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"must be UTF-8 text$"):
        load_plan(tmp_path / "binary")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_being_written(name: str) -> None:
    plan = load_preset(name)
    assert from_toml(to_toml(plan)) == plan


@given(
    source=st.text(st.characters(codec="utf-8"), min_size=1),
    held_out=st.floats(1e-9, 1, exclude_max=True),
    flops=st.none() | st.integers(10**6, 10**17),
    flip=st.booleans(),
)
def test_any_value_survives_being_written(
    source: str, held_out: float, flops: int | None, flip: bool
) -> None:
    plan = dataclasses.replace(
        from_toml(MINIMAL),
        data=DataRules(source=source, held_out=held_out),
        search=Search(flops=flops),
        augment=AugmentRules(flip=flip),
    )
    assert from_toml(to_toml(plan)) == plan


def test_characters_that_toml_does_not_take_as_they_are_survive(tmp_path: Path) -> None:
    """TOML forbids DEL, which JSON writes as it is."""
    name = "a\x7f\x00\u2028\"'\\ü"
    plan = dataclasses.replace(from_toml(MINIMAL), data=DataRules(source=name))
    assert from_toml(to_toml(plan)).data.source == name


def test_a_budget_and_a_time_are_read_as_people_write_them() -> None:
    text = 'search = { flops = "1.5M", params = "80K", latency = "2500 us" }\n[net]'
    found = from_toml(edited("[net]", text)).search
    assert (found.flops, found.params, found.latency) == (1_500_000, 80_000, "2.5ms")


def test_every_default_is_written_out() -> None:
    def leaves(value: Any) -> int:
        return sum(map(leaves, value.values())) if isinstance(value, dict) else 1

    plan = from_toml(MINIMAL)
    written = tomllib.loads(to_toml(plan))
    unset = 2  # search.flops, search.params
    assert leaves(written) == leaves(dataclasses.asdict(plan)) - unset


def test_presets_are_the_files_there_are(root: Path) -> None:
    assert {path.stem for path in (root / "studies/plan/presets").iterdir()} == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is_for_and_what_to_expect(name: str) -> None:
    head = preset_text(name).split("\n[")[0]
    assert "\n# For: " in head and "\n# Expect: " in head
    assert ("Needs a GPU" in head) == name.startswith("glit-")


def test_an_unknown_preset_is_told() -> None:
    with pytest.raises(InputError) as caught:
        load_preset("glit-tinny")
    assert str(caught.value) == (
        "there is no preset 'glit-tinny'; did you mean 'glit-tiny'? "
        "Known: digits, fashion-mnist, cifar10, glit-tiny, glit-tiny-release, glit-small, glit-base"
    )


@given(st.binary(max_size=300))
def test_any_bytes_of_a_plan_are_one_of_our_errors(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("plans") / "plan.toml"
    path.write_bytes(data)
    with pytest.raises(InputError):  # no short text is a whole plan
        load_plan(path)


@given(st.data())
def test_any_value_in_a_preset_gives_a_plan_or_one_of_our_errors(data: st.DataObject) -> None:
    """In bounded time and memory: whatever number is written anywhere."""
    lines = preset_text("digits").splitlines()
    at = data.draw(st.sampled_from([i for i, line in enumerate(lines) if " = " in line]))
    number = st.one_of(st.integers(-(2**70), 2**70), st.integers(1, 5000), st.floats())
    value = data.draw(st.one_of(number, st.lists(st.integers(0, 2**40), max_size=8), st.text()))
    lines[at] = f"{lines[at].split(' = ')[0]} = {json.dumps(value)}"
    try:
        plan = from_toml("\n".join(lines))
    except InputError:
        return
    assert from_toml(to_toml(plan)) == plan


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 30_000) + " = 1",
        ".".join(['"a"'] * 15_000) + " = 1",
        ".".join(['"\u2028"'] * 9_000) + " = 1",
        "[" + ".".join("a" * 30_000) + "]",
        "x = {" + " . ".join("a" * 15_000) + " = 1}",
    ],
)
def test_a_dotted_key_takes_no_time(tmp_path: Path, text: str) -> None:
    """`tomllib` needs seconds for them, and hours for longer ones."""
    (tmp_path / "plan.toml").write_text(text, "utf-8")
    begun = time.process_time()
    with pytest.raises(InputError, match=r"may have at most 100 dots, line 1 has [0-9,]+$"):
        load_plan(tmp_path / "plan.toml")
    assert time.process_time() - begun < 1
    assert from_toml(MINIMAL + "\n# " + "." * 1000) == from_toml(MINIMAL)


def test_a_plan_has_a_largest_size(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(MINIMAL + "# " + "a" * 2**16)
    with pytest.raises(InputError, match=r"cannot be read: it may have at most 65,536 bytes"):
        load_plan(tmp_path / "plan.toml")


def test_a_pipe_is_no_plan(tmp_path: Path) -> None:
    """Nobody writes into it: reading it would wait for ever."""
    os.mkfifo(tmp_path / "plan.toml")
    for path in (tmp_path / "plan.toml", Path("/dev/zero")):
        with pytest.raises(InputError, match="cannot be read: it must be a regular file"):
            load_plan(path)
