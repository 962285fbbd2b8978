"""Distillation from any network onto the class token (DeiT, 2012.12877, section 4).

B images, C channels. DeiT's second token, which learns from the teacher alone, is not here: a
network has one, and learns as in the rows "usual" and "hard distillation" of DeiT's table 3.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.data import Data
from hnas.data.sources import functions
from hnas.errors import InputError
from hnas.exchange import export
from hnas.settings import CODE, DistillationRules
from hnas.training.losses import Distil


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """A network to learn from: images as the student's (B, C, image, image) -> logits
    (B, classes) in float32, without gradients."""

    module: nn.Module
    """In eval mode, on the images' device."""
    scale: Tensor
    """float32 (C, 1, 1): with `shift`, from the student's normalised images to the teacher's."""
    shift: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.module(images * self.scale + self.shift)
            return logits.float()

    @classmethod
    def of(cls, module: nn.Module, data: Data) -> Self:
        """A network on the data's device that takes images as the student does; freezes it."""
        same = torch.ones(len(data.mean), 1, 1, device=data.mean.device)
        return cls(module=module.eval().requires_grad_(False), scale=same, shift=0 * same)

    def distil(self, rules: DistillationRules) -> Distil:
        """What it makes of a loss by the labels."""
        return lambda loss, logits, images: distilled(loss, logits, self(images), rules)

    def copied(self, device: torch.device) -> "Teacher":
        """A copy on a device."""
        module = copy.deepcopy(self.module).to(device)
        return Teacher(module=module, scale=self.scale.to(device), shift=self.shift.to(device))


def load_teacher(name: str, data: Data) -> Teacher:
    """The teacher of a network file, or the torch.nn.Module or `hnas.exchange.export.Network` that
    `module:function` returns.

    A network brings the normalisation of its images; a module takes them as the student does.
    Raises InputError if it does not give logits of the data's classes for images of its size,
    CheckpointError if the file cannot be read.
    """
    module = functions.call(name) if CODE.fullmatch(name) else export.load(Path(name))
    mean, std, device = data.mean, data.std, data.mean.device
    if isinstance(module, export.Network):
        mean, std = (torch.tensor(values, device=device) for values in (module.mean, module.std))
        module = module.model
    if not isinstance(module, nn.Module):
        raise InputError(
            f"{name}: must return a torch.nn.Module or a hnas.exchange.export.Network, "
            f"got {type(module).__name__}"
        )
    module.to(device).eval().requires_grad_(False)
    image = data.train.pixels.shape[1:]
    wanted = (2, len(data.classes))
    try:
        maps = (data.std / std, (data.mean - mean) / std)
        scale, shift = (values.view(-1, 1, 1) for values in maps)
        teacher = Teacher(module=module, scale=scale, shift=shift)
        given = tuple(teacher(torch.zeros(2, *image, device=device)).shape)
    except Exception as error:  # whatever a module of the user's own raises
        raise InputError(
            f"{name}: the teacher must take float images (B, {', '.join(map(str, image))}), "
            f"as the data's; it raised {type(error).__name__}: {error}"
        ) from error
    if given != wanted:
        raise InputError(
            f"{name}: the teacher must give logits {wanted} for 2 images (the data has "
            f"{wanted[1]} classes), got {given}"
        )
    return teacher


def distilled(loss: Tensor, logits: Tensor, taught: Tensor, rules: DistillationRules) -> Tensor:
    """The loss by the labels and the one by the teacher's logits `taught`, weighted.

    logits, taught: float32 (B, classes). The divergence is of the teacher's distribution from the
    student's, the mean over images, times temperature squared; in `soft-deit` the mean over images
    and classes.
    """
    if rules.rule == "hard":
        by_teacher = F.cross_entropy(logits, taught.argmax(dim=1))
    else:
        student, teacher = ((z / rules.temperature).log_softmax(dim=1) for z in (logits, taught))
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        by_teacher = rules.temperature**2 * divergence
        if rules.rule == "soft-deit":
            by_teacher = by_teacher / logits.shape[1]
    return (1 - rules.weight) * loss + rules.weight * by_teacher
