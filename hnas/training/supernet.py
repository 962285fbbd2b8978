"""Training a supernet: the subnets that a rule draws see each step's images."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from hnas.data import Data
from hnas.network.supernet import Supernet
from hnas.sampling import RULES
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, train
from hnas.training.losses import by_labels


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
    rule, loss_of = RULES[rules.subnets], by_labels(data, rules)

    def losses(images: Tensor, targets: Tensor, step: int) -> Iterator[Tensor]:
        answer: Tensor | None = None
        for arch in rule.draw(net.space, seed=seed, step=step):
            logits = net(images, arch).float()
            if answer is None:
                yield loss_of(logits, targets)
                answer = logits.detach().softmax(dim=-1) if rule.distils else None
            else:
                yield F.cross_entropy(logits, answer)

    passes = rule.passes(net.space)
    train(net, data, rules, augmentation, seed=seed, losses=losses, passes=passes, context=context)
