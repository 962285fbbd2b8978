"""`hnas baselines`: what simple models reach on some images, without a search."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.render import baselines_table

if TYPE_CHECKING:
    from hnas.baselines.record import Baseline
    from hnas.data import Data, Images
    from hnas.studies.plan.plan import Plan
    from hnas.training.loop import Epoch


@click.command()
@click.option(
    "--data",
    metavar="SOURCE",
    help="Images, as hnas search takes them.",
    show_default="from the plan",
)
@options.preset
@options.plan
@click.option("--seed", type=click.IntRange(0), help="Seed of the split.", show_default="0")
@click.option("--cnn", is_flag=True, help="Train a small CNN too, as long as a search its winner.")
@options.skip_bad_images
@options.allow_code
@options.json
def baselines(
    data: str | None,
    preset: str | None,
    plan: Path | None,
    seed: int | None,
    cnn: bool,
    skip_bad_images: bool,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Show what simple models reach on your images, without a search.

    A majority guess, k nearest neighbours and logistic regression see raw pixels, of at most 32 x
    32; logistic regression and a support vector machine (RBF) see histograms of oriented gradients
    (HOG). They get the images that hnas search would get: the same size, the same parts. k and C
    are chosen on held-out images; then a model is fitted to training and held-out images together,
    10,000 at most (5,000 for the SVM), and tested. With --cnn a small residual CNN is trained too,
    by the rules of a search and for as many epochs as its answer. If the plan trains its answer on
    held-out images in the end, the CNN is trained on them from the start, and has no held-out
    accuracy.

    A search shows the same table beside its answer.

    --json prints an object: `source`, `image` (pixels a side), `channels`, `train`, `held_out` and
    `test` (images), `baselines` (`name`, `setting`, `images`, `accuracy` on held-out images or
    null, `test_accuracy`, `standard_error`, `taught`: false). Accuracies are 0 to 1; a plan with
    another score.metric has that in their place.

    \b
    Examples:
      hnas baselines --data photos --cnn
      hnas baselines --preset digits
    """
    from hnas.baselines.measure import measure
    from hnas.data import test_images
    from hnas.studies.request.decide import decide
    from hnas.studies.request.request import Request
    from hnas.studies.run.images import prepared
    from hnas.studies.run.result import shown_baselines

    request = Request(
        data=data,
        preset=preset,
        plan=plan,
        seed=seed,
        skip_bad_images=skip_bad_images,
        allow_code=allow_code,
        device="cpu",
        spell=options.as_option,
    )
    asked = decide(request).plan
    found, split = prepared(asked)
    net = asked.net
    test = test_images(asked.data, image=net.image, channels=net.channels, split=split)
    rows = list(measure(found, test, asked.score.metric))
    if cnn:
        rows.append(_small_cnn(found, test, asked, quiet=as_json))
    sizes = {"train": len(found.train), "held_out": len(found.held_out), "test": len(test)}
    if as_json:
        about: dict[str, Any] = {
            "source": asked.data.source,
            "image": net.image,
            "channels": net.channels,
        }
        click.echo(json.dumps({**about, **sizes, "baselines": shown_baselines(rows, len(test))}))
        return
    parts = f"{sizes['train']:,} to train on, {sizes['held_out']:,} held out, {len(test):,} to test"
    click.echo(f"{asked.data.source}: images of {net.image} x {net.image}, {parts}.\n")
    baselines_table(rows, len(test))


def _small_cnn(data: Data, test: Images, plan: Plan, *, quiet: bool) -> Baseline:
    """Trained with progress on the screen; `quiet`, where only JSON may be printed, without."""
    from hnas.baselines.cnn import NAME, small_cnn
    from hnas.cli.screen.progress import Step, display
    from hnas.studies.plan.strategies import of_a_cnn

    with nullcontext() if quiet else display() as shown:

        def tell(epoch: Epoch) -> None:
            if shown is None:
                return
            words = f"loss {epoch.loss:.4f}"
            each = len(data.train) / max(epoch.images_per_second, 1e-9)
            shown.draw(
                Step(
                    what=NAME,
                    unit="epoch",
                    done=epoch.epoch,
                    total=epoch.epochs,
                    words=words,
                    each=each,
                )
            )

        return small_cnn(data, test, of_a_cnn(plan), seed=plan.search.seed, on_epoch=tell)
