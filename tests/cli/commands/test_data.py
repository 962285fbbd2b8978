"""`hnas data`: a folder is packed, looked at, checked, and searched as the folder itself is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hnas.studies.run.folder import open_run
from hnas.studies.run.studies import read_stages
from tests.cli.conftest import invoke
from tests.support.forked import Process


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, 30 grey pictures each to train on and 5 to test on, 10 x 12 pixels."""
    folder = tmp_path_factory.mktemp("photos") / "photos"
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("val", 5)):
        for number, name in enumerate(("bee", "fox", "owl")):
            (folder / part / name).mkdir(parents=True)
            for i in range(n):
                noise = rng.integers(0, 120, (10, 12), dtype=np.uint8) + 60 * number
                Image.fromarray(noise.astype(np.uint8)).save(folder / part / name / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def packed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("packs") / "photos-8"
    result = invoke("data", "pack", photos, "--to", to, "--image", 8, "--processes", 1)
    assert result.exit_code == 0, result.output
    assert "packing: shard 2/2, " in result.stdout
    assert result.stdout.endswith(f"\nnext: hnas search --data {to}\n")
    return to


def test_what_a_pack_holds(photos: Path, packed: Path) -> None:
    told = invoke("data", "info", packed).stdout
    rows = {line[:25].strip(): line[25:].strip() for line in told.splitlines()[1:]}
    assert rows["source"].endswith(str(photos)[-20:]) and rows["channels"] == "1"
    assert (rows["train"], rows["test"], rows["left out"]) == ("90", "15", "0")
    assert rows["bytes"] == f"{105 * 64:,}" and rows["shards"] == "2"


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_pack_without_shards_is_told(packed: Path, tmp_path: Path, command: str) -> None:
    index = json.loads((packed / "pack.json").read_text())
    (tmp_path / "pack.json").write_text(json.dumps({**index, "shards": {"train": [], "test": []}}))
    told = invoke("data", command, tmp_path)
    assert told.exit_code == 2
    assert f"{tmp_path / 'pack.json'}: a pack needs training images" in told.stderr


def test_packing_again_finds_everything_there(photos: Path, packed: Path) -> None:
    again = invoke("data", "pack", photos, "--to", packed, "--image", 8, "--processes", 1)
    assert again.exit_code == 0 and "2 shards were finished before." in again.stdout
    other = invoke("data", "pack", photos, "--to", packed, "--image", 9)
    assert other.exit_code == 2
    assert "was begun with images of 8 pixels a side, you asked for 9" in other.stderr


def test_a_flipped_bit_is_told(photos: Path, tmp_path: Path) -> None:
    to = tmp_path / "pack"
    invoke("data", "pack", photos, "--to", to, "--image", 8, "--processes", 1)
    assert invoke("data", "check", to).stdout == "Every shard is as it was written.\n"
    shard = to / "train-00000.u8"
    data = bytearray(shard.read_bytes())
    data[100] ^= 128
    shard.write_bytes(data)
    checked = invoke("data", "check", to)
    assert checked.exit_code == 1
    assert checked.stdout.startswith(f"{shard}: the pixels have changed since they were written\n")
    shard.unlink()
    invoke("data", "pack", photos, "--to", to, "--image", 8, "--processes", 1)
    assert invoke("data", "check", to).exit_code == 0


def test_bad_images_are_listed(photos: Path, tmp_path: Path) -> None:
    bad = tmp_path / "photos" / "train" / "bee"
    for name in ("bee", "fox"):
        (bad.parent / name).mkdir(parents=True)
        Image.new("L", (9, 9)).save(bad.parent / name / "0.png")
    (bad / "1.png").write_bytes(b"text")
    args = ("data", "pack", tmp_path / "photos", "--to", tmp_path / "pack", "--image", 8)
    assert "1.png: not a readable image" in invoke(*args, "--processes", 1).stderr
    left_out = invoke(*args, "--processes", 1, "--skip-bad-images")
    assert left_out.exit_code == 0
    assert "left out, not an image: train/bee/1.png\n" in left_out.stdout


def test_a_folder_that_is_not_packed_is_counted(photos: Path) -> None:
    (photos / "readme.txt").touch()
    result = invoke("data", "info", photos)
    assert result.exit_code == 0, result.output
    assert "left out 1 file: 1 not named as an image that can be read (.txt 1)" in result.stdout


def test_a_folder_that_is_no_pack(photos: Path) -> None:
    result = invoke("data", "check", photos)
    assert result.exit_code == 2
    assert f"{photos} is not a pack: it has no pack.json. Make one: hnas data pack" in result.stderr


def test_only_class_folders_are_packed(tmp_path: Path) -> None:
    result = invoke("data", "pack", "digits", "--to", tmp_path / "pack")
    assert result.exit_code == 2 and "got 'digits'" in result.stderr


def outcome(folder: Path) -> dict[str, Any]:
    """What a run has come to, but for its times."""
    run = open_run(folder)
    result = run.read("result.json")
    stages = read_stages(run)
    return {
        "result": {k: result[k] for k in ("winner", "all_global", "candidates", "test_images")},
        "split": run.read("split.json"),
        "trials": {
            stage.number: [(r.arch.key, r.accuracy, r.loss) for r in stage.records]
            for stage in stages
        },
        "scorers": {stage.number: stage.conditions.scorer for stage in stages},
    }


def test_a_search_of_a_pack_is_that_of_the_folder(
    photos: Path, packed: Path, tiny: Path, tmp_path: Path
) -> None:
    """Trials, weights and test, bit for bit."""
    for data in (photos, packed):
        args = ("--plan", tiny, "--data", data, "--device", "cpu", "--run", tmp_path / data.name)
        result = invoke("search", *args)
        assert result.exit_code == 0, result.output
    one, two = (outcome(tmp_path / data.name) for data in (photos, packed))
    assert json.dumps(one) == json.dumps(two)
    assert len(one["trials"][1]) == 8 and one["result"]["test_images"] == 15


def test_a_search_of_whole_pictures_sees_what_predictions_see(
    photos: Path, tiny: Path, tmp_path: Path
) -> None:
    """Trained on crops of all of them, tested on the middle of a share: as the exported network
    sees their files, so that it is right on as many."""
    both = invoke("data", "pack", photos, "--to", tmp_path / "p", "--image", 8, "--short-side", 10)
    assert both.exit_code == 2 and "keeps pictures whole: give one of them" in both.stderr
    to = tmp_path / "whole"
    args = ("--short-side", 10, "--processes", 1)
    packed = invoke("data", "pack", photos, "--to", to, *args)
    assert packed.exit_code == 0, packed.output
    told = invoke("data", "info", to).stdout
    assert "shorter side, at most" in told and f"{105 * 120:,}" in told
    options = ("data.crop_pct=0.8", "augment.crop=0.5", "retrain.augment.crop=0.3")
    sets = [word for option in options for word in ("--set", option)]
    run = tmp_path / "run"
    done = invoke("search", "--plan", tiny, "--data", to, "--run", run, *sets, "--device", "cpu")
    assert done.exit_code == 0, done.output
    tested = open_run(run).read("result.json")["winner"]["test_accuracy"]
    exported = invoke("export", run, "--to", tmp_path / "net")
    assert exported.exit_code == 0, exported.output
    assert json.loads((tmp_path / "net.json").read_text())["crop_pct"] == 0.8
    for network in (run, tmp_path / "net"):
        predicted = invoke("predict", network, photos / "val")
        assert f"Accuracy: {tested:.4f} " in predicted.stdout, predicted.output


def test_a_moved_pack_and_its_run_go_on(
    photos: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    invoke("data", "pack", photos, "--to", here / "p", "--image", 8, "--processes", 1)
    monkeypatch.setenv("HNAS_DATA", str(here))
    args = ("search", "--plan", tiny, "--data", "p", "--device", "cpu", "--run", tmp_path / "run")
    assert invoke(*args, "--stage", 1).exit_code == 0
    here.rename(there)
    missing = invoke("search", "--run", tmp_path / "run", "--device", "cpu")
    assert missing.exit_code == 2 and "--data NEW" in missing.stderr
    args = ("search", "--run", tmp_path / "run", "--data", there / "p", "--device", "cpu")
    done = invoke(*args)
    assert done.exit_code == 0, done.output
    exported = invoke("export", tmp_path / "run", "--to", tmp_path / "net", "--device", "cpu")
    assert exported.exit_code == 0, exported.output


def test_a_pack_of_another_size_than_the_plans(packed: Path, tiny: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(tiny.read_text().replace("image = 8", "image = 6"))
    result = invoke("search", "--plan", plan, "--data", packed, "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert "the pack has images of 8 pixels a side and 1 channels" in result.stderr


def test_ctrl_c_tells_how_to_go_on(photos: Path, tmp_path: Path, root: Path) -> None:
    to = tmp_path / "pack"
    args = ["data", "pack", str(photos), "--to", str(to), "--image", "1500", "--processes", "2"]
    with Process(["-m", "hnas.cli.main", *args], stderr=subprocess.PIPE) as running:
        while running.poll() is None and not list(to.glob(".*.u8.*.tmp")):
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=300)
    assert running.returncode == 130, err
    assert err.strip() == (
        f"Interrupted. Finished work is kept in {to}. Resume with: hnas {' '.join(args)}"
    )
    assert [path.name for path in to.glob(".*")] == []
    assert os.listdir(to) == ["pack.json"]
