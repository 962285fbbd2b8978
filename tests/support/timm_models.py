"""timm itself, which published weights are compared with. It imports torchvision, of which a ViT
uses nothing: stand-ins take its place, so that no other torch is installed for it."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

_STUBBED = (
    "torchvision",
    "torchvision.ops",
    "torchvision.ops.misc",
    "torchvision.models",
    "torchvision.models.feature_extraction",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.datasets",
)


class _AnyMember(type):
    """A class of which every attribute is there, as text."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class _AnyName(ModuleType):
    """A module of which every name is a class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _AnyMember(name, (), {})


def _stub() -> dict[str, ModuleType]:
    made: dict[str, ModuleType] = {}
    for name in _STUBBED:
        made[name] = _AnyName(name)
        made[name].__path__ = []
        made[name].__spec__ = ModuleSpec(name, None)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, made[name])
    return made


def _timm() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, module in _stub().items():
            patch.setitem(sys.modules, name, module)
        return pytest.importorskip("timm", reason="timm is not installed: make test installs it")


def timm_vit(name: str, **changes: Any) -> nn.Module:
    """A model of timm's in eval mode, all weights random: none is a zero or one that hides a
    mistake. `changes` are keywords of timm.create_model."""
    model: nn.Module = _timm().create_model(name, pretrained=False, **changes)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            if value.ndim == 1 and part.endswith(("weight", "gamma")):
                value.uniform_(0.5, 1.5, generator=generator)
            else:
                fan_in = value[0].numel() if value.ndim > 1 and "token" not in part else 16
                value.normal_(std=min(0.2, fan_in**-0.5), generator=generator)
    return model.eval()


def filtered(weights: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of another resolution as timm resamples them for a model."""
    _timm()
    from timm.models.vision_transformer import checkpoint_filter_fn

    found: dict[str, torch.Tensor] = checkpoint_filter_fn(weights, model)
    return found
