"""Weights of references written from their descriptions: logits, what is inferred, what is told."""

from __future__ import annotations

import argparse
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, distribution_space
from hnas.errors import InputError
from hnas.exchange.import_weights import Asked, recognised
from hnas.exchange.weights_file import read_weights
from hnas.network.supernet import Supernet, inherit
from tests.support.generators import frames, spaces_and_archs
from tests.support.references import Reference, glit_tiny, published

FRAME = Frame(image=12, channels=3, patch=4, classes=5, d=12, M=3, N=3, heads=2, activation="gelu")
ARCH = Arch(
    (
        Block(G=3, L=0, d_k=24, d_z=2),
        Block(G=1, L=2, d_k=12, d_z=4, E=2, K=5),
        Block(G=0, L=3, d_z=6, E=1, K=3),
    )
)

PUBLISHED = {"activation": "gelu", "local": "conv1d", "stem": "patch", "pool": "class"}
"""What every network has whose weights were published."""


def pixels(frame: Frame) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, frame.channels, frame.image, frame.image, generator=generator)


def release(frame: Frame = FRAME, arch: Arch = ARCH) -> dict[str, torch.Tensor]:
    return Reference(frame, arch, release=True).state_dict()


def check(reference: Reference, net: torch.nn.Module, frame: Frame, *, atol: float = 1e-5) -> None:
    images = pixels(frame).to(net.cls_token.dtype)
    with torch.no_grad():
        wanted = reference(images)
        assert wanted.std() > 1e-3
        torch.testing.assert_close(net(images), wanted, rtol=0, atol=atol)


def loaded(weights, **asked):
    return recognised(weights, Asked(**asked))[0]


# logits and what is inferred

# Random networks are compared in fp64: a LayerNorm over few channels magnifies rounding in fp32.


@settings(max_examples=50)
@given(spaces_and_archs())
def test_any_network_under_the_release_s_names(drawn):
    space, arch = drawn
    assume(all(block.G + block.L for block in arch.blocks))  # the release skips no block
    frame = replace(space.frame, **PUBLISHED)
    reference = Reference(frame, arch, release=True)
    net = loaded(reference.state_dict(), groups=frame.N, heads=frame.heads)
    assert (net.frame, net.arch, net.training) == (frame, arch, False)
    check(reference.double(), net.double(), frame, atol=1e-9)


@settings(max_examples=25)
@given(frames())
def test_any_vit_under_timm_s_names(drawn):
    frame = replace(drawn, **PUBLISHED)
    reference = Reference(frame, frame.all_global(), release=False)
    net = loaded(reference.state_dict(), groups=frame.N, heads=frame.heads)
    assert (net.frame, net.arch, net.training) == (frame, frame.all_global(), False)
    check(reference.double(), net.double(), frame, atol=1e-9)


def test_glit_tiny_at_full_size():
    frame = published(192)
    reference = Reference(frame, glit_tiny(), release=True)
    weights = reference.state_dict()
    assert {
        "blocks.1.0.attn.net.3.conv.weight",
        "blocks.0.0.attn.qkv.weight",
        "blocks.0.0.mlp.fc1.weight",
    } <= weights.keys()
    net = loaded(weights)
    assert (net.frame, net.arch) == (frame, glit_tiny())
    assert sum(p.numel() for p in net.parameters()) == 7_264_456
    check(reference, net, frame)


def test_deit_ti_at_full_size():
    frame = published(192)
    reference = Reference(frame, frame.all_global(), release=False)
    net = loaded(reference.state_dict())
    assert (net.frame, net.arch) == (frame, frame.all_global())
    assert sum(p.numel() for p in net.parameters()) == 5_717_416
    check(reference, net, frame)


@pytest.mark.parametrize(
    ("d", "N", "heads"), [(192, 3, 1), (384, 3, 2), (768, 3, 4), (128, 2, 1), (256, 4, 1)]
)
def test_heads_are_64_wide_where_none_are_given(d, N, heads):
    frame = replace(FRAME, d=d, M=1, N=N, heads=heads)
    reference = Reference(frame, frame.all_global(), release=False)
    net = loaded(reference.state_dict())
    assert net.frame == frame
    check(reference, net, frame)


def test_pointwise_convolutions_may_be_linear_layers():
    weights = release()
    for name, weight in weights.items():
        if name.endswith(("net.1.weight", "net.6.weight")):
            weights[name] = weight.squeeze(-1)
    net = loaded(weights, heads=2)
    check(Reference(FRAME, ARCH, release=True), net, FRAME)


def test_the_all_global_subnet_of_a_supernet_out_of_deit_is_deit():
    frame = replace(published(192), M=2)
    reference = Reference(frame, frame.all_global(), release=False)
    net = Supernet(distribution_space(frame, d_k=192, d_z=4, E=1, K=31)).reset(1).eval()
    vit = loaded(reference.state_dict())
    inherit(net, vit)
    with torch.no_grad():
        logits = net(pixels(frame), frame.all_global())
        assert torch.equal(logits, vit(pixels(frame)))
        torch.testing.assert_close(logits, reference(pixels(frame)), rtol=0, atol=1e-5)


def test_half_precision_is_taken_into_fp32():
    weights = {name: w.half() if w.is_floating_point() else w for name, w in release().items()}
    state = loaded(weights, heads=2).state_dict()
    assert torch.equal(state["head.weight"], weights["head.weight"].float())


def test_the_network_has_weights_of_its_own():
    weights = release()
    net = loaded(weights, heads=2)
    weights["head.weight"].zero_()
    assert net.head.weight.abs().min() > 0


# what does not fit


def test_all_that_does_not_fit_is_listed():
    weights = release()
    del weights["blocks.1.0.attn.net.4.running_var"], weights["norm.bias"]
    weights["blocks.1.0.ls1.gamma"] = torch.ones(12)
    weights["blocks.0.0.mlp.fc2.weight"] = torch.zeros(12, 23)
    weights["blocks.0.0.attn.qkv.weight"] = torch.zeros(73, 12)
    weights["head.bias"] = torch.zeros(5, dtype=torch.int64)
    weights["cls_token"] = torch.zeros(1, 1, 12, device="meta")
    weights["pos_embed"] = torch.zeros(1, 1, 1).expand(1, 10, 12)
    with pytest.raises(InputError) as caught:
        loaded(weights, heads=2)
    start, faults = str(caught.value).split("): ", 1)
    assert start == (
        "the weights do not fit the network that their shapes describe (d=12, M=3, N=3, heads=2"
    )
    assert sorted(faults.split("; ")) == [
        "'blocks.1.0.ls1.gamma' is unknown",
        "blocks.0.0.attn.qkv.weight must have the shape (72, 12), got (73, 12)",
        "blocks.0.0.mlp.fc2.weight must have the shape (12, 24), got (12, 23)",
        "blocks.1.0.attn.net.4.running_var is missing",
        "cls_token must be a dense tensor",
        "head.bias must be like torch.float32, got torch.int64",
        "norm.bias is missing",
        "pos_embed must have its numbers in memory, got a view that repeats some",
    ]


def test_a_long_list_is_cut():
    weights = release() | {f"extra.{i}": torch.zeros(1) for i in range(25)}
    with pytest.raises(InputError, match=r"'extra.19' is unknown; and 5 more$"):
        loaded(weights, heads=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos_embed": None}, "not those of a GLiT or ViT: pos_embed is missing"),
        ({"blocks.2.0.mlp.fc1.weight": None}, "blocks.2.0.mlp.fc1.weight is missing"),
        ({"blocks.0.0.attn.qkv.weight": None}, "blocks.0.0.attn.qkv.weight is missing"),
        ({"pos_embed": (1, 9, 12)}, "a class token and a square of patches, got 9 tokens"),
        ({"pos_embed": (1, 1, 12)}, "a class token and a square of patches, got 1 tokens"),
        ({"head.weight": (5,)}, "head.weight must have 2 dimensions, none empty, got (5,)"),
        (
            {"blocks.2.0.attn.net.1.weight": (0, 12, 1)},
            "blocks.2.0.attn.net.1.weight must have 2 or 3 dimensions, none empty, got (0, 12, 1)",
        ),
        (
            {"blocks.2.0.attn.net.3.conv.weight": (12, 1, 4)},
            "blocks.2.0.attn and blocks.2.0.mlp are not a block of GLiT: K must be odd",
        ),
        (
            {"blocks.1.0.attn.qkv.weight": (48, 8)},
            "blocks.1.0.attn and blocks.1.0.mlp are not a block of GLiT: G + L must be N=3, got "
            "G=2, L=2",
        ),
    ],
)
def test_shapes_that_describe_no_network(change, message):
    weights = release()
    for name, shape in change.items():
        if shape is None:
            del weights[name]
        else:
            weights[name] = torch.zeros(shape)
    with pytest.raises(InputError) as caught:
        loaded(weights, heads=2)
    assert message in str(caught.value)


def test_heads_that_shapes_do_not_tell_are_asked_for():
    with pytest.raises(InputError, match="a token width of 12 is not N=3 groups of 64-wide heads"):
        loaded(release())


@pytest.mark.parametrize("weights", [{}, {"blocks.0.": torch.zeros(1)}, {"blocks.": torch.ones(2)}])
def test_weights_of_something_else(weights):
    with pytest.raises(InputError, match=r"patch_embed\.proj\.weight is missing"):
        loaded(weights)


# files


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


def test_files_of_weights(tmp_path: Path):
    weights = release()
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors")
    torch.save(weights, tmp_path / "b.pth")
    options = argparse.Namespace(lr=0.1, betas=[0.9, 0.99])
    torch.save({"model": weights, "epoch": 3, "args": options}, tmp_path / "c.pth")
    for name in ("a.safetensors", "b.pth", "c.pth"):
        assert same(read_weights(tmp_path / name)[0], weights)


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_code_in_a_file_is_not_run(tmp_path: Path, nested: bool, zipped: bool):
    harm: object = Harm(tmp_path / "harmed")
    if nested:
        harm = {"model": release(), "args": argparse.Namespace(x=harm)}
    file = tmp_path / "x.pth"
    torch.save(harm, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"x.pth holds no weights that can be read safely \(it as"):
        read_weights(file)
    assert list(tmp_path.iterdir()) == [file]
    torch.load(file, weights_only=False)
    assert (tmp_path / "harmed").exists()  # the file was harmful


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "must hold a state dict"),
        ({"model": {"a": 1}}, "must hold a state dict"),
        ({1: torch.zeros(1)}, "must hold a state dict"),
    ],
)
def test_files_of_something_else(tmp_path: Path, value: object, message: str):
    torch.save(value, tmp_path / "x.pth")
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "x.pth")


def test_a_file_that_is_not_there(tmp_path: Path):
    for name in ("x.pth", "x.safetensors"):
        with pytest.raises(InputError, match=f"{name} cannot be read: No such file or directory"):
            read_weights(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(("x.pth", "x.safetensors")), st.booleans())
def test_any_bytes_give_one_of_our_errors(tmp_path: Path, data: bytes, name: str, pickled: bool):
    (tmp_path / name).write_bytes(pickle.dumps(data) + data if pickled else data)
    with pytest.raises(InputError, match=f"{name} holds no weights that can be read safely"):
        read_weights(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_a_damaged_file_gives_weights_or_one_of_our_errors(tmp_path: Path, data: st.DataObject):
    name = data.draw(st.sampled_from(("x.pth", "x.safetensors")))
    if name == "x.pth":
        torch.save(release(), tmp_path / name)
    else:
        safetensors.torch.save_file(release(), tmp_path / name)
    content = bytearray((tmp_path / name).read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        loaded(read_weights(tmp_path / name)[0], heads=2)
    except InputError as error:
        assert str(error)
