"""Weights of timm's own models: the same logits, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from hnas.errors import InputError
from hnas.exchange.import_network import Imported, import_network
from hnas.exchange.import_weights import Asked
from tests.support.timm_models import timm_vit

SMALL = {"img_size": 48, "num_classes": 7, "depth": 2}


def read(tmp_path: Path, weights: object, asked: Asked | None = None) -> Imported:
    torch.save(weights, tmp_path / "weights.pth")
    return import_network(tmp_path / "weights.pth", asked or Asked())


def logits(net: nn.Module, image: int, channels: int = 3) -> Tensor:
    images = torch.randn(2, channels, image, image, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found: Tensor = net(images)
    return found


def check(imported: Imported, model: nn.Module) -> None:
    frame = imported.network.model.frame
    wanted = logits(model, frame.image, frame.channels)
    assert wanted.std() > 1e-2
    found = logits(imported.network.model, frame.image, frame.channels)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "changes", "heads"),
    [
        ("deit_tiny_patch16_224", {}, (3, 1)),
        ("vit_small_patch16_224", {}, (3, 2)),
        ("vit_medium_patch16_gap_256", {}, (4, 2)),  # no class token: the mean of the patches
        ("vit_large_patch16_224", {"depth": 1}, (4, 4)),
        ("vit_huge_patch14_224", {"depth": 1, "img_size": 14}, (4, 4)),  # heads 80 wide
        ("deit3_small_patch16_224", {}, (3, 2)),  # LayerScale, a class token without position
        ("vit_small_patch14_dinov2", {"img_size": 42}, (3, 2)),
        ("vit_tiny_patch16_224", {"qkv_bias": False}, (3, 1)),
        ("vit_tiny_patch16_224", {"in_chans": 1}, (3, 1)),
    ],
)
def test_the_same_logits(
    tmp_path: Path, name: str, changes: dict[str, object], heads: tuple[int, int]
) -> None:
    model = timm_vit(name, **(SMALL | changes))
    imported = read(tmp_path, model.state_dict(), Asked(mean=(0.5,), std=(0.5,)))
    frame = imported.network.model.frame
    assert (frame.N, frame.heads) == heads
    assert frame.pool == ("mean" if "gap" in name else "class")
    check(imported, model)


def test_a_published_size(tmp_path: Path) -> None:
    model = timm_vit("deit_tiny_patch16_224")
    check(read(tmp_path, model.state_dict()), model)


def test_weights_without_a_classifier(tmp_path: Path) -> None:
    model = timm_vit("vit_tiny_patch16_224", **SMALL | {"num_classes": 0})
    imported = read(tmp_path, model.state_dict())
    assert "no classifier in the file: one class, of zeros; a search replaces it" in imported.taken
    net = imported.network.model
    net.head = nn.Identity()
    torch.testing.assert_close(logits(net, 48), logits(model, 48), rtol=0, atol=1e-5)


def test_a_distilled_deit_by_its_class_token(tmp_path: Path) -> None:
    changes = SMALL | {"num_classes": 7}
    weights = timm_vit("deit_tiny_distilled_patch16_224", **changes).state_dict()
    imported = read(tmp_path, weights)
    assert any(words.startswith("a distilled DeiT is taken by") for words in imported.taken)
    plain = timm_vit("deit_tiny_patch16_224", **changes)
    kept = {name: w for name, w in weights.items() if "dist" not in name}
    kept["pos_embed"] = torch.cat((kept["pos_embed"][:, :1], kept["pos_embed"][:, 2:]), dim=1)
    plain.load_state_dict(kept)
    check(imported, plain)


# wrappers and prefixes


def under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: weight for name, weight in weights.items()}


def test_wrappers_and_prefixes(tmp_path: Path) -> None:
    model = timm_vit("deit_tiny_patch16_224", **SMALL)
    w = model.state_dict()
    other = {name: weight + 1 for name, weight in w.items()}
    for wrapped, told in (
        (w, None),
        ({"state_dict": w, "epoch": 3}, "state_dict"),
        ({"state_dict": other, "state_dict_ema": w}, "state_dict_ema"),
        ({"model": other, "model_ema": w}, "model_ema"),
        ({"model": under("module.", w)}, "model"),
        (under("_orig_mod.", w), None),
        ({"state_dict": under("model.", w)}, "state_dict"),
        ({"model": {"state_dict": under("module._orig_mod.", w)}}, "state_dict"),
    ):
        imported = read(tmp_path, wrapped)
        check(imported, model)
        words = f"the weights are those that the file calls {told!r}"
        assert (words in imported.taken) == (told is not None)


def test_a_safetensors_file(tmp_path: Path) -> None:
    model = timm_vit("deit_tiny_patch16_224", **SMALL)
    safetensors.torch.save_file(under("module.", model.state_dict()), tmp_path / "w.safetensors")
    check(import_network(tmp_path / "w.safetensors"), model)


# Hugging Face's names

NAMES = {
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "cls_token": "embeddings.cls_token",
    "dist_token": "embeddings.distillation_token",
    "pos_embed": "embeddings.position_embeddings",
    "blocks.": "encoder.layer.",
    "attn.proj.": "attention.output.dense.",
}
VIT = {
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
    "mlp.fc1.": "intermediate.dense.",
    "mlp.fc2.": "output.dense.",
}
DINOV2 = {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}


def hugging_face(
    weights: dict[str, Tensor], prefix: str, kind: dict[str, str]
) -> dict[str, Tensor]:
    """The weights under Hugging Face's names, as their published files have them."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.startswith("norm."):
            name = prefix + name.replace("norm.", "layernorm.")
        elif name.startswith("head_dist."):
            name = name.replace("head_dist", "distillation_classifier")
        elif name.startswith("head."):
            name = name.replace(
                "head", "cls_classifier" if "dist_token" in weights else "classifier"
            )
        else:
            for ours, theirs in (NAMES | kind).items():
                name = name.replace(ours, theirs)
            name = prefix + name
        if ".attn.qkv." in name:
            for part, rows in zip(("query", "key", "value"), weight.chunk(3), strict=True):
                found[name.replace("attn.qkv", f"attention.attention.{part}")] = rows
        else:
            found[name] = weight
    return found


@pytest.mark.parametrize(
    ("name", "prefix", "kind", "classes", "imagenet"),
    [
        ("vit_tiny_patch16_224", "vit.", VIT, 7, False),
        ("deit_tiny_patch16_224", "deit.", VIT, 7, True),
        ("vit_small_patch14_dinov2", "", DINOV2, 0, True),
    ],
)
def test_hugging_face_s_names(
    tmp_path: Path, name: str, prefix: str, kind: dict[str, str], classes: int, imagenet: bool
) -> None:
    image = 42 if "14" in name else 48
    model = timm_vit(name, **SMALL | {"num_classes": classes, "img_size": image})
    weights = hugging_face(model.state_dict(), prefix, kind)
    weights |= {f"{prefix}embeddings.mask_token": torch.zeros(1, 1, 192)} if imagenet else {}
    assert any(".attention.attention.key.weight" in part for part in weights)
    imported = read(tmp_path, weights)
    assert (imported.network.mean[0] == 0.485) == imagenet
    if not classes:
        imported.network.model.head = nn.Identity()
    check(imported, model)


def test_hugging_face_s_distilled_deit(tmp_path: Path) -> None:
    weights = timm_vit("deit_tiny_distilled_patch16_224", **SMALL).state_dict()
    plain = read(tmp_path, weights)
    found = read(tmp_path, hugging_face(weights, "deit.", VIT))
    assert torch.equal(logits(found.network.model, 48), logits(plain.network.model, 48))


# what is refused


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("vit_small_patch14_reg4_dinov2", {"img_size": 42}, "register tokens, which take part in"),
        ("vit_base_patch16_clip_224", {}, "a norm before the blocks, as CLIP's"),
        ("vit_base_patch16_siglip_224", {}, "a pooling by attention"),
        ("vit_tiny_patch16_224", {"qk_norm": True}, "norms of queries and keys"),
        ("vit_tiny_patch16_224", {"global_pool": "avg"}, r"behind the mean of the patches \(fc_no"),
        ("vit_tiny_patch16_224", {"depth": 1, "scale_attn_norm": True}, "norms inside of its bloc"),
        (
            "beit_base_patch16_224",
            {"global_pool": "token"},
            "positions that are relative or rotary",
        ),
        ("vit_giant_patch14_dinov2", {"img_size": 28, "depth": 1}, "mlp.fc1.weight must have the"),
    ],
)
def test_what_a_glit_does_not_have_is_refused(
    tmp_path: Path, name: str, changes: dict[str, object], reason: str
) -> None:
    weights = timm_vit(name, **SMALL | changes).state_dict()
    with pytest.raises(InputError, match=f"weights.pth: .*{reason}"):
        read(tmp_path, weights)


# what weights do not say


@pytest.mark.parametrize(
    ("name", "changes", "mean", "whose"),
    [
        ("vit_tiny_patch16_224", {}, 0.5, "as most of timm's ViTs, not as DeiT"),
        ("vit_medium_patch16_gap_256", {"num_classes": 0}, 0.5, "as most of timm's ViTs"),
        ("vit_tiny_patch16_224", {"num_classes": 0}, 0.485, "a network without classifier, as D"),
        ("deit3_small_patch16_224", {}, 0.485, r"DeiT-III or DINOv2 \(LayerScale\)"),
        ("deit_tiny_distilled_patch16_224", {}, 0.485, "a distilled DeiT"),
    ],
)
def test_the_normalisation_is_that_of_the_family(
    tmp_path: Path, name: str, changes: dict[str, object], mean: float, whose: str
) -> None:
    imported = read(tmp_path, timm_vit(name, **SMALL | changes).state_dict())
    assert imported.network.mean[0] == mean
    assert imported.taken[-1].startswith(f"images normalised by mean {mean:g}, ")
    assert whose.replace("\\", "") in imported.taken[-1]


def test_a_file_that_is_called_deit(tmp_path: Path) -> None:
    file = tmp_path / "my-DeiT.pth"
    torch.save(timm_vit("deit_tiny_patch16_224", **SMALL).state_dict(), file)
    imported = import_network(file)
    assert imported.network.std == (0.229, 0.224, 0.225)
    assert imported.taken == (
        "3 heads 64 wide, 3 groups of 1",
        "activation gelu",
        "the classifier sees the class token",
        "images normalised by mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225; ImageNet's, as of "
        "DeiT, by the file's name",
    )


def test_what_is_said_is_taken(tmp_path: Path) -> None:
    model = timm_vit("vit_tiny_patch16_224", **SMALL, num_heads=6, act_layer="silu")
    asked = Asked(
        groups=2, heads=3, activation="swish", pool="class", mean=(0.1, 0.2, 0.3), std=(0.4,)
    )
    imported = read(tmp_path, model.state_dict(), asked)
    assert imported.taken == ()
    assert (imported.network.mean, imported.network.std) == ((0.1, 0.2, 0.3), (0.4, 0.4, 0.4))
    check(imported, model)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(pool="mean"), "pool must be 'class', as the weights have a class token, which"),
        (Asked(activation="relu"), r"activation must be one of \('swish', 'gelu'\), got 'relu'"),
        (Asked(mean=(0.5, 0.5)), "mean must have a number for all or for each of 3 channels, 0 to"),
        (Asked(mean=(124.0,)), "mean must have a number for all .* 0 to 1, got 124, 124, 124"),
        (Asked(std=(0.0,)), "std must have a number for all .* above 0, got 0, 0, 0"),
    ],
)
def test_what_cannot_be(tmp_path: Path, asked: Asked, message: str) -> None:
    weights = timm_vit("vit_tiny_patch16_224", **SMALL).state_dict()
    with pytest.raises(InputError, match=f"weights.pth: {message}"):
        read(tmp_path, weights, asked)
