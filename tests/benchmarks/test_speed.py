"""Every benchmark runs, with tiny sizes, and prints its ratios; what they are is not tested. Those
that take long even so are for `make slow`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.speed import autoformer
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.device import has_bf16
from tests.support.forked import Process

SCRIPTS = (
    "linear",
    "local_head",
    "supernet_step",
    "augmentation",
    "scoring",
    "search_overhead",
    "architecture_cost",
    "startup",
)
ROW = re.compile(r"^\S.*? +[\d.e+-]+ +[\d.e+-]+ s +(?P<ratio>[\d.e+-]+) ", re.MULTILINE)


def printed_by(script, *arguments, env=None):
    command = ["-m", f"benchmarks.speed.{script}", *arguments]
    with Process(command, env=env, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    return out


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_prints_and_writes_its_ratios(tmp_path, script):
    written = tmp_path / "rows.json"
    arguments = ["--quick", "--threads", "1", "--json", str(written)]
    # Without a server that a developer may have named: PostgreSQL is for full runs.
    environment = {k: v for k, v in os.environ.items() if k != "HNAS_BENCH_POSTGRES"}
    out = printed_by(script, *arguments, env=environment)
    printed = [float(ratio) for ratio in ROW.findall(out)]
    found = json.loads(written.read_text())
    assert len(printed) == len(found["rows"]) >= 1
    assert printed == pytest.approx([row["ratio"] for row in found["rows"]], rel=1e-3)
    assert all(ratio > 0 for ratio in printed)
    assert {"cpu", "cores", "threads", "versions", "date", "command"} <= set(found)


def test_all_are_run_by_the_one_command(root):
    code = "from benchmarks.speed.cpu import SCRIPTS; print(*SCRIPTS)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert tuple(ran.stdout.split()) == SCRIPTS


def test_the_step_of_the_small_cnn_is_compared(tmp_path):
    _, (row,) = run(tmp_path, "small_cnn")
    assert row["ratio"] > 0


def test_the_share_of_a_librarys_own_rate_is_measured(tmp_path):
    _, rows = run(tmp_path, "rate")
    (row,) = rows
    assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"]) and row["unit"] == "/s"


AUTOFORMER = """
import torch
from torch import nn

class Vision_TransformerSuper(nn.Module):
    def __init__(self, *, num_classes, **_):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(WEIGHTS))
        self.classes = num_classes

    def set_sample_config(self, chosen):
        assert chosen["layer_num"] == len(chosen["num_heads"]) == 2

    def forward(self, images):
        return self.weight[: self.classes] * images.mean((1, 2, 3))[:, None]
"""


@pytest.mark.parametrize(("missing", "ends"), [(0, 0), (1, 1)])
def test_autoformers_code_is_measured_if_its_network_is_as_large(tmp_path, missing, ends):
    frame = Frame(image=32, channels=3, patch=16, classes=1000, d=192, M=2, N=3)
    weights = cost(frame, frame.all_global()).params - missing
    (tmp_path / "model").mkdir()
    made = AUTOFORMER.replace("WEIGHTS", str(weights))
    (tmp_path / "model" / "supernet_transformer.py").write_text(made)
    command = ["-m", "benchmarks.speed.autoformer", "--code", tmp_path, "--quick"]
    with Process(command, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert process.returncode == ends, err
    kinds = 3 if has_bf16(torch.device("cpu")) else 1
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == (
        [] if missing else ["forward", "training step"] * kinds
    )


@pytest.mark.parametrize("there", [True, False])
def test_autoformer_is_compared_in_bf16_too_where_the_cpu_has_it(monkeypatch, there):
    for module in ("hnas.device", "benchmarks.speed.autoformer"):
        monkeypatch.setattr(f"{module}.has_bf16", lambda device: there)
    asked = []

    def theirs(code, frame, precision):
        asked.append(precision)
        return autoformer.hnas_net(frame, "fp32")

    monkeypatch.setattr(autoformer, "their_net", theirs)
    frame = Frame(image=8, channels=3, patch=4, classes=4, d=12, M=1, N=3)
    rows = autoformer.measure(Path(), frame, batch=2, pairs=1)
    kinds = ("", ", hnas in bf16", ", both in bf16") if there else ("",)
    assert [row.name.partition("1 blocks")[2] for row in rows] == [k for k in kinds for _ in "12"]
    assert asked == (["fp32", "fp32", "bf16"] if there else ["fp32"])


def run(tmp_path, script, *arguments):
    """What it printed, and the JSON that it wrote."""
    written = tmp_path / "rows.json"
    printed = printed_by(script, "--quick", "--threads", "1", "--json", str(written), *arguments)
    found = json.loads(written.read_text())
    assert {"cpu", "cores", "threads", "versions", "date", "command"} <= set(found)
    return printed, found["rows"]


@pytest.mark.slow
def test_resuming_is_measured_with_parents_selected_anew_and_kept(tmp_path):
    written = tmp_path / "rows.json"
    printed = printed_by("resume", "--trials", "100", "--json", str(written))
    rows = json.loads(written.read_text())["rows"]
    assert [(row["params"], row["trials"]) for row in rows] == [(12, 100), (48, 100)]
    assert all(row["parents kept"] > 0 and row["selected anew"] > 0 for row in rows)
    assert printed.count("<= 2 s: ") == 2


@pytest.mark.slow
def test_growth_is_measured_along_every_axis(tmp_path):
    printed, rows = run(tmp_path, "growth")
    assert [row["axis"] for row in rows] == ["trials before", "M", "held-out images"]
    assert printed.count("grows with the power") == 3
    for row in rows:
        assert len(row["points"]) == 2 and all(ms > 0 for ms in row["points"].values())


def test_a_profile_adds_up(tmp_path):
    _, rows = run(tmp_path, "profile_search")
    assert {row["part"] for row in rows} == {"training", "before", "after"}
    for part in ("before", "after"):
        shares = {row["what"]: row["share"] for row in rows if row["part"] == part}
        shares.pop("storing (beside the others)", None)
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["recalibration"] > 0 and shares["held-out images"] > 0
        assert shares["rest"] >= 0


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(tmp_path):
    _, rows = run(tmp_path, "memory")
    assert [row["name"] for row in rows] == ["digits, step", "digits, scoring"]
    assert all(row["whole"] and 5 < row["megabytes"] < 2000 for row in rows)


@pytest.mark.slow
def test_the_gpu_benchmark_can_be_tried_without_one(tmp_path):
    """Every row is there or says why not."""
    printed, rows = run(tmp_path, "gpu", "--device", "cpu")
    device, *rows = rows
    assert device["device"] == "cpu" and device["gpu"] is None and device["quick"]
    skipped = {row["name"]: row["skipped"] for row in rows if "skipped" in row}
    assert all(f"{name} " in printed and reason in printed for name, reason in skipped.items())
    measured = {row["name"] for row in rows} - skipped.keys()
    for part in (
        "FFT",
        "FFT, forward",
        "FFT, backward",
        "Toeplitz",
        "scoring digits",
        "supernet step",
        "memory",
        "whole search",
    ):
        assert any(part in name for name in measured), (part, skipped)
    waits = [reason for name, reason in skipped.items() if "waits" in name]
    assert waits == ["RuntimeError: needs CUDA"] * 2


@pytest.mark.slow
def test_the_exchange_of_two_processes_is_part_of_a_step(root, tmp_path):
    written = tmp_path / "rows.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.distributed",
        "--quick",
        "--json",
        str(written),
    ]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    one, two = json.loads(written.read_text())["rows"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert 0 < two["exchange_ms"] < two["step_ms"]
    assert two["arch_bytes"] < two["sent_bytes"] < two["supernet_bytes"] * 1.01


@pytest.mark.slow
def test_reading_a_pack_is_timed_and_its_memory_does_not_grow(tmp_path):
    _, rows = run(tmp_path, "loader")
    rates = {row["name"]: row for row in rows if "images_per_second" in row}
    assert all(row["images_per_second"] > 0 for row in rates.values())
    assert sum(name.startswith("arithmetic: ") for name in rates) == 3
    peaks = {row["name"]: row["megabytes"] for row in rows if "megabytes" in row}
    decoded = next(row["decoded_megabytes"] for row in rows if "megabytes" in row)
    assert decoded > 200
    assert peaks["packing"] < decoded / 4 and peaks["training from the pack"] < decoded / 4
    assert peaks["training from memory"] > decoded / 2  # it would be seen


def test_random_crops_are_timed_beside_what_a_step_takes(tmp_path):
    printed, rows = run(tmp_path, "crops")
    assert len(rows) == 4 and "cores for H100, supernet" in printed
    for row in rows:
        assert 0 < row["lowest"] <= row["images_per_cpu_second"] <= row["highest"]
        taken = row["cores"]["H100, supernet"] * row["images_per_cpu_second"]
        assert taken == pytest.approx(1024 / 0.083)


def test_levels_kept_are_counted(tmp_path):
    printed, rows = run(tmp_path, "levels")
    assert [row["name"] for row in rows] == ["glit-tiny, stage 1", "glit-tiny, stage 2"]
    for row in rows:
        assert len(row["most levels by generation"]) == 2
        assert all(0 < most <= row["levels"] == 13 for most in row["most levels by generation"])
    assert printed.count(" of 13 levels") == 2


@pytest.mark.slow
def test_workers_give_the_same_values_however_many_they_are(tmp_path):
    _, rows = run(tmp_path, "workers")
    by_workers = [row for row in rows if row["workers"]]
    assert len(by_workers) >= 8
    for row in by_workers:
        assert row["same as one process"] and row["rows"] == row["trials"], row


def test_slopes_by_trial_and_bytes_by_preset(tmp_path):
    printed, rows = run(tmp_path, "scale")
    slopes, presets = [row for row in rows if "points" in row], [r for r in rows if "preset" in r]
    assert len(slopes) == 2 * 6 and {row["params"] for row in slopes} == {12, 48}
    for row in slopes:
        (few, low), (many, high) = row["points"].items()
        assert row["each"] == pytest.approx((high - low) / (int(many) - int(few)))
        assert row["unit"] != "bytes" or low < high
    (digits,) = presets
    assert digits["images scored on (bytes)"] == (287 + 32) * 64
    assert digits["supernet, stage 1 (bytes)"] < digits["supernet, whole space (bytes)"]
    assert printed.count("a million") == len(slopes)


@pytest.mark.slow
def test_processes_train_and_score_as_one_thread_does(tmp_path):
    written = tmp_path / "rows.json"
    printed_by("together", "--quick", "--json", str(written))
    rows = json.loads(written.read_text())["rows"]
    for kind in ("digits", "photos"):
        ways = [row for row in rows if row["kind"] == kind and "way" in row]
        assert len(ways) == 6
        one = [row for row in ways if row["way"].endswith(("1 thread", "1 thread each"))]
        assert len(one) == 4 and all(row["as one thread to the bit"] for row in one)
