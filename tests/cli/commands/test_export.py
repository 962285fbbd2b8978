"""`hnas export`: the files stand alone, and what cannot be exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hnas.cli.main import hnas
from hnas.data import normalise
from hnas.data.sources.load import load as load_images
from hnas.errors import HnasError, InputError, StateError
from hnas.exchange.export import load
from hnas.studies.run.folder import open_run
from hnas.studies.run.images import stored_images
from hnas.studies.run.result import read_result
from hnas.studies.run.status import read_status
from tests.support.moved_images import CHANGES, CLASSES, changed
from tests.support.needs_onnx import needs_onnx


def export(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["export", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


def test_the_winner_stands_alone(copy: Path, tmp_path: Path) -> None:
    result = export(copy, "--to", tmp_path / "w", "--device", "cpu")
    assert result.exit_code == 0, result.output
    said = [line.split(" (")[0] for line in result.stdout.splitlines()]
    assert said == [f"Wrote {tmp_path / name}" for name in ("w.safetensors", "w.json", "w.py")]

    found = read_status(open_run(copy)).result
    assert found is not None
    shutil.rmtree(copy)
    network = load(tmp_path / "w")
    assert network.model.arch == found.winner.arch
    assert network.classes == tuple("0123456789")
    import torch

    pixels = load_images("digits", image=8, channels=1).train.pixels[:5]
    images = normalise(pixels, torch.tensor(network.mean), torch.tensor(network.std))
    assert network.model(images).shape == (5, 10)


def test_a_search_that_is_not_finished(copy: Path, tmp_path: Path) -> None:
    (copy / "result.json").unlink()
    result = export(copy, "--to", tmp_path / "w")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: the run {copy} has no result yet. Finish it: hnas search --run {copy}\n"
    )


def test_a_folder_that_is_not_there(copy: Path, tmp_path: Path) -> None:
    result = export(copy, "--to", tmp_path / "nowhere" / "w", "--device", "cpu")
    assert result.exit_code == 2
    assert f"{tmp_path / 'nowhere'} cannot be written: No such file or directory." in result.stderr


@pytest.fixture(scope="module")
def forms(
    finished: tuple[Path, Result], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A winner in all forms, without suffix, and what was printed: a graph takes seconds."""
    needs_onnx()
    to = tmp_path_factory.mktemp("forms") / "w"
    result = export(finished[0], "--to", to, "--device", "cpu", "--pt2", "--onnx", "--int8")
    assert result.exit_code == 0, result.output
    return to, result


def test_all_forms_give_the_same_logits(forms: tuple[Path, Result]) -> None:
    import onnxruntime
    import torch

    to, x = forms[0], torch.randn(3, 1, 8, 8)
    session = onnxruntime.InferenceSession(
        to.with_suffix(".onnx"), providers=["CPUExecutionProvider"]
    )
    [by_onnx] = session.run(None, {"images": x.numpy()})
    with torch.no_grad():
        logits = load(to).model(x)
        graph = torch.export.load(to.with_suffix(".pt2")).module()
        torch.testing.assert_close(graph(x), logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(by_onnx), logits, rtol=1e-4, atol=1e-5)


INT8 = (
    r"On (\d+) held-out images: accuracy (0\.\d{4}|1\.0000) in fp32, (0\.\d{4}|1\.0000) in int8\. "
    r"fp32 alone is right on (\d+) of them, int8 alone on (\d+): that (cannot tell|tells) .* ms in "
    r"int8, \d+ at a time, by onnxruntime\."
)


def test_int8_is_compared_on_held_out_images(forms: tuple[Path, Result]) -> None:
    to, result = forms
    *wrote, said = result.stdout.splitlines()
    assert any(line.startswith(f"Wrote {to}.int8.onnx (") for line in wrote)
    found = re.fullmatch(INT8, said)
    assert found is not None, said
    images, lost, won = int(found[1]), int(found[4]), int(found[5])
    assert float(found[3]) - float(found[2]) == pytest.approx((won - lost) / images, abs=1e-4)


@pytest.mark.parametrize("kind", [InputError, StateError])
def test_int8_without_the_images_says_that_it_was_not_compared(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[HnasError]
) -> None:
    def gone(run: object) -> None:
        raise kind("the images are not there any more")

    monkeypatch.setattr("hnas.studies.run.int8.stored_images", gone)
    monkeypatch.setattr("hnas.exchange.export.as_onnx", lambda network: b"fp32")
    monkeypatch.setattr("hnas.exchange.quantise.quantised", lambda graph: graph + b" in int8")
    asked = ("--device", "cpu", "--int8", "--onnx", "--card")
    result = export(copy, "--to", tmp_path / "w", *asked)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == (
        "What int8 costs in accuracy was not measured: the images are not there any more"
    )
    assert (tmp_path / "w.int8.onnx").read_bytes() == b"fp32 in int8"
    assert (tmp_path / "w.onnx").read_bytes() == b"fp32"
    assert (tmp_path / "w.md").read_text().startswith("---")
    assert export(copy, "--to", tmp_path / "alone", *asked[:3]).exit_code == 0
    assert (tmp_path / "alone.int8.onnx").exists() and not (tmp_path / "alone.onnx").exists()


def test_a_module_of_ones_own_is_not_replaced(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text("mine = 1\n")
    result = export(copy, "--to", tmp_path / "w", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: --to {tmp_path / 'w'}: {tmp_path / 'w.py'} is there, with something else than "
        "this would write. Give another name, or --force to replace it\n"
    )
    assert (tmp_path / "w.py").read_text() == "mine = 1\n"
    assert [path.name for path in tmp_path.glob("w*")] == ["w.py"]
    (tmp_path / "w.py").unlink()
    for _ in range(2):  # one of hnas's own is
        assert export(copy, "--to", tmp_path / "w", "--device", "cpu").exit_code == 0
    (tmp_path / "w.json").write_text("mine")
    assert export(copy, "--to", tmp_path / "w", "--device", "cpu").exit_code == 2
    assert export(copy, "--to", tmp_path / "w", "--force", "--device", "cpu").exit_code == 0


@pytest.mark.skipif(find_spec("onnx") is not None, reason="the extra hnas[onnx] is installed")
def test_onnx_without_its_extra(copy: Path, tmp_path: Path) -> None:
    result = export(copy, "--to", tmp_path / "w", "--onnx", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: ONNX export needs the package 'onnx': pip install 'hnas[onnx]'\n"
    )


def test_the_examples_of_the_document_run(
    root: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from PIL import Image

    assert export(copy, "--to", tmp_path / "digits_net", "--device", "cpu", "--pt2").exit_code == 0
    Image.new("L", (20, 30), 90).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"images": torch.randn(2, 1, 8, 8)}
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/export.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert names["logits"].shape == (2, 10)


@pytest.fixture(scope="module")
def taken_away(photographed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of the run of images, exported when they were as the search saw them."""
    file = tmp_path_factory.mktemp("taken_away") / "net"
    assert export(photographed, "--to", file, "--device", "cpu").exit_code == 0
    return file


def test_a_network_knows_its_images(
    taken_away: Path, photographed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.chdir(photographed.parent)
    network = load(taken_away)
    assert network.classes == CLASSES
    images = stored_images(open_run(photographed)).train.pixels.float() / 255
    std, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(torch.tensor(network.mean), mean)
    torch.testing.assert_close(torch.tensor(network.std), std)


@pytest.mark.parametrize("what", CHANGES)
def test_a_finished_run_needs_no_images(
    taken_away: Path, photographed: Path, tmp_path: Path, what: str
) -> None:
    with changed(photographed, what, tmp_path) as run:
        result = export(run, "--to", tmp_path / "net", "--device", "cpu")
    assert result.exit_code == 0, result.output
    for suffix in (".json", ".safetensors"):
        was, now = (
            path.with_suffix(suffix).read_bytes() for path in (taken_away, tmp_path / "net")
        )
        assert now == was


def _weights(run: Path) -> Path:
    result = read_result(open_run(run))
    assert result is not None
    return next((run / "networks").glob(f"{result.winner.key}-*.safetensors"))


@pytest.mark.parametrize("damage", ["missing", "torn", "no index"])
def test_a_network_that_is_damaged_is_not_trained_again(
    copy: Path, tmp_path: Path, damage: str
) -> None:
    weights = _weights(copy)
    key = weights.name.partition("-")[0]
    if damage == "torn":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        weights.unlink()
    if damage == "no index":
        (copy / "networks" / f"{key}.json").unlink()
    result = export(copy, "--to", tmp_path / "w", "--device", "cpu")
    assert result.exit_code == 2 and not (tmp_path / "w.json").exists()
    start = "has no usable networks/" if damage == "no index" else "has not all of the network "
    assert result.stderr.startswith(f"Error: the run {copy} {start}{key}")
    advice = f"delete networks/{key}.json and train it again from the images: hnas retrain --run "
    assert result.stderr.endswith(f". Restore it, or {advice}{copy}\n")
    # What it says works.
    (copy / "networks" / f"{key}.json").unlink(missing_ok=True)
    args = ["retrain", "--run", str(copy), "--device", "cpu"]
    assert CliRunner().invoke(hnas, args, catch_exceptions=False).exit_code == 0
    assert export(copy, "--to", tmp_path / "w", "--device", "cpu").exit_code == 0


def test_a_run_in_a_read_only_folder_and_in_use(copy: Path, tmp_path: Path) -> None:
    """Reading the winner locks and writes nothing, whoever holds the run."""
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with open_run(copy).hold():
        assert export(copy, "--to", tmp_path / "w", "--device", "cpu").exit_code == 0
    (copy / ".holder").unlink(), (copy / ".lock").unlink()
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert {p: b for p, b in before.items() if p.name not in (".holder", ".lock")} == after


IMPORTS = """
import io, json, sys
from contextlib import redirect_stdout
from hnas.cli.main import hnas

class First(io.StringIO):
    def write(self, text):
        if text.strip():
            found["first line"] = str(text)
            raise KeyboardInterrupt

folder, to, plan = sys.argv[1:]
found = {}
for name, args, out in (
    ("search", ["--plan", plan, "--run", to + "/run"], First()),
    ("predict", [folder, to + "/image.png"], io.StringIO()),
    ("latency", [folder, "--rounds", "1"], io.StringIO()),
    ("export", [folder, "--to", to + "/net"], io.StringIO()),
):
    with redirect_stdout(out):
        code = hnas([name, *args, "--device", "cpu"], standalone_mode=False)
    found[name] = code, sorted({"torch", "optuna", "sklearn"} & set(sys.modules))
print(json.dumps(found))
"""
"""Runs commands in turn, a search until its first line, and prints their exit codes and what of
three libraries is imported by then."""


def test_a_first_line_and_a_finished_network_need_no_optuna(
    finished: tuple[Path, Result], tiny: Path, tmp_path: Path, root: Path
) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "image.png")
    command = [sys.executable, "-c", IMPORTS, finished[0], tmp_path, tiny]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert ": digits, at most " in found.pop("first line")
    assert found.pop("search") == [130, ["torch"]]
    assert found == {name: [None, ["torch"]] for name in ("predict", "latency", "export")}
