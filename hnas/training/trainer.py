"""The state of a training: weights, optimiser, EMA, and its checkpoint."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hnas.errors import CheckpointError, InputError, StateError
from hnas.persist.difference import differences, listed
from hnas.persist.record import recorded, restored
from hnas.settings import TrainingRules
from hnas.training import checkpoint
from hnas.training.processes import World
from hnas.training.record import Kept

AVERAGING = "warmed up"
"""How weights are averaged; it is part of what is trained with them."""


def learning_rate(rules: TrainingRules, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warm = rules.warmup * steps
    if step < warm:
        return rules.lr * (step + 1) / (warm + 1)
    return rules.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def adamw(model: nn.Module, rules: TrainingRules) -> torch.optim.AdamW:
    """Decays weight matrices and kernels; not biases, norms, class token and positions.

    A group of weights has a `share` of the learning rate, by `rules.layer_decay`, and says whether
    it is the classifier's (`is_head`); without these two rules all are in two groups.
    """
    names = [name for name, _ in model.named_parameters()]
    blocks = 1 + max((int(n.split(".")[1]) for n in names if n.startswith("blocks.")), default=-1)
    found: dict[tuple[int, bool, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        bare = name.endswith(("bias", "cls_token", "pos_embed")) or "norm" in name
        above = blocks + 1 - _layer(name, blocks) if rules.layer_decay < 1 else 0
        is_head = name.startswith("head.") and rules.head_warmup > 0
        found.setdefault((above, is_head, bare), []).append(weight)
    groups: list[dict[str, Any]] = [
        {
            "params": weights,
            "share": rules.layer_decay**above,
            "is_head": is_head,
            **({"weight_decay": 0.0} if bare else {}),
        }
        for (above, is_head, bare), weights in sorted(found.items(), key=lambda item: item[0])
    ]
    return torch.optim.AdamW(groups, lr=rules.lr, weight_decay=rules.weight_decay, fused=True)


def _layer(name: str, blocks: int) -> int:
    """0 before the blocks, 1 for the first of them, one more than the last for what is behind."""
    if name.startswith("blocks."):
        return 1 + int(name.split(".")[1])
    return blocks + 1 if name.startswith(("norm.", "head.")) else 0


def decay(most: float, steps: float) -> float:
    """The decay of averaged weights after so many steps. It rises to `most`, so that the first
    weights, which are random, are soon forgotten (as in TensorFlow and timm)."""
    return min(most, (1 + steps) / (10 + steps))


class Averaged(AveragedModel):
    """The averaged weights and buffers of a model, in `module`. PyTorch's own update sends how many
    averages there were to the device, and reads it back; here the CPU counts them."""

    def __init__(self, model: nn.Module, most: float) -> None:
        super().__init__(model, use_buffers=True)
        self.most = most

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        steps = int(self.n_averaged)
        mine, now = ([*net.parameters(), *net.buffers()] for net in (self.module, model))
        if steps:
            average = get_ema_multi_avg_fn(decay(self.most, steps))
            for floats in (True, False):
                which = [i for i, t in enumerate(mine) if t.is_floating_point() is floats]
                if which:
                    average([mine[i] for i in which], [now[i] for i in which], steps)
        else:
            torch._foreach_copy_(mine, now)
        self.n_averaged += 1


class Trainer:
    """The state of one training, and its way to and from a checkpoint."""

    def __init__(self, model: nn.Module, rules: TrainingRules) -> None:
        self.model = model
        self.optimizer = adamw(model, rules)
        self.averaged = Averaged(model, rules.ema) if rules.ema else None
        self.epoch = 0
        self.kept: Kept | None = None
        """The weights to keep so far; None if nobody judges them."""
        self.best: dict[str, Tensor] = {}
        """The weights of `kept`, unless it is the last epoch that is kept."""
        self.ended = False

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Writes a checkpoint. Raises CheckpointError."""
        meta: dict[str, Any] = {"epoch": self.epoch, "identity": dict(identity)}
        if self.kept is not None:
            meta |= {"kept": recorded(self.kept), "ended": self.ended}
        checkpoint.save(path, self._everything(), meta)

    def finish(self) -> None:
        """Leaves the weights that are kept in the model, in eval mode."""
        self.model.load_state_dict(_kept(self._everything(), self.kept))
        self.model.eval()

    def _everything(self) -> dict[str, Tensor]:
        return {**self.state(), **{f"best/{name}": value for name, value in self.best.items()}}

    def step(self, lr: float, clip: float, *, head_only: bool = False) -> None:
        """Moves the weights along the gradient that there is, and clears it; `head_only`: the
        classifier's."""
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0 if head_only and not group["is_head"] else lr * group["share"]
        if clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    def state(self) -> dict[str, Tensor]:
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        if self.averaged is not None:
            tensors |= {f"averaged/{k}": v for k, v in self.averaged.state_dict().items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{k}": v for k, v in moments.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.model.load_state_dict(_under("model/", tensors))
        if self.averaged is not None:
            self.averaged.load_state_dict(_under("averaged/", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer/", tensors).items():
            i, moment = name.split("/")
            state.setdefault(int(i), {})[moment] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _kept(tensors: Mapping[str, Tensor], kept: Kept | None) -> dict[str, Tensor]:
    """The weights to keep among those of a checkpoint. If nobody judged them: the averaged ones."""
    averaged = _under("averaged/module.", tensors)
    if kept is None:
        return averaged or _under("model/", tensors)
    return _under("best/", tensors) or (averaged if kept.averaged else _under("model/", tensors))


def _judged(meta: Mapping[str, Any]) -> Kept | None:
    return restored(Kept, meta["kept"]) if "kept" in meta else None


def load_trained(model: nn.Module, path: Path, epochs: int) -> None:
    """Gives `model` the weights that a training of so many epochs kept, in eval mode.

    Nothing is written. Raises StateError if it has not ended, CheckpointError.
    """
    found = checkpoint.load(path)
    done = found.meta.get("epoch") if found is not None else 0
    if found is None or not (done == epochs or found.meta.get("ended")):
        raise StateError(
            f"the training of {path.name} in {path.parent} has not ended: {done} of {epochs} "
            "epochs are kept. Finish it: hnas search --run with the same folder"
        )
    try:
        model.load_state_dict(_kept(found.tensors, _judged(found.meta)))
    except (RuntimeError, InputError) as error:
        raise _misfit(path, error) from None
    model.eval()


def share(trainer: Trainer, world: World, device: torch.device) -> None:
    """Gives every process the first one's state, and the epoch that it stands at."""
    if world.size > 1:
        mine = {**trainer.state(), "epoch": torch.tensor(trainer.epoch)}
        tensors = world.broadcast(mine, device)
        trainer.epoch = int(tensors.pop("epoch"))
        if world.rank:
            trainer.restore(tensors)


def resume(
    trainer: Trainer,
    path: Path | None,
    identity: Mapping[str, Any],
    on_refused: Callable[[str], None],
) -> None:
    """Gives `trainer` the state of checkpoint `path`, if there is one.

    Raises CheckpointError if it is another training's.
    """
    if path is None:
        return
    checkpoint.tidy(path)
    if (found := checkpoint.load(path)) is None:
        return
    for reason in found.refused:
        on_refused(reason)
    made_from = found.meta.get("identity", {})
    if "images" not in made_from:  # it is older than this part of an identity
        identity = {name: value for name, value in identity.items() if name != "images"}
    if differ := differences(made_from, identity):
        raise CheckpointError(
            f"checkpoint {path} was made by another training:\n{listed(differ)}\n"
            "Use another --run, or the settings it was made with"
        )
    try:
        trainer.restore(found.tensors)
        trainer.epoch = int(found.meta["epoch"])
        trainer.kept = _judged(found.meta)
        trainer.ended = bool(found.meta.get("ended", False))
        trainer.best = _under("best/", found.tensors)
    except (RuntimeError, KeyError, ValueError, InputError) as error:
        raise _misfit(path, error) from None


def _misfit(path: Path, error: Exception) -> CheckpointError:
    """torch names every weight that is missing, and every one that is too many: some will do."""
    found = shorten(str(error), 300, placeholder=" ...")
    return CheckpointError(
        f"checkpoint {path} does not fit the network: {found} Delete {path.name}.json there to "
        "start this part again"
    )
