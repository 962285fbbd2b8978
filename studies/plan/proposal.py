"""Proposals of plans: a place to start, by rules that look at the images.

Tokens cost most, so the rules choose the image and its patches first. Few images train few weights,
so width and depth follow the number of images. Epochs are chosen so that a supernet's training
costs about the same. Everything can be changed in the plan. The rules are pure: same survey, same
plan. The recipe of training is `hnas.studies.plan.recipe`'s.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.data.sources.survey import Survey
from hnas.data.split import sizes
from hnas.errors import InputError
from hnas.settings import DataRules, ScoreRules
from hnas.studies.plan import recipe
from hnas.studies.plan.budget import ANY, Asked, Budget, fit, widest
from hnas.studies.plan.fine_tuning import LEAST_EPOCHS, Start, fine_tuned
from hnas.studies.plan.plan import Plan, Search, Stage1, Stage2
from hnas.studies.plan.text import commented

N = 3
"""Head groups a block, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class DeviceLimits:
    """The most that a search on a kind of device takes."""

    side: int
    """Most pixels a side of an image."""
    grid: int
    """Most patches a side."""
    images: int
    """Most training images; 0 takes all."""
    scored: int
    """Most held-out images that an architecture is scored on; 0 takes all."""
    width: int
    """Most token width."""
    blocks: int
    work: int
    """Multiply-accumulates of the images that a supernet sees in one training, forward alone."""
    retrained: int
    """Networks of the last stage that are retrained."""
    trials: int
    population: int


LIMITS = {
    "cpu": DeviceLimits(
        side=64,
        grid=8,
        images=10_000,
        scored=1_000,
        width=96,
        blocks=6,
        work=850_000_000_000,
        retrained=3,
        trials=100,
        population=20,
    ),
    "cuda": DeviceLimits(
        side=224,
        grid=14,
        images=0,
        scored=0,
        width=192,
        blocks=12,
        work=20_000_000_000_000_000,
        retrained=5,
        trials=1000,
        population=50,
    ),
}
LIMITS["mps"] = LIMITS["cpu"]  # until someone has tried one
"""By `torch.device.type`."""

SIZES = ((2_000, 48, 6), (20_000, 96, 6), (100_000, 144, 8), (math.inf, 192, 12))
"""Up to so many training images: token width and blocks. The presets' and GLiT-Tiny's."""
WIDTHS = ((10, 48), (50, 72), (200, 96), (math.inf, 192))
"""Up to so many classes: the least token width that tells them apart."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan and the reasons for it."""

    plan: Plan
    survey: Survey
    """What the images are like."""
    reasons: tuple[tuple[str, str], ...]
    """(keys and values, reason) in the order of the plan."""
    device: str
    taken: tuple[str, ...] = ()
    """What was assumed of pretrained weights, each in a few words."""

    def toml(self, plan: Plan | None = None) -> str:
        """The plan as a file, with the reasons above it and what each key means. With `plan` it is
        that one, which options have made of it."""
        plan = plan or self.plan
        words = "".join(f"# {what}: {why}\n" for what, why in self.reasons_for(plan))
        return f"{words}\n{commented(plan)}"

    def reasons_for(self, plan: Plan) -> list[tuple[str, str]]:
        """The reasons for a plan that options have made of the proposed one; however its source is
        spelled, it is the one that was looked at."""
        plan = replace(plan, data=replace(plan.data, source=self.plan.data.source))
        trained, _ = parts(self.survey, plan.data)
        now = _reasons(plan, self.survey, trained, self.device)
        return [
            (what, why) if what == before else (what, f"as asked; proposed: {before}")
            for (what, why), (before, _) in zip(now.items(), self.reasons, strict=True)
        ]


def propose(
    survey: Survey, source: str, *, device: str, asked: Asked = ANY, start: Start | None = None
) -> Proposal:
    """A plan for the images of `source` on a kind of device (a key of LIMITS).

    With a budget the tokens are as wide as the all-global network may be; a share is of what it
    has without one. A `start` has its width, and is cut instead. Raises BudgetError if nothing fits
    the budget.
    """
    limits = LIMITS[device]
    _check_smallest(survey)
    data = DataRules(
        source=source,
        limit=limits.images if survey.images > limits.images else 0,
        background=survey.background or "white",
        interpolation=survey.interpolation or recipe.INTERPOLATION,
    )
    trained, _ = parts(survey, data)
    image, patch = grid(survey.side, limits, packed=survey.packed)
    d, M = size(trained, survey.classes, limits)
    search = Search()
    frame = Frame(
        image=image, channels=survey.channels, patch=patch, classes=survey.classes, d=d, M=M, N=N
    )
    frame = replace(frame, **recipe.KIND)
    if start:
        frame = start.within(frame)
    budget = asked.of(frame)
    if asked and not start:
        frame, search = widest(frame, budget.allows), Search(**vars(budget))
    d = frame.d
    kernel, kernels = recipe.kernels(frame.side)
    seen = limits.work // cost(frame, frame.all_global()).macs
    recalibration = min(ScoreRules().recalibration, trained)
    augment = recipe.augmentation(channels=survey.channels)
    lr = 2e-3 if frame.d < 192 else 1e-3
    training = recipe.supernet_training(trained, seen=seen, lr=lr)
    plan = Plan(
        data=data,
        net=frame,
        augment=augment,
        stage1=Stage1(
            d_k=d, K=kernel, trials=limits.trials, population=limits.population, training=training
        ),
        stage2=Stage2(
            d_k=(d // 2, d, 2 * d),
            d_z=(2, 4, 6),
            E=(1, 2, 4),
            K=kernels,
            trials=limits.trials,
            population=limits.population,
            training=training,
        ),
        score=ScoreRules(recalibration=recalibration, held_out=limits.scored),
        search=search,
        retrain=recipe.retraining(training, augment, top=limits.retrained, trained=trained),
    )
    if start:
        plan = fit(fine_tuned(plan, start), budget)
    reasons = tuple(_reasons(plan, survey, trained, device).items())
    taken = start.taken if start else ()
    return Proposal(plan=plan, survey=survey, reasons=reasons, device=device, taken=taken)


def contents(plan: Plan, survey: Survey, device: str) -> list[str]:
    """What a plan of someone's own comes to for its images, a line each: `Proposal.reasons_for`
    without what are reasons of a proposal alone."""
    trained, _ = parts(survey, plan.data)
    found = _reasons(plan, survey, trained, device)
    facts = {"told", f"data {plan.data.source}", *_worth(survey, plan.data.source)}
    return [f"{what}: {why}" if what in facts else what for what, why in found.items()]


def _reasons(plan: Plan, survey: Survey, trained: int, device: str) -> dict[str, str]:
    limits, net, training, augment = LIMITS[device], plan.net, plan.stage1.training, plan.augment
    alone = plan.retrain
    colour = "colour" if survey.channels == 3 else "grey"
    own_test = "a test part of its own" if survey.own_test else "no test part"
    most = f"at most {limits.images:,}" if limits.images else "all"
    size = "the images are packed at this size"
    if not survey.packed:
        size = f"on {device} at most {limits.side} pixels and {limits.grid} patches a side, "
        size += "never larger than the images are"
    width = f"{trained:,} images to train on"
    asked = {name: getattr(plan.search, name) for name in ("flops", "params", "convention")}
    if most_allowed := Budget(**asked).words():
        width = f"the widest whose all-global network has at most {most_allowed}, as asked"
    seen = f"in {recipe.LEAST_EPOCHS} to {recipe.MOST_EPOCHS} epochs"
    kind = "worth 5 to 20 points on few images, by docs/few-images.md"
    if plan.pretrained.file:
        width = f"of the pretrained weights, with FFNs of {plan.stage1.d_z} x d in stage 1"
        seen = f"a third of what random weights need, at least {LEAST_EPOCHS} epochs"
        kind = "stem and pool of the pretrained weights; the local heads of docs/few-images.md"
    kernels, flip = ", ".join(map(str, plan.stage2.K)), "yes" if augment.flip else "no"
    epochs = _all(training.epochs, plan.stage2.training.epochs)
    return {
        **({"told": "; ".join(survey.notes)} if survey.notes else {}),
        f"data {plan.data.source}": f"{survey.images:,} training images of {survey.classes} "
        f"classes, {survey.side} pixels a side, {colour}; {own_test}",
        **_worth(survey, plan.data.source),
        f"data.limit {plan.data.limit or 'none'}": f"a search on {device} takes {most} images",
        f"net.image {net.image}, patch {net.patch}": f"{net.T} tokens; {size}",
        f"data.interpolation {plan.data.interpolation}": "as they were packed"
        if survey.interpolation
        else "as DeiT resizes its images",
        f"net.d {net.d}, M {net.M}": width,
        f"net.stem {net.stem}, pool {net.pool}, local {net.local}": kind,
        f"stage1.K {plan.stage1.K}, stage2.K {kernels}": "patches a side of the "
        f"{net.side} x {net.side}",
        f"epochs {epochs}, batch {training.batch}": f"a supernet sees about "
        f"{training.epochs * trained:,} images, {seen}",
        f"augment crop {augment.crop:g}, flip {flip}, jitter {augment.jitter:g}, shift "
        f"{augment.shift}": "colour images are photos: cropped, mirrored, in other colours; "
        "grey ones are cropped less",
        f"retrain.start {alone.start}, top {alone.top}, epochs {alone.training.epochs}, refit "
        f"{'yes' if alone.refit else 'no'}": "from the weights that were scored"
        + f", in the end for {alone.refit_epochs} epochs on held-out images too" * alone.refit,
        f"trials {_all(plan.stage1.trials, plan.stage2.trials)}": f"of stages 1 and 2, on {device}",
    }


def _all(*values: int) -> str:
    """The values, or one if they are equal."""
    return ", ".join(map(str, dict.fromkeys(values)))


FEW, UNEQUAL = 100, 2
"""Images of a class, on average, below which they are few; how many times fewer a class has than
the average if classes are unequal."""


def _worth(survey: Survey, source: str) -> dict[str, str]:
    """What few images or unequal classes mean for the answer."""
    average, found = survey.images / survey.classes, {}
    if average < FEW:
        found["few images"] = (
            f"{average:.0f} of a class on average: see in seconds what simple models reach, "
            f"hnas baselines --data {source}"
        )
    if survey.smallest and survey.smallest[1] * UNEQUAL < average:
        name, images = survey.smallest
        found["unequal classes"] = (
            f"{name} has {images:,} images, {average:,.0f} are the average: score.metric = "
            '"balanced" counts each class alike, training.class_weights = "balanced" trains so'
        )
    return found


def _check_smallest(survey: Survey) -> None:
    """Raises InputError if a class has too few images to be in all parts."""
    if survey.smallest is None:
        return
    name, found = survey.smallest
    uses = ["to train on", *([] if survey.held_out else ["to hold out"])]
    uses += [] if survey.own_test else ["to test"]
    if found < len(uses):
        raise InputError(
            f"class {name!r} has {found} images, it needs at least {len(uses)}: one each "
            f"{', '.join(uses)}. Give it more images"
        )


def parts(survey: Survey, data: DataRules) -> tuple[int, int]:
    """How many images train, and how many are held out to score; about so many if the classes are
    not counted, and taken as equal."""
    counts = [*survey.counts.values()] or _equal(survey.images, survey.classes)
    rows = sizes(np.array(counts), data, own_test=survey.own_test, own_held_out=survey.held_out)
    trained, held_out, _ = map(sum, zip(*rows, strict=True))
    return max(2, trained), survey.held_out or held_out


def _equal(images: int, classes: int) -> list[int]:
    return [images // classes + (c < images % classes) for c in range(classes)]


def grid(side: int, limits: DeviceLimits, *, packed: bool = False) -> tuple[int, int]:
    """(image, patch) in pixels: no larger than the images, with as many patches a side as the
    device affords and the image divides into. Images of a pack keep their side."""
    image = side if packed else min(side, limits.side)
    if not packed:
        units = ((limits.grid, 8 * limits.grid), (8, 32), (4, 12), (2, 2), (1, 1))
        image -= image % next(unit for unit, least in units if image >= least)
    smallest = 1 if packed or image < 8 else 2
    patches = (p for p in range(smallest, image + 1) if image % p == 0)
    return image, next(p for p in patches if image // p <= limits.grid)


def size(trained: int, classes: int, limits: DeviceLimits) -> tuple[int, int]:
    """(token width, blocks) for this many training images; many classes need width to be told
    apart."""
    width, blocks = next((d, M) for most, d, M in SIZES if trained <= most)
    needed = next(d for most, d in WIDTHS if classes <= most)
    return min(max(width, needed), limits.width), min(blocks, limits.blocks)
