"""`hnas export`: the files stand alone, and what cannot be exported."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.data import normalise
from hnas.data.sources.load import load as load_images
from hnas.exchange.export import load
from hnas.studies.run.folder import open_run
from hnas.studies.run.status import read_status


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


def test_all_forms_give_the_same_logits(copy: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    result = export(copy, "--to", tmp_path / "w", "--device", "cpu", "--pt2", "--onnx")
    assert result.exit_code == 0, result.output
    import torch

    x = torch.randn(3, 1, 8, 8)
    session = onnxruntime.InferenceSession(tmp_path / "w.onnx", providers=["CPUExecutionProvider"])
    [by_onnx] = session.run(None, {"images": x.numpy()})
    with torch.no_grad():
        logits = load(tmp_path / "w").model(x)
        graph = torch.export.load(tmp_path / "w.pt2").module()
        torch.testing.assert_close(graph(x), logits, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.from_numpy(by_onnx), logits, rtol=1e-4, atol=1e-5)


def test_a_module_of_ones_own_is_not_replaced(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text("mine = 1\n")
    result = export(copy, "--to", tmp_path / "w", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: --to {tmp_path / 'w'}: {tmp_path / 'w.py'} is there and was not written by hnas. "
        "Give another name\n"
    )
    assert (tmp_path / "w.py").read_text() == "mine = 1\n"
    (tmp_path / "w.py").unlink()
    for _ in range(2):  # one of hnas's own is
        assert export(copy, "--to", tmp_path / "w", "--device", "cpu").exit_code == 0


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
