"""`hnas search --pretrained`: from a timm DeiT-Ti to a fine-tuned network, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result
from PIL import Image

from hnas import search as hnas_search
from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame
from hnas.cli.main import hnas
from hnas.cost.flops import cost
from hnas.errors import MismatchError
from hnas.exchange.export import Network, load, save
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.studies.run.folder import open_run
from hnas.training import checkpoint
from tests.support.timm_models import filtered, timm_vit

SHORT = ("--trials", 3, "--epochs", 1, "--set", "retrain.top=1", "--set", "baselines.images=0")
SHORT += ("--set", "stage1.population=2", "--set", "stage2.population=2", "--device", "cpu")
SHORT += ("--set", "net.patch=8")  # 4 x 4 patches
DEIT, M = "deit_tiny_patch16_224", 4
"""The network, and how many of its twelve blocks the weights have."""


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of eight small photos, each of its own colour."""
    folder, rng = tmp_path_factory.mktemp("images") / "photos", np.random.default_rng(0)
    for i, name in enumerate(("ant", "bee", "cow")):
        (folder / name).mkdir(parents=True)
        for n in range(8):
            pixels = rng.integers(0, 120, (36, 32, 3), dtype=np.uint8)
            pixels[..., i] += 100
            Image.fromarray(pixels).save(folder / name / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def deit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of timm's DeiT-Ti, random, with three classes and fewer blocks."""
    file = tmp_path_factory.mktemp("weights") / "deit.pth"
    torch.save({"model": timm_vit(DEIT, num_classes=3, depth=M).state_dict()}, file)
    return file


def test_from_deit_to_a_network_that_stands_alone(
    tmp_path: Path, photos: Path, deit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("search", photos, "--pretrained", deit, "--flops", "100%", "--yes", *SHORT)
    result = invoke(*asked)
    assert result.exit_code == 0, result.output
    told = result.stdout.splitlines()[0]
    assert told.startswith(f"{deit} is taken as: the weights are those that the file calls 'model'")
    assert "images normalised by mean 0.485, 0.456, 0.406" in told
    run = open_run(Path("runs/photos-pretrained"))
    net = run.plan.net
    assert (net.d, net.M, net.image, net.patch, net.classes) == (192, M, 32, 8, 3)

    # The all-global subnet at the start is timm's network at this resolution.
    start = checkpoint.load(run.folder / "checkpoints" / "pretrained1")
    assert start is not None
    supernet = Supernet(run.plan.space1())
    supernet.load_state_dict(start.tensors)
    theirs = timm_vit(DEIT, num_classes=3, depth=M, img_size=32, patch_size=8)
    weights = torch.load(deit, weights_only=True)["model"]
    theirs.load_state_dict(filtered(weights, theirs))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs.eval()(images)
        found = supernet.eval()(images, net.all_global())
    assert wanted.std() > 1e-2
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)

    # It is exported with the weights' normalisation, and resumed without their file.
    result = invoke("export", run.folder, "--to", "winner", "--device", "cpu")
    assert result.exit_code == 0, result.output
    network = load(Path("winner"))
    assert network.mean == pytest.approx((0.485, 0.456, 0.406))
    result = invoke("predict", run.folder, photos / "ant" / "0.png", "--device", "cpu")
    assert result.exit_code == 0, result.output
    result = invoke("search", run.folder)
    assert "is finished, nothing is left to do" in result.stdout


def test_a_cut_network_begins_with_the_largest_rows(
    tmp_path: Path, photos: Path, deit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, values = shutil.copy(deit, tmp_path / "deit.pth"), {"stage1.population": 2}
    asked = {"data": str(photos), "pretrained": file, "flops": "20%", "set": values}
    small = {"stage": 1, "epochs": 1, "trials": 3, "device": "cpu"}
    found = hnas_search(**asked, **small)
    plan = found.plan
    assert plan.stage1.d_z == 1 and plan.net.M < M
    assert plan.stage1.skip and any(SKIPPED in trial.arch.blocks for trial in found.trials(1))
    start = checkpoint.load(found.run.folder / "checkpoints" / "pretrained1")
    assert start is not None
    weights = torch.load(deit, weights_only=True)["model"]
    rows = weights["blocks.0.mlp.fc1.weight"]
    size = rows.norm(dim=1) * weights["blocks.0.mlp.fc2.weight"].norm(dim=0)
    largest = size.argsort(descending=True, stable=True)[:192]
    assert torch.equal(start.tensors["blocks.0.fc1.weight"], rows[largest])

    # The same search goes on without the file; another file is another search.
    file.unlink()
    more = hnas_search(run=found.run.folder, stage=1, trials=4, device="cpu")
    assert len(more.trials(1)) == 4
    other = tmp_path / "other.pth"
    with pytest.raises(MismatchError) as caught:
        hnas_search(run=found.run.folder, pretrained=other)
    assert f"pretrained.file: stored {str(file)!r}, asked {str(other)!r}" in str(caught.value)


def test_init_writes_the_plan(
    tmp_path: Path, photos: Path, deit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("init", "--data", photos, "--pretrained", deit, "--device", "cpu")
    assert result.exit_code == 0, result.output
    text = Path("plan.toml").read_text()
    assert f'file = "{deit}"' in text and "layer_decay = 0.75" in text
    asked = ("search", photos, "--pretrained", deit, "--flops", "60%", "--yes", "--stage", "1")
    result = invoke(*asked, "--epochs", "1", "--trials", "2", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found = open_run(Path("runs/photos-pretrained")).plan
    assert found.search.flops == round(0.6 * cost(found.net, found.net.all_global()).macs)


# what is refused


def written(path: Path, kind: str, deit: Path) -> Path:
    """A file of a kind that no search can begin with."""
    frame = Frame(image=8, channels=3, patch=4, classes=2, d=48, M=2, N=3, activation="gelu")
    block = frame.block(1, 48, 4, 1, 3)
    words = {
        "text": "no weights",
        "pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 22\n",
        "page": "<!DOCTYPE html><html>not found</html>",
        "code": "cos\nsystem\n(S'exit 1'\ntR.",
    }
    if kind in words:
        path.write_text(words[kind])
    elif kind == "classifier":
        safetensors.torch.save_file({"head.weight": torch.zeros(2, 3)}, path)
    elif kind == "registers":
        model = timm_vit("vit_small_patch14_reg4_dinov2", img_size=28, depth=1)
        torch.save(model.state_dict(), path)
    elif kind in ("mixed", "conv", "skipped", "uneven"):
        plain = frame.all_global().blocks[0]
        seconds = {"mixed": block, "skipped": SKIPPED, "uneven": replace(plain, d_z=2)}
        arch = Arch((plain, seconds.get(kind, plain)))
        frame = Frame(**{**vars(frame), "stem": "conv"}) if kind == "conv" else frame
        half = (0.5,) * 3
        network = Network(model=Glit(frame, arch).reset(0), classes=("a", "b"), mean=half, std=half)
        save(network, path)
    elif kind == "grey":
        model = timm_vit("deit_tiny_patch16_224", in_chans=1, img_size=32, depth=1)
        torch.save(model.state_dict(), path)
    elif kind == "heads":
        model = timm_vit("vit_tiny_patch16_224", embed_dim=48, num_heads=3, img_size=32, depth=1)
        torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("absent.pth", "absent", "absent.pth cannot be read: No such file or directory"),
        ("x.pth", "text", "x.pth holds no weights that can be read safely"),
        ("x.safetensors", "classifier", "x.safetensors: the weights are not those of a GLiT or V"),
        (
            "x.safetensors",
            "pointer",
            "x.safetensors holds no weights that can be read safely: it i",
        ),
        ("x.pth", "page", "x.pth holds no weights that can be read safely: it is a web page, whi"),
        ("x.pth", "code", "x.pth holds no weights that can be read safely (it asks for 'os.syste"),
        ("x.pth", "grey", "x.pth: nothing is known of the normalisation of images with 1 channel"),
        ("net", "skipped", "net: a search begins with a plain ViT, and this network has skipped b"),
        ("net", "uneven", "net: all blocks must have one size, got (d_k, d_z) of [(48, 2), (48, 4"),
        ("x.pth", "registers", "x.pth: the weights have register tokens, which take part in"),
        ("net", "mixed", "net: a search begins with a plain ViT, and this network has mixed bloc"),
        ("net.json", "conv", "net.json: a search begins with a plain ViT, whose stem is 'patch'"),
        ("x.pth", "heads", "x.pth: a token width of 48 is not N=3 groups of 64-wide heads"),
    ],
)
def test_a_file_that_no_search_can_begin_with(
    tmp_path: Path,
    photos: Path,
    deit: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(Path(name), kind, deit)
    result = invoke("search", photos, "--pretrained", file, "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {message}")
    if kind in ("heads", "grey"):  # what to do about it
        assert "by hnas import --" in result.stderr.replace("\n", " ")
    assert not Path("runs").exists()


@pytest.mark.parametrize("other", [("--preset", "digits"), ("--plan", "plan.toml"), ()])
def test_it_is_for_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("search", "--pretrained", "x.pth", *other)
    assert result.exit_code == 2
    assert "--data" in result.stderr and "--pretrained" in result.stderr


def test_a_plan_whose_network_is_another(
    tmp_path: Path, photos: Path, deit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("init", "--data", photos, "--pretrained", deit, "--device", "cpu")
    text = Path("plan.toml").read_text()
    Path("plan.toml").write_text(text.replace('activation = "gelu"', 'activation = "swish"'))
    result = invoke("search", "--plan", "plan.toml", *SHORT)
    assert result.exit_code == 2
    assert f"{deit}: the plan's net must be that of the pretrained weights" in result.stderr
    assert "activation: stored 'gelu', asked 'swish'" in result.stderr


def test_a_network_of_hnas(
    tmp_path: Path, photos: Path, deit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("import", deit, "--to", "net", "--mean", 0.1, "--std", 0.2).exit_code == 0
    result = invoke("init", "--data", photos, "--pretrained", "net", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "mean = [0.1, 0.1, 0.1]" in Path("plan.toml").read_text()
    assert json.loads(Path("net.json").read_text())["mean"] == [0.1, 0.1, 0.1]


def test_other_heads_and_safetensors(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A headless ViT whose heads are not as wide as timm's: first imported, as the message says."""
    monkeypatch.chdir(tmp_path)
    sizes = {"embed_dim": 48, "num_heads": 3, "img_size": 32, "depth": 2, "num_classes": 0}
    weights = timm_vit("vit_tiny_patch16_224", **sizes).state_dict()
    safetensors.torch.save_file(weights, "small.safetensors")
    begin = ("init", "--data", photos, "--device", "cpu", "--pretrained")
    assert invoke(*begin, "small.safetensors").exit_code == 2
    heads = ("--heads", 1, "--groups", 3)
    assert invoke("import", "small.safetensors", *heads, "--to", "net").exit_code == 0
    result = invoke(*begin, "net.safetensors")
    assert result.exit_code == 0, result.output
    assert "d = 48" in Path("plan.toml").read_text()
