"""ViTs as others save them, under timm's names and without what a GLiT does not have.

    Hugging Face        its names become timm's; q, k and v become one map
    DeiT-III, DINOv2    LayerScale is folded into the projection before it
    no_embed_class      a class token without a position gets the position zero
    qkv_bias = False    the bias is zero
    distilled DeiT      taken by its class token: the other token is left out

Everything but the last computes what it computed before. What has no place in a GLiT is refused
with the reason.
"""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from hnas.errors import InputError
from hnas.exchange.weights_file import Weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and deviation of each channel, 0 to 1, that published networks normalise images with."""

REFUSED = {
    r"^(reg_token|register_tokens)": "register tokens, which take part in attention as patches do; "
    "DINOv2 is published without them too",
    r"^norm_pre\.": "a norm before the blocks, as CLIP's",
    r"^fc_norm\.": "a norm behind the mean of the patches (fc_norm)",
    r"^attn_pool\.": "a pooling by attention",
    r"\.attn\.[qk]_norm\.": "norms of queries and keys",
    r"\.(attn|mlp)\.norm\.": "norms inside of its blocks",
    r"rel_pos|relative_position|rope": "positions that are relative or rotary",
    r"\.mlp\.(w12|w3|w1|w2|fc1_g|fc1_x|weights_in)\.": "a gated FFN (SwiGLU)",
}
"""What no GLiT has, by the names of its weights."""

HUGGING_FACE = {
    r"^(?:vit|deit|dinov2)\.": "",
    r"^embeddings\.cls_token": "cls_token",
    r"^embeddings\.distillation_token": "dist_token",
    r"^embeddings\.mask_token": "mask_token",
    r"^embeddings\.register_tokens": "reg_token",
    r"^embeddings\.position_embeddings": "pos_embed",
    r"^embeddings\.patch_embeddings\.projection\.": "patch_embed.proj.",
    r"^encoder\.layer\.": "blocks.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
    r"\.attention\.attention\.": ".attn.",
    r"\.attention\.output\.dense\.": ".attn.proj.",
    r"\.intermediate\.dense\.": ".mlp.fc1.",
    r"\.output\.dense\.": ".mlp.fc2.",
    r"\.layer_scale([12])\.lambda1": r".ls\1.gamma",
    r"^layernorm\.": "norm.",
    r"^(?:cls_)?classifier\.": "head.",
    r"^distillation_classifier\.": "head_dist.",
}
"""Hugging Face's names and timm's, in the order in which they are replaced."""

SCALED = {"ls1.gamma": "attn.proj", "ls2.gamma": "mlp.fc2"}
"""A branch's scale, and the map whose outputs it multiplies."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A ViT's weights under timm's names."""

    weights: dict[str, Tensor]
    told: tuple[str, ...] = ()
    """What was left out or added, in sentences."""
    family: str = ""
    """Who normalises images as ImageNet's are; empty: nobody is recognised."""


def named(weights: Weights) -> Named:
    """The weights of a ViT as a GLiT has them. Raises InputError for what has no place in one."""
    found, family = dict(weights), ""
    if any(name.endswith("embeddings.patch_embeddings.projection.weight") for name in found):
        family = "Hugging Face's DeiT" if any(name.startswith("deit.") for name in found) else ""
        found = _from_hugging_face(found)
    found = {re.sub(r"\.gamma_([12])$", r".ls\1.gamma", name): w for name, w in found.items()}
    _refuse(found)
    told: list[str] = []
    pooler = _without(found, r"^pooler\.")
    mask = _without(found, r"^mask_token$")
    if left := [*pooler, *mask]:
        told.append(f"left out, as no classification needs it: {', '.join(left)}")
    if _folds_scale(found) and "cls_token" in found:
        family = "DeiT-III or DINOv2 (LayerScale)"
    if left := _distilled(found):
        family = "a distilled DeiT"
        told.append(
            "a distilled DeiT is taken by its class token, so its logits differ from those of both "
            f"tokens; left out: {', '.join(left)}"
        )
    if not pooler and "cls_token" in found and "head.weight" not in found:
        family = family or "a network without classifier, as DINO and MAE are"
    _fill(found, told)
    return Named(weights=found, told=tuple(told), family=family)


def _refuse(weights: Weights) -> None:
    for pattern, what in REFUSED.items():
        if has := sorted(name for name in weights if re.search(pattern, name)):
            more = f" and {len(has) - 2} more" if len(has) > 2 else ""
            raise InputError(
                f"the weights have {what}, and GLiT has no place for that ({', '.join(has[:2])}"
                f"{more}). Give those of a plain ViT"
            )


def _from_hugging_face(weights: Weights) -> dict[str, Tensor]:
    """Under timm's names; query, key and value one below the other."""
    found = {}
    for name, weight in weights.items():
        for theirs, ours in HUGGING_FACE.items():
            name = re.sub(theirs, ours, name)
        found[name] = weight
    for name in [name for name in found if ".attn.query." in name]:
        three = [name.replace("query", part) for part in ("query", "key", "value")]
        if all(one in found for one in three):
            found[name.replace("query", "qkv")] = torch.cat([found.pop(one) for one in three])
    return found


def _without(weights: dict[str, Tensor], pattern: str) -> list[str]:
    """Takes weights out, and names them."""
    names = sorted(name for name in weights if re.search(pattern, name))
    for name in names:
        del weights[name]
    return names


def _folds_scale(weights: dict[str, Tensor]) -> bool:
    """Multiplies each LayerScale into the map before it, in place; whether there was one."""
    names = [name for name in weights if name.endswith(tuple(SCALED))]
    for name in names:
        block, kind = name.split(".ls")
        scale, target = weights.pop(name).float(), f"{block}.{SCALED[f'ls{kind}']}"
        for part, by in ((f"{target}.weight", scale[:, None]), (f"{target}.bias", scale)):
            if part in weights and len(weights[part]) == len(scale):
                weights[part] = weights[part].float() * by
    return bool(names)


def _distilled(weights: dict[str, Tensor]) -> list[str]:
    """Takes a distilled DeiT's second token out, in place; what was left out."""
    if "dist_token" in weights and (positions := weights.get("pos_embed")) is not None:
        weights["pos_embed"] = torch.cat((positions[:, :1], positions[:, 2:]), dim=1)
    return _without(weights, r"^(dist_token$|head_dist\.)")


def _fill(weights: dict[str, Tensor], told: list[str]) -> None:
    """Adds what is zero where it is absent, in place."""
    for name in [name for name in weights if name.endswith(".attn.qkv.weight")]:
        weights.setdefault(name.replace("weight", "bias"), torch.zeros(len(weights[name])))
    positions, token = weights.get("pos_embed"), weights.get("cls_token")
    if token is not None and positions is not None and positions.ndim == 3:
        T = positions.shape[1]
        if T > 1 and math.isqrt(T) ** 2 == T:
            none = positions.new_zeros(1, 1, positions.shape[2])
            weights["pos_embed"] = torch.cat((none, positions), dim=1)
    norm = weights.get("norm.weight")
    if "head.weight" not in weights and norm is not None and norm.ndim == 1:
        weights |= {"head.weight": torch.zeros(1, len(norm)), "head.bias": torch.zeros(1)}
        told.append("no classifier in the file: one class, of zeros; a search replaces it")
