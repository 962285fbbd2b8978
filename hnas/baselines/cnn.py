"""A small residual CNN trained as one would without a search."""

from collections.abc import Callable
from dataclasses import dataclass

from hnas.baselines.record import Baseline, Course
from hnas.data import Data, Images
from hnas.network.cnn import Cnn
from hnas.scoring.score import evaluate
from hnas.training.loop import Context, Epoch, train

NAME = "small CNN"
BATCH = 512
"""Images that are measured at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A CNN that is trained."""

    net: Cnn
    epochs: int
    images: int
    """That it was trained on."""
    accuracy: float | None
    """On held-out images, by the metric; None if it was trained on them."""

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


def fit(net: Cnn, data: Data, course: Course, *, seed: int, context: Context) -> Fitted:
    """Trains the CNN in place. Net and data are on one device."""
    images = data.with_held_out() if course.held_out_too else data
    train(net, images, course.training, course.augment, seed=seed, context=context)
    accuracy = None
    if not course.held_out_too:
        accuracy = evaluate(net, data.held_out, data, batch=BATCH, metric=course.metric).accuracy
    epochs = course.training.epochs
    return Fitted(net=net, epochs=epochs, images=len(images.train), accuracy=accuracy)


def small_cnn(
    data: Data,
    test: Images,
    course: Course,
    *,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Baseline:
    """Trains the CNN from a seed and tests it.

    Data and test are on one device. Raises InputError if an image is smaller than 8 pixels.
    """
    _, channels, image, _ = data.train.pixels.shape
    net = Cnn(image=image, channels=channels, classes=len(data.classes)).reset(seed)
    net.to(data.train.pixels.device)
    fitted = fit(net, data, course, seed=seed, context=Context(on_epoch=on_epoch))
    return fitted.tested(test, data, metric=course.metric)
