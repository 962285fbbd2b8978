"""`hnas import`: what it writes and prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame
from hnas.cli.main import hnas
from hnas.exchange.export import load
from tests.support.references import Reference, glit_tiny, published

FRAME = Frame(image=12, channels=3, patch=4, classes=5, d=12, M=2, N=3, heads=1, activation="gelu")
ARCH = Arch((Block(G=1, L=2, d_k=12, d_z=4, E=2, K=5), Block(G=0, L=3, d_z=6, E=1, K=3)))


def imported(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["import", *map(str, args)], catch_exceptions=False)


def write(path: Path, reference: Reference) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(reference.state_dict(), path)
    else:
        torch.save(reference.state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["tiny.pth", "tiny.safetensors"])
def test_glit_tiny(tmp_path: Path, name: str) -> None:
    reference = Reference(published(192), glit_tiny(), release=True)
    file = write(tmp_path / name, reference)
    result = imported(file, "--to", tmp_path / "w")
    assert result.exit_code == 0, result.output
    heads, gelu, pool, normalised, drawn, *rows, first, second = result.stdout.splitlines()
    assert heads == "taken as: 3 heads 64 wide, 3 groups of 1"
    assert gelu == "taken as: activation gelu"
    assert pool == "taken as: the classifier sees the class token"
    assert normalised.endswith("; ImageNet's, as of GLiT's release")
    assert drawn == (
        "■□◧■□◧■◧□■□■   ■ global  ◧ mixed  □ local   (224 x 224 pixels, 3 x 1 heads, "
        "local head conv1d, stem patch, pool class)"
    )
    assert rows[-1].split() == ["total", "1,472,873,280", "7,264,456"]
    assert first.startswith(f"Wrote {tmp_path / 'w.safetensors'} (")
    assert second.startswith(f"Wrote {tmp_path / 'w.json'} (")

    network = load(tmp_path / "w")
    assert (network.mean, network.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert network.classes == tuple(map(str, range(1000)))
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network.model(x), reference(x), rtol=0, atol=1e-5)


def test_a_vit_in_groups_and_heads_that_are_said(tmp_path: Path) -> None:
    frame = Frame(
        image=8, channels=3, patch=4, classes=2, d=16, M=1, N=2, heads=4, activation="gelu"
    )
    file = write(tmp_path / "vit.pth", Reference(frame, frame.all_global(), release=False))
    result = imported(file, "--to", tmp_path / "w", "--groups", 2, "--heads", 4)
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "w").model
    assert (model.frame, model.arch) == (frame, frame.all_global())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "a token width of 12 is not N=3 groups of 64-wide heads, and shapes do not tell"),
        (("--heads", 0), "heads must be a whole number >= 1, got 0"),
        (("--groups", 0, "--heads", 1), "N must be a whole number >= 1, got 0"),
        (("--groups", 0), "N must be a whole number >= 1, got 0"),
        (("--groups", 5, "--heads", 1), "N must divide d=12, got N=5"),
    ],
)
def test_what_does_not_fit_names_the_file(
    tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    file = write(tmp_path / "x.pth", Reference(FRAME, ARCH, release=True))
    result = imported(file, "--to", tmp_path / "w", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {file}: {message}")
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_known_of_grey_images(tmp_path: Path) -> None:
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=192, M=1, N=3, activation="gelu")
    file = write(tmp_path / "x.pth", Reference(frame, frame.all_global(), release=False))
    result = imported(file, "--to", tmp_path / "w")
    assert result.exit_code == 2
    assert (
        f"{file}: nothing is known of the normalisation of images with 1 channels: give mean and "
        "deviation of each, by hnas import --mean, --std"
    ) in result.stderr
    result = imported(file, "--to", tmp_path / "w", "--mean", "0.3", "--std", 0.25)
    assert result.exit_code == 0, result.output
    network = load(tmp_path / "w")
    assert (network.mean, network.std) == ((0.3,), (0.25,))


def test_what_weights_do_not_say_is_said_or_printed(tmp_path: Path) -> None:
    frame = Frame(image=8, channels=3, patch=4, classes=2, d=192, M=1, N=3, activation="swish")
    file = write(tmp_path / "x.pth", Reference(frame, frame.all_global(), release=False))
    said = ("--activation", "swish", "--mean", "0.1,0.2,0.3", "--std", "1,2,3")
    result = imported(file, "--to", tmp_path / "w", *said)
    assert result.exit_code == 0, result.output
    assert "normalised" not in result.stdout and "activation" not in result.stdout
    assert "taken as: 3 heads 64 wide, 3 groups of 1\n" in result.stdout
    network = load(tmp_path / "w")
    assert (network.model.frame, network.mean) == (frame, (0.1, 0.2, 0.3))
    result = imported(file, "--to", tmp_path / "v", "--mean", "dark")
    assert (result.exit_code, "'dark' must be numbers with commas" in result.stderr) == (2, True)


def test_bytes_that_are_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    result = imported(file, "--to", tmp_path / "w")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        f"Error: {file} holds no weights that can be read safely (it asks for 'os.system'). "
    )
    assert "Traceback" not in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = imported(tmp_path / "x.pth", "--to", tmp_path / "w")
    assert result.exit_code == 2
    assert (
        result.stderr == f"Error: {tmp_path / 'x.pth'} cannot be read: No such file or directory\n"
    )


def test_the_file_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    file = write(tmp_path / "x.safetensors", Reference(FRAME, ARCH, release=True))
    before = file.read_bytes()
    result = imported(file, "--heads", 1, "--to", tmp_path / "x")
    assert result.exit_code == 2
    assert "would replace the file to be read: give another name" in result.stderr
    assert file.read_bytes() == before
