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
from hnas.cost.flops import cost, shared_cost
from hnas.data.sources.survey import Survey
from hnas.data.split import sizes
from hnas.errors import InputError
from hnas.settings import DataRules, ScoreRules
from hnas.studies.plan import recipe
from hnas.studies.plan.budget import ANY, Asked, Budget, fit, widest
from hnas.studies.plan.fine_tuning import Start, fine_tuned
from hnas.studies.plan.limits import LIMITS, DeviceLimits
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.reasons import reasons, worth
from hnas.studies.plan.tables import Search, Stage1, Stage2
from hnas.studies.plan.text import commented

N = 3
"""Head groups a block, as in the paper."""
CROP_PCT = 0.875
"""Of a pack of whole pictures: DeiT's."""
STEM = 0.76
"""Most of a network's MACs that residual blocks before the tokens may take: a guess. Behind the
layers of the small CNN, with two blocks, it is 0.72."""
RECALIBRATION = 256
"""Images, if there are so many: on photos 32 rank worse (docs/ranking.md#ways-to-score)."""

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
        now = reasons(plan, self.survey, trained, self.device)
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
        crop_pct=CROP_PCT if survey.whole else 1.0,
    )
    trained, _ = parts(survey, data)
    side = max(1, int(survey.side * data.crop_pct))
    image, patch = grid(side, limits, packed=survey.packed and not survey.whole)
    d, M = size(trained, survey.classes, limits)
    search = Search()
    frame = Frame(
        image=image, channels=survey.channels, patch=patch, classes=survey.classes, d=d, M=M, N=N
    )
    plain = replace(frame, **recipe.KIND)
    if start:
        frame = start.within(plain)
        budget = asked.of(frame)
    else:
        few = trained <= recipe.FEW
        frame, budget = _fitting(recipe.residual(plain) if few else plain, plain, asked)
        search = Search(**vars(budget)) if asked else search
    d = frame.d
    kernel, kernels = recipe.kernels(frame.side)
    seen = limits.work // cost(frame, frame.all_global()).macs
    recalibration = min(RECALIBRATION, trained)
    augment = recipe.augmentation(channels=survey.channels)
    training = recipe.supernet_training(trained, seen=seen, lr=recipe.rate(frame))
    plan = Plan(
        data=data,
        net=frame,
        augment=augment,
        stage1=Stage1(
            d_k=d,
            K=kernel,
            trials=limits.trials,
            population=limits.population,
            training=training,
            skip=frame.stem == "residual",
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
        retrain=recipe.retraining(training, augment, frame, top=limits.retrained, trained=trained),
    )
    if start:
        plan = fit(fine_tuned(plan, start), budget)
    why = tuple(reasons(plan, survey, trained, device).items())
    taken = start.taken if start else ()
    return Proposal(plan=plan, survey=survey, reasons=why, device=device, taken=taken)


def _fitting(frame: Frame, plain: Frame, asked: Asked) -> tuple[Frame, Budget]:
    """The frame, at the width that a budget allows, if one is asked for; in its place the `plain`
    one if most of its cost would be its stem. And the budget."""
    frame = plain if _mostly_stem(frame) else frame
    budget = asked.of(frame)
    if not asked:
        return frame, budget
    found = widest(frame, budget.allows)
    return widest(plain, budget.allows) if _mostly_stem(found) else found, budget


def _mostly_stem(frame: Frame) -> bool:
    return shared_cost(frame).macs > STEM * cost(frame, frame.all_global()).macs


def contents(plan: Plan, survey: Survey, device: str) -> list[str]:
    """What a plan of someone's own comes to for its images, a line each: `Proposal.reasons_for`
    without what are reasons of a proposal alone."""
    trained, _ = parts(survey, plan.data)
    found = reasons(plan, survey, trained, device)
    facts = {"told", f"data {plan.data.source}", *worth(survey, plan.data.source)}
    return [f"{what}: {why}" if what in facts else what for what, why in found.items()]


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
