"""A rehearsal of ImageNet: the commands of docs/imagenet.md, as they stand there, on a folder of
1,000 classes, with glit-tiny at 224 pixels; epochs, trials and images are few, all else is the
preset's. Minutes of a core: `pytest -m slow tests/cli/test_imagenet.py`, a part of `make slow`."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hnas.data.sources.pack import open_pack
from hnas.studies.run.folder import open_run
from hnas.studies.run.result import finished_result
from hnas.studies.run.studies import read_stages
from tests.cli.conftest import invoke
from tests.support import photos
from tests.support.forked import Process

CLASSES, TESTED = 1000, 40
TRAINING = {"epochs": 1, "batch": 504, "micro_batch": 8}
"""One step of 504 of the 1,000 training images, eight at a time."""
FEW = {
    "score.recalibration": 8,
    "score.held_out": 16,
    "score.batch": 16,
    "handoff.rule": "score",
    "retrain.top": 1,
    "retrain.training.ema": 0,
    "baselines.images": 0,
}


def few() -> list[str]:
    """Options that make the preset's numbers small."""
    values = dict(FEW)
    for stage in ("stage1", "stage2", "retrain"):
        values |= {f"{stage}.training.{key}": value for key, value in TRAINING.items()}
    for stage in ("stage1", "stage2"):
        values |= {f"{stage}.trials": 4, f"{stage}.population": 2}
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def commands(root: Path) -> list[list[str]]:
    """What docs/imagenet.md gives a shell for one machine, but for torchvision's unpacking."""
    text = (root / "docs/imagenet.md").read_text("utf-8").replace("\\\n", "")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return [shlex.split(line) for line in blocks.splitlines() if re.match(r"hnas |sed ", line)]


def sets(command: list[str]) -> list[str]:
    return [word for key, word in itertools.pairwise(command) if key == "--set"]


def test_the_commands_are_there(root: Path) -> None:
    found = [command[1] for command in commands(root) if command[0] == "hnas"]
    assert found == ["data", "data", "init", "space", *["search"] * 4, "export"]


def test_the_plan_with_few_epochs_is_one(tmp_path: Path) -> None:
    made = invoke("init", "--preset", "glit-tiny", *few(), tmp_path / "glit.toml")
    assert made.exit_code == 0, made.output


def test_the_plan_of_a_night_is_one(root: Path, tmp_path: Path) -> None:
    [night] = [command for command in commands(root) if "runs/night" in command]
    options = [word for each in sets(night) for word in ("--set", each)]
    made = invoke("init", "--preset", "glit-tiny", *options, tmp_path / "night.toml")
    assert made.exit_code == 0 and len(options) == 10, made.output


@pytest.mark.slow
def test_the_way_from_a_folder_to_a_network(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HNAS_DATA", str(tmp_path / "data"))
    photos.write(tmp_path / "data" / "imagenet", {"train": (CLASSES, 2), "val": (TESTED, 1)})
    done = []
    for command in commands(root):
        if "runs/night" in command:
            continue
        if command[0] == "sed":
            subprocess.run(command, check=True)
            continue
        arguments = [*command[1:], *(few() if command[1] == "init" else ())]
        trained = tmp_path / "runs/imagenet/checkpoints/supernet1.json"
        kept = killed(arguments, trained) if arguments[-1] == "1" else b""
        result = invoke(*arguments)
        assert result.exit_code == 0, (command, result.output)
        assert not kept or trained.read_bytes() == kept  # it is not trained again
        done.append(" ".join(command[1:3]))
    assert len(done) == 8 and done[-1].startswith("export")
    check(tmp_path)


def killed(arguments: list[str], checkpoint: Path) -> bytes:
    """Begins a search and kills it when a supernet is trained, whose checkpoint is given."""
    with Process(
        ["-m", "hnas.cli.main", *arguments], cwd=Path.cwd(), stdout=subprocess.DEVNULL
    ) as begun:
        while not checkpoint.exists():
            assert begun.poll() is None
            time.sleep(0.05)
        begun.kill()
    kept = checkpoint.read_bytes()
    assert json.loads(kept)["versions"][0]["meta"]["epoch"] == 1
    return kept


def check(folder: Path) -> None:
    """What came of it: whole pictures, two stages, a tested network that sees files as it did."""
    pack = open_pack(folder / "data" / "imagenet-256")
    assert pack.index.whole and len(pack.index.classes) == CLASSES
    run = open_run(folder / "runs" / "imagenet")
    assert [len(stage.records) for stage in read_stages(run)] == [4, 4]
    result = finished_result(run)
    assert (result.test_images, result.inputs.crop_pct) == (TESTED, 0.875)
    assert len(result.winner.arch.blocks) == 12 and result.winner.frame.image == 224
    for name in ("data", "runs"):
        shutil.move(folder / name, folder / f"{name}-gone")
    described = json.loads((folder / "glit-tiny-imagenet.json").read_text())
    assert (described["crop_pct"], described["interpolation"]) == (0.875, "bicubic")
    assert (folder / "glit-tiny-imagenet.onnx").stat().st_size > 2**20
    picture = next((folder / "data-gone" / "imagenet" / "val").rglob("*.JPEG"))
    told = invoke("predict", "glit-tiny-imagenet", picture)
    assert told.exit_code == 0 and "n0" in told.output
