"""`hnas search`: the whole way on a tiny plan, going on, and every wrong input."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.plan.toml import load_plan, load_preset
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.run.folder import begin_run, open_run
from hnas.studies.run.status import read_status
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.training import checkpoint
from tests.cli.conftest import WITH_MODELS
from tests.support.forked import Process


def search(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["search", *map(str, args)], catch_exceptions=False)


def fails(result: Result) -> str:
    """The message of a command that ended with exit code 2."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr.split("Error: ", 1)[1].strip()


def trials(folder: Path, stage: int) -> list[tuple[int, str, float]]:
    run = open_run(folder)
    study = open_study(open_storage(run.storage), run.study_name(stage))
    return [(r.number, r.arch.to_json(), r.accuracy) for r in records(study)]


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


# the whole way


def test_a_whole_search(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    shown = result.stdout.splitlines()
    heads = [
        f"{folder}: digits, at most 73.5K MACs an image, on cpu",
        "step 1 of 5, supernet of stage 1: epoch 2/2, loss ",
        "step 2 of 5, stage 1: trial 8/8, best ",
        "Stage 1: ",
        "Handed over to stage 2: ",
        "step 3 of 5, supernet of stage 2: epoch 1/1, loss ",
        "step 4 of 5, stage 2: trial 6/6, best ",
        "Stage 2: ",
        "step 5 of 5, network of trial ",
        "step 5 of 5, network of all-global: epoch 1/1, loss ",
        "Retrained from scratch for 1 epoch, best score first:",
        "The winner compared with an all-global network, on 40 test images:",
        "One image takes the winner ",
        f"next: hnas export {folder} --to {folder / 'winner'}",
        f"or:   hnas dashboard --run {folder}",
        "or, to train a small CNN to compare with, as long as the winner:",
        f"      hnas baselines --plan {folder / 'plan.toml'} --cnn",
    ]
    at = [next(i for i, line in enumerate(shown) if line.startswith(head)) for head in heads]
    assert at == sorted(at)
    assert "\x1b" not in result.stdout
    winner, plain = shown[at[11] + 2 : at[11] + 4]
    assert re.fullmatch(r"winner( +\d\.\d{4}){3} +[\d,]+ +[\d,]+ +12  [■◧□]{2}", winner)
    assert re.fullmatch(r"all-global( +\d\.\d{4}){3} +[\d,]+ +[\d,]+ +\d+  ■■", plain)


def test_a_front_is_a_table_with_drawings(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    front = read_status(open_run(folder)).stages[0].front
    table = result.stdout.split("Stage 1: ")[1].split("\n\n")[0].splitlines()
    assert table[0] == f"{len(front)} of 8 trials are on the Pareto front:"
    assert [int(row.split()[0]) for row in table[2:]] == [r.number for r in reversed(front)]
    assert all(re.search(r"  [■◧□]{2}$", row) for row in table[2:])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "{} is finished, nothing is left to do."),
        (["--stage", "1"], "Stage 1 of {} is finished, nothing is left to do."),
        (["--stage", "2"], "Stage 2 of {} is finished, nothing is left to do."),
    ],
)
def test_what_is_finished_is_shown_at_once(
    root: Path, finished: tuple[Path, Result], args: list[str], said: str
) -> None:
    folder, before = finished
    code = (
        "import sys; from hnas.cli.main import hnas; hnas(sys.argv[1:], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "search", "--run", str(folder), *args]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    first, *shown, imported = ran.stdout.splitlines()
    assert first == said.format(folder)
    assert imported == "False"
    # The same tables as when it ended.
    tables = [line for line in shown if "  " in line]
    assert tables
    assert set(tables) <= set(before.stdout.splitlines())


def test_a_finished_run_is_shown_where_it_cannot_be_locked(copy: Path) -> None:
    with open_run(copy).hold():
        result = search("--run", copy)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{copy} is finished, nothing is left to do.\n")


def test_stage_by_stage_ends_as_all_at_once(
    tmp_path: Path, tiny: Path, finished: tuple[Path, Result]
) -> None:
    folder = tmp_path / "steps"
    given = ("--plan", tiny, "--run", folder, "--device", "cpu", *WITH_MODELS)
    first = search("--stage", 1, *given)
    assert first.exit_code == 0
    assert first.stdout.endswith(f"\nnext: hnas search --stage 2 --run {folder}\n")
    second = search("--stage", 2, "--run", folder, "--device", "cpu")
    assert second.exit_code == 0
    assert second.stdout.endswith(f"\nnext: hnas search --run {folder}\n")
    assert not (folder / "networks").exists()
    assert search("--run", folder, "--device", "cpu").exit_code == 0
    for stage in (1, 2):
        assert trials(folder, stage) == trials(finished[0], stage)
    was, now = (json.loads((f / "result.json").read_text()) for f in (finished[0], folder))
    assert now == was


@pytest.mark.parametrize(
    "change",
    [{"local": "attention"}, {"local": "conv2d", "stem": "conv", "pool": "mean"}],
    ids=["attention", "conv"],
)
def test_another_frame_from_the_plan_to_a_file(
    tmp_path: Path, tiny: Path, change: dict[str, str]
) -> None:
    """Both stages, broken off between them or not; the winner is exported and gives its logits.
    ONNX of these networks: tests/hnas/exchange/test_export.py."""
    plan = tmp_path / "plan.toml"
    text = tiny.read_text().replace("K = 9", "K = 5").replace("K = [5, 9]", "K = [3, 5, 7]")
    words = "".join(f'\n{name} = "{value}"' for name, value in change.items())
    plan.write_text(text.replace("[net]", f"[net]{words}"))
    whole, steps = tmp_path / "whole", tmp_path / "steps"
    for args in (("--run", whole), ("--run", steps, "--stage", 1), ("--run", steps)):
        result = search("--plan", plan, *args, "--device", "cpu")
        assert result.exit_code == 0, result.output
    written = json.loads((whole / "result.json").read_text())
    assert written == json.loads((steps / "result.json").read_text())
    assert change.items() <= written["winner"]["frame"].items()
    kernels = {K for _, arch, _ in trials(whole, 2) for K in re.findall(r'"K":(\d+)', arch)}
    assert kernels <= {"3", "5", "7"} and len(kernels) > 1

    args = ["export", str(whole), "--to", str(tmp_path / "net"), "--pt2", "--device", "cpu"]
    assert CliRunner().invoke(hnas, args, catch_exceptions=False).exit_code == 0
    import torch

    from hnas.exchange.export import load

    network = load(tmp_path / "net")
    assert change.items() <= vars(network.model.frame).items()
    images = torch.randn(3, 1, 8, 8)
    graph = torch.export.load(tmp_path / "net.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(graph(images), network.model(images), rtol=1e-5, atol=1e-5)


def test_a_run_with_another_local_head_is_another_run(copy: Path, tiny: Path) -> None:
    plan = copy.parent / "plan.toml"
    text = tiny.read_text().replace("K = 9", "K = 5").replace("K = [5, 9]", "K = [5]")
    plan.write_text(text.replace("[net]", '[net]\nlocal = "conv2d"'))
    message = fails(search("--plan", plan, "--run", copy))
    assert "  net.local: stored 'conv1d', asked 'conv2d'" in message


def test_trials_are_added_to_the_stage_asked_for(copy: Path) -> None:
    result = search("--run", copy, "--stage", 1, "--trials", 10, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert len(trials(copy, 1)) == 10
    plan = open_run(copy).plan
    assert (plan.stage1.trials, plan.stage2.trials) == (10, 6)


def test_a_result_is_made_once(copy: Path) -> None:
    was = (copy / "result.json").read_bytes()
    result = search("--run", copy, "--trials", 9, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "The result stays: a run is tested once." in result.stdout
    assert (copy / "result.json").read_bytes() == was
    assert [len(trials(copy, stage)) for stage in (1, 2)] == [9, 9]


def test_a_run_is_named_after_its_plan(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = search("--plan", tiny, "--stage", 1, "--trials", 2, "--device", "cpu")
    assert result.stdout.startswith("runs/tiny: digits, at most ")
    assert result.stdout.endswith("\nnext: hnas search --stage 2 --run runs/tiny\n")


def test_a_preset_is_taken_by_the_name_of_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HNAS_DATA", raising=False)
    message = fails(search("--data", "cifar10", "--stage", 1))
    assert message.startswith("data source 'cifar10' is unknown")
    assert decide(Request(data="cifar10")).plan.net == load_preset("cifar10").net


def test_studies_are_kept_in_another_storage(tmp_path: Path, tiny: Path) -> None:
    url, folder = f"sqlite:///{tmp_path / 'all.db'}", tmp_path / "run"
    base = ("--run", folder, "--device", "cpu", "--stage", 1, "--trials", 2)
    assert search("--plan", tiny, "--storage", url, *base).exit_code == 0
    kept = f"the run {folder} keeps its studies in {url}: give that --storage"
    assert fails(search(*base)) == f"{kept}, if you trust what the folder says"
    assert search(*base, "--storage", url).stdout.startswith(f"Stage 1 of {folder} is finished")
    assert not (folder / "study.db").exists()
    storage = open_storage(url)
    assert len(records(open_study(storage, "run-stage1"))) == 2
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert fails(search(*base, "--storage", other)) == kept


def test_images_of_ones_own_decide_on_the_classes(
    tmp_path: Path, tiny: Path, shared_data: Path
) -> None:
    source, data = shared_data / "imagefolder-caltech101-20" / "train", tmp_path / "animals"
    names = sorted(path.name for path in source.iterdir())[:3]
    for name in names:
        (data / "train" / name).mkdir(parents=True)
        for image in sorted((source / name).iterdir())[:12]:
            shutil.copy(image, data / "train" / name)
    args = ("--data", data, "--stage", 1, "--trials", 2, "--device", "cpu")
    result = search("--plan", tiny, "--run", tmp_path / "run", *args)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{data} has 3 classes: net.classes is 3.\n")
    # The same command again does not look at the images to know that.
    shutil.rmtree(data)
    again = search("--plan", tiny, "--run", tmp_path / "run", *args)
    assert again.stdout.startswith(f"Stage 1 of {tmp_path / 'run'} is finished")


# as a process


def start(*args: object) -> Process:
    return Process(["-m", "hnas.cli.main", "search", *args], stderr=subprocess.PIPE)


def test_a_process_searches_and_prints_plain_lines(root: Path, tmp_path: Path, tiny: Path) -> None:
    process = start("--plan", tiny, "--run", tmp_path / "run", "--device", "cpu")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert out.splitlines()[-2].startswith("next: hnas export ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_says_how_to_go_on_and_does(
    root: Path, tmp_path: Path, tiny: Path, number: signal.Signals
) -> None:
    plan, folder = tmp_path / "long.toml", tmp_path / "run"
    plan.write_text(
        tiny.read_text().replace("M = 2", "M = 5").replace("trials = 8", "trials = 120")
    )
    args = ("--stage", 1, "--plan", plan, "--run", folder, "--device", "cpu")
    process = start(*args)
    assert process.stdout is not None
    assert any("stage 1: trial " in line for line in process.stdout)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err == (
        f"\nInterrupted. Finished work is kept in {folder}. Resume with: "
        f"hnas search {' '.join(map(str, args))}\n"
    )
    kept = trials(folder, 1)
    assert 0 < len(kept) < 120

    assert search(*args).exit_code == 0
    whole = trials(folder, 1)
    assert whole[: len(kept)] == kept
    assert len({arch for _, arch, _ in whole}) == len(whole) == 120


# wrong inputs


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--preset", "digits", "--plan", "x.toml"],
            "--preset and --plan exclude each other: give one of them.",
        ),
        (
            ["--preset", "digit"],
            "there is no preset 'digit'; did you mean 'digits'? "
            "Known: digits, fashion-mnist, cifar10, glit-tiny, glit-tiny-release, glit-small, "
            "glit-base",
        ),
        (["--plan", "x.toml"], "the plan x.toml cannot be read: No such file or directory"),
        (
            ["--trails", "3"],
            "No such option '--trails'. (Did you mean one of: '--params', '--pretrained', "
            "'--trials'?)",
        ),
        (["--stage", "4"], "Invalid value for '--stage': 4 is not in the range 1<=x<=3."),
        (["--trials", "0"], "Invalid value for '--trials': 0 is not in the range x>=1."),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295."),
        (
            ["--device", "tpu"],
            "Invalid value for '--device': 'tpu' is none of auto, cpu, cuda, cuda:NUMBER, mps.",
        ),
        (
            ["--flops", "much"],
            "--flops must be a whole number of multiply-accumulates >= 1, or text with K, M, G or "
            'T behind the number, such as "250M" or "1.3G"; got \'much\'. '
            'A share of the all-global network is written as "40%"',
        ),
    ],
)
def test_a_wrong_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fails(search(*args)) == message
    assert list(tmp_path.iterdir()) == []


def test_a_budget_below_the_smallest_subnet(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    message = fails(search("--plan", tiny, "--run", folder, "--flops", "1K"))
    assert message.startswith("--flops 1K: ")
    assert len(re.findall(r"\d,\d{3}", message)) >= 2  # the budget and the smallest
    assert not folder.exists()


def test_a_misspelt_key_of_a_plan(tmp_path: Path, tiny: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(tiny.read_text().replace("population", "popluation"))
    message = fails(search("--plan", plan, "--run", tmp_path / "run"))
    assert message.startswith(
        f"{plan}: stage1.popluation is not part of a plan; did you mean 'population'? Known: d_k, "
    )


def test_a_storage_that_does_not_answer(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    url = f"sqlite:///{tmp_path / 'nowhere' / 'study.db'}"
    message = fails(search("--plan", tiny, "--run", folder, "--storage", url))
    assert message.startswith(
        f"the study storage {url} cannot be used: unable to open database file. Check that "
    )
    assert not folder.exists()


def test_a_server_that_does_not_answer(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr("hnas.studies.trials.database.PATIENCE", 1.0)
    url = "postgresql://me:secret@127.0.0.1:9/studies"
    result = search("--plan", tiny, "--run", tmp_path / "run", "--storage", url)
    assert fails(result).startswith(
        "the study storage postgresql://me:***@127.0.0.1:9/studies cannot be used: "
    )
    assert "secret" not in result.output


def test_refining_adds_a_third_stage(tmp_path: Path, tiny: Path) -> None:
    plan, folder = tmp_path / "plan.toml", tmp_path / "run"
    plan.write_text(tiny.read_text().replace("{epochs = 1,", "{epochs = 2,"))
    args = ("--plan", plan, "--refine", "--run", folder, "--device", "cpu")
    for stage in (1, 2):
        assert search(*args, "--stage", stage).exit_code == 0
    result = search(*args, "--stage", 3)
    assert "\nStage 3: " in result.stdout and " of 3 trials are on " in result.stdout
    assert [len(trials(folder, stage)) for stage in (1, 2, 3)] == [8, 3, 3]
    whole = search("--run", folder, "--device", "cpu")
    assert "\nHanded over to stage 3: the front of stage 2, " in whole.stdout
    assert search(*args).stdout.startswith(f"{folder} is finished, nothing is left to do.")
    shown = json.loads(CliRunner().invoke(hnas, ["status", "--run", str(folder), "--json"]).stdout)
    assert [stage["trials_asked"] for stage in shown["stages"]] == [8, 3, 3]
    assert [stage["epochs"] for stage in shown["stages"]] == [2, 1, 1]
    studies = json.loads(CliRunner().invoke(hnas, ["analyze", str(folder), "--json"]).stdout)[
        "studies"
    ]
    assert [study["trials"] for study in studies] == [8, 3, 3]
    more = search("--run", folder, "--stage", 3, "--trials", 5, "--device", "cpu")
    assert " of 5 trials are on " in more.stdout and len(trials(folder, 3)) == 5
    message = fails(search("--plan", plan, "--run", folder))
    assert "\n  refine.epochs: stored 1, asked 0\n" in message


def test_without_refining_there_is_no_stage_3(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    message = fails(search("--plan", tiny, "--run", folder, "--stage", 3, "--trials", 9))
    assert message.startswith(f"the search of {folder} has no stage 3: its strategy ")
    message = fails(search("--plan", tiny, "--run", folder, "--refine", "--strategy", "flat"))
    assert message == "a third stage needs the strategy 'hierarchical', got 'flat'"


def test_stage_2_before_stage_1(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    message = fails(search("--stage", 2, "--plan", tiny, "--run", folder))
    assert message == (
        "stage 2 needs a finished stage 1: 'run-stage1' has 0 of 8 trials. "
        f"Run: hnas search --stage 1 --run {folder}"
    )


def test_a_checkpoint_of_which_both_versions_are_damaged(copy: Path) -> None:
    (copy / "result.json").unlink()
    supernet = open_run(copy).supernet(1)
    found = checkpoint.load(supernet)
    assert found is not None
    changed = {name: tensor + 1 for name, tensor in found.tensors.items()}
    checkpoint.save(supernet, changed, found.meta)
    files = sorted((copy / "checkpoints").glob("supernet1-*.safetensors"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])
    message = fails(search("--run", copy, "--device", "cpu"))
    assert message.startswith(f"no usable version of checkpoint supernet1 in {copy}/checkpoints: ")
    assert all(f"{file.name}: its SHA-256 is not the one recorded" in message for file in files)
    assert message.endswith("Delete supernet1.json there to start this part again")


def test_a_result_that_is_none(copy: Path) -> None:
    (copy / "result.json").write_text('{"test_images": 40}')
    message = fails(search("--run", copy))
    assert message == (
        f"{copy / 'result.json'} is not the result of a run: Result lacks the field "
        "all_global, candidates, environment, inputs, winner. "
        "Restore it, or delete it to make it again"
    )


def test_another_seed(copy: Path) -> None:
    message = fails(search("--run", copy, "--seed", 1))
    assert message.startswith(f"the run {copy} was begun with another plan")
    assert "\n  search.seed: stored 0, asked 1\n" in message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("retrain.top=1", "retrain.top: stored 2, asked 1"),
        (
            "retrain.distillation.teacher=cnn",
            "retrain.distillation.teacher: stored '', asked 'cnn'",
        ),
        ("baselines.images=10", "baselines.images: stored 1000, asked 10"),
    ],
)
def test_a_finished_run_is_not_trained_by_another_rule(copy: Path, change: str, told: str) -> None:
    """It is tested once: what would be asked for in vain is refused, and the plan stays."""
    plan = (copy / "plan.toml").read_text()
    assert fails(search("--run", copy, "--set", change)) == (
        f"the run {copy} was begun with another plan, and what it has found depends on these:\n"
        f"  {told}\nAsk for what is stored, or use another --run"
    )
    assert (copy / "plan.toml").read_text() == plan
    (copy / "result.json").unlink()
    assert search("--run", copy, "--set", change, "--stage", 1, "--device", "cpu").exit_code == 0


def test_a_study_of_another_budget(copy: Path) -> None:
    """A plan changed by hand: the run is as it says, its studies are not."""
    (copy / "result.json").unlink()
    plan = copy / "plan.toml"
    plan.write_text(plan.read_text().replace("[search]\n", "[search]\nflops = 70000\n"))
    message = fails(search("--run", copy, "--device", "cpu"))
    assert message.startswith("the trials of the study 'finished-stage1' cannot be compared with ")
    assert re.search(r"\n  budget: stored 73\d{3}, asked 70000\n", message)


def test_another_rule_of_scoring_takes_a_new_study_beside_the_old_one(copy: Path) -> None:
    plan = copy.parent / "other.toml"
    plan.write_text((copy / "plan.toml").read_text().replace("= 16\n", "= 12\n"))
    args = ("--run", copy, "--plan", plan, "--device", "cpu")
    message = fails(search(*args))
    assert "\n  score.recalibration: stored 16, asked 12\n" in message
    assert message.endswith(
        "Ask for what is stored, or use another --run, or --rescore for a new study"
    )
    old = [trials(copy, stage) for stage in (1, 2)]
    result = search(*args, "--rescore")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "Scored again in the study 'finished-stage1-rescored1'" in said
    assert "Scored again in the study 'finished-stage2-rescored1'" in said
    assert "scorer.recalibration images: stored " in said
    assert len(trials(copy, 1)) == len(old[0]) and trials(copy, 1) != old[0]
    storage = open_storage(open_run(copy).storage)
    for stage in (1, 2):  # kept as they were
        study = open_study(storage, f"finished-stage{stage}")
        kept = [(r.number, r.arch.to_json(), r.accuracy) for r in records(study)]
        assert kept == old[stage - 1]
    # From now on the new ones are the run's, and the same command does nothing again.
    again = search(*args, "--rescore")
    assert again.exit_code == 0 and "Scored again" not in again.stdout
    assert open_run(copy).rescored == (1, 1)
    ran = CliRunner().invoke(hnas, ["reproduce", str(copy), "--sample", "2", "--device", "cpu"])
    assert ran.exit_code == 0, ran.output
    assert "stage1-rescored1, trial " in ran.stdout


def test_a_supernet_of_another_space(copy: Path) -> None:
    (copy / "result.json").unlink()
    plan = copy / "plan.toml"
    plan.write_text(plan.read_text().replace("K = 9\n", "K = 7\n"))
    message = fails(search("--run", copy, "--device", "cpu"))
    assert message.startswith(
        f"checkpoint {copy / 'checkpoints' / 'supernet1'} was made by another training:\n"
    )


def test_a_study_scored_with_another_supernet(copy: Path) -> None:
    (copy / "result.json").unlink()
    plan = copy / "plan.toml"
    plan.write_text(plan.read_text().replace("lr = 0.002", "lr = 0.003", 1))
    for file in (copy / "checkpoints").glob("supernet1*"):
        file.unlink()
    message = fails(search("--run", copy, "--device", "cpu"))
    assert message.startswith("the trials of the study 'finished-stage1' cannot be compared with ")
    assert "\n  scorer.supernet: stored " in message


def test_a_run_that_another_process_holds(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    begin_run(folder, load_plan(tiny))
    plan = (folder / "plan.toml").read_bytes()
    with open_run(folder).hold():
        message = fails(search("--run", folder))
        assert fails(search("--run", folder, "--trials", 7)) == message
    assert (folder / "plan.toml").read_bytes() == plan
    assert message == (
        f"the run {folder} is held by another process (pid {os.getpid()}). "
        "Wait for it, stop it, or use another --run"
    )


def test_a_truncated_idx_file(tmp_path: Path, tiny: Path, shared_data: Path) -> None:
    data = tmp_path / "cut"
    shutil.copytree(shared_data / "fashion-mnist", data)
    file = next(path for path in sorted(data.iterdir()) if "train-images" in path.name)
    file.write_bytes(file.read_bytes()[:5000])
    folder = tmp_path / "run"
    message = fails(search("--plan", tiny, "--run", folder, "--data", data))
    assert message.startswith(f"{file}: ")
    assert not folder.exists()


def test_an_image_folder_of_one_class(tmp_path: Path, tiny: Path, shared_data: Path) -> None:
    train = shared_data / "imagefolder-caltech101-20" / "train"
    name = sorted(path.name for path in train.iterdir())[0]
    shutil.copytree(train / name, tmp_path / "one" / "train" / name)
    message = fails(search("--plan", tiny, "--run", tmp_path / "run", "--data", tmp_path / "one"))
    assert str(tmp_path / "one") in message
    assert name in message


def test_a_disk_that_is_full(tmp_path: Path, tiny: Path) -> None:
    """No file may grow beyond 100 kB: less than a study needs."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "from hnas.cli.main import main; main()"
    )
    folder = tmp_path / "run"
    args = ("search", "--plan", tiny, "--run", folder, "--device", "cpu")
    with Process(["-c", code, *args], stderr=subprocess.PIPE) as process:
        _, err = process.communicate()
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert err.startswith(f"Error: the study storage sqlite:///{folder / 'study.db'} ")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB; skips where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk(small_disk: Path, tiny: Path) -> None:
    message = fails(search("--plan", tiny, "--run", small_disk / "run", "--device", "cpu"))
    assert str(small_disk / "run") in message


def test_a_read_only_folder(small_disk: Path, tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    folder = small_disk / "run"
    message = fails(search("--plan", tiny, "--run", folder))
    assert message.startswith(f"{folder / 'run.json'} cannot be written: Read-only file system. ")
