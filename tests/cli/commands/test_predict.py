"""`hnas predict`: from a run, a file and a folder; images that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from hnas.cli.main import hnas
from hnas.data.sources.load import load as load_images
from hnas.exchange.export import load
from hnas.exchange.predict import probabilities
from tests.support.moved_images import CHANGES, CLASSES, changed


def predict(*args: object) -> Result:
    return CliRunner().invoke(
        hnas, ["predict", *map(str, args), "--device", "cpu"], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def exported(finished: tuple[Path, Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `hnas export --to` was given, in a folder of its own."""
    file = tmp_path_factory.mktemp("exported") / "net"
    args = ["export", str(finished[0]), "--to", str(file), "--device", "cpu"]
    assert CliRunner().invoke(hnas, args, catch_exceptions=False).exit_code == 0
    return file


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real images as PNG files, as large as the network's."""
    folder = tmp_path_factory.mktemp("digits")
    pixels = load_images("digits", image=8, channels=1).train.pixels[:3]
    files = [folder / f"{i}.png" for i in range(len(pixels))]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image[0].numpy()).save(file)
    return files


def test_it_tells_what_the_network_computes(exported: Path, digits: list[Path]) -> None:
    result = predict(exported, *digits, "--json", "--top", 10)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [each["image"] for each in told] == list(map(str, digits))
    network = load(exported)
    pixels = load_images("digits", image=8, channels=1).train.pixels[:3]
    for each, row in zip(told, probabilities(network, pixels), strict=True):
        found = {entry["class"]: entry["probability"] for entry in each["classes"]}
        assert list(found.values()) == sorted(found.values(), reverse=True)
        mine = torch.tensor([found[name] for name in network.classes])
        torch.testing.assert_close(mine, row, rtol=1e-5, atol=1e-6)


def test_a_run_a_file_and_a_folder_are_one_network(
    finished: tuple[Path, Result], exported: Path, digits: list[Path]
) -> None:
    said = predict(exported, *digits).stdout
    assert said.splitlines()[0].split() == ["image", "class", "probability"]
    assert len(said.splitlines()) == 1 + 3 * 5
    for source in (finished[0], exported.parent, exported.with_suffix(".json")):
        assert predict(source, *digits).stdout == said


def test_an_image_that_cannot_be_read_is_passed_over(
    exported: Path, digits: list[Path], tmp_path: Path
) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(digits[0].read_bytes()[:60])
    result = predict(exported, tmp_path / "none.png", digits[0], torn, "--json")
    assert result.exit_code == 2
    assert [each["image"] for each in json.loads(result.stdout)] == [str(digits[0])]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"Error: {tmp_path / 'none.png'}: not a readable image: ")
    assert second.startswith(f"Error: {torn}: not a readable image: ")


@pytest.mark.parametrize("pixels", [63, 31], ids=["a bomb by Pillow's warning", "by its error"])
def test_what_training_refuses_is_refused(
    exported: Path, digits: list[Path], monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    """8 x 8 are 64 pixels: more than the limit, or more than twice the limit."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    result = predict(exported, *digits)
    assert result.exit_code == 2 and result.stdout == ""
    for said, file in zip(result.stderr.splitlines(), digits, strict=True):
        assert said.startswith(f"Error: {file}: not a readable image: Image size (64 pixels) ")


def test_what_is_no_network_is_told(tmp_path: Path, digits: list[Path]) -> None:
    result = predict(tmp_path / "none", digits[0])
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {tmp_path / 'none'} is neither a run nor a network: there is no "
        f"{tmp_path / 'none.json'}. Give a run's folder, or the FILE of `hnas export --to FILE`\n"
    )
    result = predict(tmp_path, digits[0])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path} must be a run (with a plan.toml) or hold ")
    assert result.stderr.endswith("got: none\n")


@pytest.mark.parametrize("what", CHANGES)
def test_a_finished_run_needs_no_images(photographed: Path, tmp_path: Path, what: str) -> None:
    files = sorted((photographed.parent / "photos").glob("*/[01].png"))
    expected = predict(photographed, *files, "--json")
    told = json.loads(expected.stdout)
    assert {one["class"] for each in told for one in each["classes"]} == set(CLASSES)
    with changed(photographed, what, tmp_path) as run:
        assert predict(run, *files, "--json").stdout == expected.stdout


def test_a_folder_with_a_folder_a_class_gives_the_accuracy_of_each(
    exported: Path, digits: list[Path], tmp_path: Path
) -> None:
    said = json.loads(predict(exported, *digits, "--json", "--top", 1).stdout)
    given = [each["classes"][0]["class"] for each in said]
    other = next(name for name in "0123456789" if name not in given)
    for i, (file, name) in enumerate(zip(digits, [*given[:2], other], strict=True)):
        (tmp_path / "d" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name / f"{i}.png").write_bytes(file.read_bytes())
    rows = predict(exported, tmp_path / "d").stdout.splitlines()
    assert rows[0].split() == [
        "class",
        "images",
        "right",
        "accuracy",
        *["most", "often", "taken", "for"],
    ]
    assert rows[1].split() == [other, "1", "0", "0.0000", given[2]]
    assert rows[-1] == "Accuracy: 0.6667 +- 0.2722 on 3 images."
    told = json.loads(predict(exported, tmp_path / "d", "--json").stdout)
    assert sorted(each["shows"] for each in told) == sorted([*given[:2], other])
    (tmp_path / "d" / "cat").mkdir()
    result = predict(exported, tmp_path / "d")
    assert result.exit_code == 2
    assert "d/cat: class 'cat' is unknown, the network has 0, 1, " in result.stderr


def test_a_folder_of_loose_images_is_predicted_one_by_one(
    exported: Path, digits: list[Path], tmp_path: Path
) -> None:
    assert predict(exported, digits[0].parent).stdout == predict(exported, *digits).stdout
    result = predict(exported, tmp_path)
    assert result.exit_code == 2 and "there are no images (" in result.stderr
