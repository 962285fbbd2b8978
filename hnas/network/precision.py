"""Precision of a network's matrix products: fp32 or bf16, while its weights stay in fp32.

On a GPU autocast casts, for convolutions and attention too. On a CPU only linear maps are in bf16,
by the dtype of their weights (`hnas.network.linear`), and the activations that read them at once,
an FFN's and GLU: attention and depthwise convolutions take longer in bf16 there
(docs/performance.md).
"""

import torch
from torch import nn

from hnas.device import precision
from hnas.network.local.head import Weights


def compute_in(net: nn.Module, asked: str) -> None:
    """Lets a network and copies of it compute in one of PRECISIONS. Raises InputError if its device
    cannot."""
    found = precision(_device(net), asked)
    setattr(net, "precision", found)  # noqa: B010 as nn.Module has no such attribute
    lower = found == torch.bfloat16 and _device(net).type == "cpu"
    for module in net.modules():
        if hasattr(module, "products"):
            setattr(module, "products", found if lower else None)  # noqa: B010


def casts(net: nn.Module) -> torch.dtype:
    """What `autocast` casts weights to; float32 on a CPU."""
    device = _device(net)
    found: torch.dtype = getattr(net, "precision", None) or precision(device)
    return torch.float32 if device.type == "cpu" else found


def autocast(net: nn.Module) -> torch.autocast:
    """Matrix products and convolutions of a network on a GPU in its precision, the rest in fp32."""
    lower = torch.bfloat16  # fp32 is no dtype of autocast's
    return torch.autocast(_device(net).type, dtype=lower, enabled=casts(net) == lower)


def lowered(weights: Weights, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """A block's weights as they are multiplied in a dtype: all but those of norms, and on a CPU of
    depthwise convolutions. float32 changes nothing."""

    def stays(name: str, weight: torch.Tensor) -> bool:
        return "norm" in name or (weight.device.type == "cpu" and "depthwise" in name)

    return {
        name: weight if stays(name, weight) else weight.to(dtype)
        for name, weight in weights.items()
    }


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device
