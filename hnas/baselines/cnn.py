"""A small residual CNN trained as one would without a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hnas.baselines.record import Baseline
from hnas.data import Data, Images
from hnas.network.cnn import Cnn
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, Epoch, train

NAME = "small CNN"
BATCH = 512
"""Images that are measured at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A CNN that is trained."""

    net: Cnn
    epochs: int
    """Of all its trainings."""
    images: int
    """That its last training saw."""
    accuracy: float
    """On held-out images after the first training, by the metric: a second one sees them."""

    def tested(self, test: Images, data: Data, *, metric: str) -> Baseline:
        """What it reaches on test images, beside the answer of a search."""
        found = evaluate(self.net, test, data, batch=BATCH, metric=metric)
        return Baseline(
            name=NAME,
            setting=f"{self.epochs} epochs",
            images=self.images,
            accuracy=self.accuracy,
            test_accuracy=found.accuracy,
            test_error=found.error,
        )


def fit(
    net: Cnn,
    data: Data,
    trainings: Sequence[tuple[TrainingRules, Context]],
    augmentation: AugmentRules,
    *,
    seed: int,
    metric: str,
) -> Fitted:
    """Trains the CNN in place: on training images, then, if there is a second training, on held-out
    images too. Net and data are on one device."""
    accuracy, images = 0.0, data
    for number, (rules, context) in enumerate(trainings):
        images = data.with_held_out() if number else data
        train(net, images, rules, augmentation, seed=seed + number, context=context)
        if not number:
            accuracy = evaluate(net, data.held_out, data, batch=BATCH, metric=metric).accuracy
    epochs = sum(rules.epochs for rules, _ in trainings)
    return Fitted(net=net, epochs=epochs, images=len(images.train), accuracy=accuracy)


def small_cnn(
    data: Data,
    test: Images,
    trainings: Sequence[TrainingRules],
    augmentation: AugmentRules,
    *,
    seed: int,
    metric: str = "accuracy",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Baseline:
    """Trains the CNN from a seed, as `fit` does, and tests it.

    Data and test are on one device. Raises InputError if an image is smaller than 8 pixels.
    """
    _, channels, image, _ = data.train.pixels.shape
    net = Cnn(image=image, channels=channels, classes=len(data.classes)).reset(seed)
    net.to(data.train.pixels.device)
    context = Context(on_epoch=on_epoch)
    fitted = fit(
        net, data, [(rules, context) for rules in trainings], augmentation, seed=seed, metric=metric
    )
    return fitted.tested(test, data, metric=metric)
