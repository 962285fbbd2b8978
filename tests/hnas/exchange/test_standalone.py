"""NAME.py, the network without hnas: the same logits where hnas cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from PIL import Image
from torch import Tensor

from hnas.architecture.space import Frame, size_space
from hnas.data import normalise
from hnas.data.size import Size
from hnas.data.sources.files import File, read
from hnas.errors import CheckpointError
from hnas.exchange import standalone
from hnas.exchange.export import Network, load, save
from hnas.exchange.predict import likeliest, probabilities
from hnas.network.glit import Glit
from hnas.network.stem import stem
from tests.support.forked import Process
from tests.support.generators import spaces_and_archs

FRAME = Frame(image=8, channels=3, patch=4, classes=3, d=12, M=3, N=3, heads=2)


def images(count: int, frame: Frame = FRAME) -> Tensor:
    """The same ones in every run of the tests: (count, channels, image, image)."""
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, frame.channels, frame.image, frame.image, generator=generator)


def network(frame: Frame = FRAME, arch=None, seed: int = 0) -> Network:
    """With BatchNorm statistics that are not the initial ones."""
    if arch is None:
        space = size_space(frame, None, d_k=(6, 12), d_z=(2,), E=(2,), K=(3,))
        kinds = {block.kind: block for block in space.choices[0]}
        arch = type(frame.all_global())((kinds["global"], kinds["mixed"], kinds["local"]))
    model = Glit(frame, arch).reset(seed)
    with torch.no_grad():
        model(images(4, frame))
    mean, std = (0.4, 0.5, 0.6)[: frame.channels], (0.2, 0.25, 0.3)[: frame.channels]
    names = tuple(f"class {i}" for i in range(frame.classes))
    return Network(model=model.eval(), classes=names, mean=mean, std=std)


def python(folder: Path, *args: str) -> str:
    """What Python prints in `folder`, with hnas out of its reach."""
    folder.joinpath("sitecustomize.py").write_text(
        "import sys\nsys.modules.update(dict.fromkeys(('hnas', 'studies', 'cli')))\n"
    )
    ran = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def forked(folder, code):
    """The same of what has imported torch already."""
    command = ["-c", f"{WITHOUT_HNAS}\n{code}"]
    with Process(command, cwd=folder, stderr=subprocess.PIPE) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


WITHOUT_HNAS = """
import sys
for name in [*sys.modules, "hnas"]:
    if name.split(".")[0] == "hnas":
        sys.modules[name] = None
"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(spaces_and_archs())
def test_it_computes_what_the_network_does(tmp_path, drawn):
    space, arch = drawn
    made = network(space.frame, arch)
    save(made, tmp_path / "net", force=True)
    alone = standalone.load(tmp_path / "net")
    frame = space.frame
    x = images(3, frame)
    with torch.no_grad():  # a stem's convolutions round by their layout in memory
        torch.testing.assert_close(alone(x), made.model(x), rtol=1e-5, atol=1e-5)
    assert alone.classes == made.classes and not alone.training


def test_it_needs_nothing_of_hnas(tmp_path):
    made = network()
    save(made, tmp_path / "net", also=("py",))
    x = images(5)
    torch.save(x, tmp_path / "x.pt")
    code = (
        "import torch; from net import load; from importlib.util import find_spec\n"
        "try: import hnas; print('hnas!')\nexcept ImportError: pass\n"
        "with torch.no_grad(): torch.save(load()(torch.load('x.pt')), 'y.pt')\n"
    )
    assert python(tmp_path, "-c", code) == ""
    with torch.no_grad():
        torch.testing.assert_close(
            torch.load(tmp_path / "y.pt"), made.model(x), rtol=1e-5, atol=1e-5
        )


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    return exif


def picture(path: Path, *, mode: str = "RGB", size: tuple[int, int] = (40, 30), **how) -> Path:
    grid = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(grid)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8)
    else:
        image = image.convert(mode)
    image.save(path, **how)
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.png", {}),
        ("grey.png", {"mode": "L"}),
        ("deep.png", {"mode": "I;16"}),
        ("large.jpg", {"size": (300, 200)}),
        ("turned.jpg", {"exif": turned()}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_sees_an_image_as_the_training_does(tmp_path, name, how, channels):
    made = network(Frame(image=8, channels=channels, patch=4, classes=3, d=12, M=3, N=3, heads=2))
    save(made, tmp_path / "net")
    alone = standalone.load(tmp_path / "net")
    file = picture(tmp_path / name, **how)
    pixels = read(File(str(file), 0), Size(8, channels))
    assert torch.equal(alone.open(file), pixels)
    mean, std = torch.tensor(made.mean), torch.tensor(made.std)
    assert torch.equal(alone.normalise(pixels[None]), normalise(pixels[None], mean, std))


@pytest.mark.parametrize("background", ["white", "black"])
def test_it_lays_what_is_transparent_on_what_the_training_did(tmp_path, background):
    save(replace(network(), background=background), tmp_path / "net", also=("py",))
    Image.new("RGBA", (9, 9), (0, 200, 0, 0)).save(tmp_path / "clear.png")
    code = "from net import load; print(load().open('clear.png').unique().tolist())"
    value = {"white": 255, "black": 0}[background]
    assert forked(tmp_path, code) == f"[{value}]\n"
    assert load(tmp_path / "net").background == background


@pytest.mark.parametrize("way", ["bilinear", "bicubic"])
def test_it_resizes_as_the_training_did(tmp_path, way):
    save(replace(network(), interpolation=way), tmp_path / "net")
    file = picture(tmp_path / "a.png")
    alone = standalone.load(tmp_path / "net")
    assert torch.equal(alone.open(file), read(File(str(file), 0), Size(8, 3, interpolation=way)))
    assert load(tmp_path / "net").interpolation == alone.default_cfg["interpolation"] == way


@pytest.mark.parametrize("share", [0.875, 0.5])
def test_it_sees_the_share_of_a_picture_that_the_training_did(tmp_path, share):
    save(replace(network(), crop_pct=share), tmp_path / "net", also=("py",))
    file = picture(tmp_path / "a.png")
    alone, size = standalone.load(tmp_path / "net"), Size(8, 3, crop_pct=share)
    seen = read(File(str(file), 0), size)
    assert torch.equal(alone.open(file), seen)
    assert not torch.equal(seen, read(File(str(file), 0), Size(8, 3)))
    assert load(tmp_path / "net").size == size and alone.default_cfg["crop_pct"] == share
    code = "from net import load; print(load().open('a.png').tolist())"
    assert json.loads(forked(tmp_path, code)) == seen.tolist()


@pytest.mark.parametrize("value", [0.05, 1.5, "1", None])
def test_a_share_that_is_none_is_refused(tmp_path, value):
    save(network(), tmp_path / "net")
    file = tmp_path / "net.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "crop_pct": value}))
    with pytest.raises(CheckpointError, match=r"net.json does not describe a network"):
        load(tmp_path / "net")


@pytest.mark.parametrize("name", ["background", "interpolation"])
def test_a_way_that_is_not_known_is_refused(tmp_path, name):
    save(network(), tmp_path / "net")
    file = tmp_path / "net.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: "odd"}))
    with pytest.raises(CheckpointError, match=f"{name} must be one of .*, got 'odd'"):
        load(tmp_path / "net")


def test_as_a_program_it_tells_the_likeliest_classes(tmp_path):
    made = network()
    save(made, tmp_path / "net", also=("py",))
    file = picture(tmp_path / "a.png")
    row = probabilities(made, read(File(str(file), 0), Size(8, 3))[None])[0]
    best = likeliest(row, made.classes, 5)
    assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)
    told = ", ".join(f"{name} {p:.4f}" for name, p in best)
    assert python(tmp_path, "net.py", "a.png") == f"a.png: {told}\n"


@pytest.mark.parametrize("kind", ["patch", "conv", "residual"])
@pytest.mark.parametrize("pool", ["class", "mean"])
def test_it_offers_what_timm_models_do(tmp_path, kind, pool):
    made = network(replace(FRAME, stem=kind, pool=pool))
    save(made, tmp_path / "net")
    alone = standalone.load(tmp_path / "net")
    x = images(2)
    tokens = alone.forward_features(x)
    seen = tokens[:, 0] if pool == "class" else tokens.mean(1)
    assert tokens.shape == (2, made.model.frame.T, 12) and alone.num_features == 12
    assert torch.equal(alone.forward_head(tokens), alone(x))
    assert torch.equal(alone.forward_head(tokens, pre_logits=True), seen)
    first = alone.get_submodule(alone.default_cfg["first_conv"])
    assert isinstance(first, torch.nn.Conv2d) and first.in_channels == 3
    assert alone.default_cfg["input_size"] == (3, 8, 8)
    assert alone.default_cfg["mean"] == made.mean
    assert alone.get_classifier() is alone.head
    alone.reset_classifier(7)
    assert alone(x).shape == (2, 7) and alone.num_classes == len(alone.classes) == 7
    alone.reset_classifier(0)
    assert torch.equal(alone(x), seen)


@pytest.mark.parametrize("kind", ["conv", "residual"])
@pytest.mark.parametrize("patch", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("side", [1, 7, 11, 12, 64])
def test_its_stems_are_those_of_hnas(kind: str, patch: int, side: int) -> None:
    """Small images and large ones, 44 and 48 pixels too: a residual stem begins otherwise."""
    frame = replace(FRAME, image=side * patch, patch=patch, d=48, stem=kind)
    found, expected = standalone.stem(asdict(frame)), stem(frame)
    assert {name: w.shape for name, w in found.state_dict().items()} == {
        name: w.shape for name, w in expected.state_dict().items()
    }
    found.load_state_dict(expected.state_dict())
    x = torch.randn(1, frame.channels, frame.image, frame.image)
    with torch.no_grad():
        torch.testing.assert_close(found.eval()(x), expected.eval()(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "hnas-network-9"}, "the format must be 'hnas-network-1', got 'hnas-network-9'"),
        ({"frame": {"colour": 3}}, r"does not know \['colour'\]: take that of a newer hnas"),
    ],
)
def test_what_it_does_not_know_is_told(tmp_path, change, message):
    described, _ = save(network(), tmp_path / "net")[::-1]
    described.write_text(json.dumps({**json.loads(described.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        standalone.load(tmp_path / "net")


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        replace(FRAME, local="conv2d", stem="conv", pool="mean"),
        replace(FRAME, local="attention", stem="residual"),
    ],
)
def test_it_exports_for_any_batch(tmp_path, frame):
    save(network(frame), tmp_path / "net")
    alone = standalone.load(tmp_path / "net")
    images = torch.randn(5, 3, 8, 8)
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=1024)}}
    graph = torch.export.export(alone, (images[:2],), dynamic_shapes=shapes).module()
    with torch.no_grad():
        for batch in (1, 3, 5):
            torch.testing.assert_close(graph(images[:batch]), alone(images[:batch]))


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_what_blocks_give_is_there_under_timms_name(tmp_path, pool):
    save(network(replace(FRAME, pool=pool)), tmp_path / "net")
    alone = standalone.load(tmp_path / "net")
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        last, all_of_them = alone.forward_intermediates(images)
        torch.testing.assert_close(last, alone.forward_features(images))
        assert [each.shape for each in all_of_them] == [(2, 12, 2, 2)] * 3
        first, third = alone.forward_intermediates(
            images, indices=[0, -1], norm=True, output_fmt="NLC", intermediates_only=True
        )
        _, last_two = alone.forward_intermediates(images, indices=2)
        assert [*map(torch.equal, last_two, all_of_them[1:])] == [True, True]
        for none in (0, []):
            assert alone.forward_intermediates(images, none, intermediates_only=True) == []
    torch.testing.assert_close(third, last[:, last.shape[1] - 4 :])
    torch.testing.assert_close(
        first, alone.norm(all_of_them[0].flatten(2).transpose(1, 2)), rtol=1e-5, atol=1e-5
    )
    for beyond in ([3], 4):
        with pytest.raises(IndexError):
            alone.forward_intermediates(images, indices=beyond)
    assert alone.embed_dim == alone.num_features and alone.pretrained_cfg is alone.default_cfg
