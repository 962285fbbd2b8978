"""Training a supernet: the subnets that a rule draws see each step's images."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from hnas.data import Data
from hnas.network.supernet import Supernet
from hnas.sampling import RULES
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, class_weights, train


def train_supernet(
    net: Supernet,
    data: Data,
    rules: TrainingRules,
    augmentation: AugmentRules,
    *,
    seed: int,
    context: Context | None = None,
) -> None:
    """Trains `net` in place, its subnets drawn by `rules.subnets`."""
    rule, weight = RULES[rules.subnets], class_weights(data, rules)

    def losses(images: Tensor, targets: Tensor, step: int) -> Iterator[Tensor]:
        answer: Tensor | None = None
        for arch in rule.draw(net.space, seed=seed, step=step):
            logits = net(images, arch).float()
            if answer is None:
                yield F.cross_entropy(
                    logits, targets, weight=weight, label_smoothing=rules.label_smoothing
                )
                answer = logits.detach().softmax(dim=-1) if rule.distils else None
            else:
                yield F.cross_entropy(logits, answer)

    passes = rule.passes(net.space)
    train(net, data, rules, augmentation, seed=seed, losses=losses, passes=passes, context=context)
