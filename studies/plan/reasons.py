"""The reasons for a plan, of these images and on this device, in words."""

from hnas.data.sources.survey import Survey
from hnas.settings import OWN_TEACHER
from hnas.studies.plan import recipe
from hnas.studies.plan.budget import Budget
from hnas.studies.plan.fine_tuning import LEAST_EPOCHS
from hnas.studies.plan.limits import LIMITS
from hnas.studies.plan.plan import Plan


def reasons(plan: Plan, survey: Survey, trained: int, device: str) -> dict[str, str]:
    """By keys and values of the plan: why, in the plan's order. `trained` images train; `device` is
    a key of LIMITS."""
    limits, net, training, augment = LIMITS[device], plan.net, plan.stage1.training, plan.augment
    alone = plan.retrain
    colour = "colour" if survey.channels == 3 else "grey"
    own_test = "a test part of its own" if survey.own_test else "no test part"
    most = f"at most {limits.images:,}" if limits.images else "all"
    size = "the images are packed at this size"
    if survey.whole or not survey.packed:
        size = f"on {device} at most {limits.side} pixels and {limits.grid} patches a side, "
        size += "never larger than the images are"
    width = f"{trained:,} images to train on"
    if net.stem == "residual":
        width += ", few enough for the layers of a small CNN before the blocks"
        width += ", which may all be skipped" * plan.stage1.skip
    asked = {name: getattr(plan.search, name) for name in ("flops", "params", "convention")}
    if most_allowed := Budget(**asked).words():
        width = f"the widest whose all-global network has at most {most_allowed}, as asked"
    seen = f"in {recipe.LEAST_EPOCHS} to {recipe.MOST_EPOCHS} epochs"
    kind = "worth 5 to 20 points on few images, by docs/few-images.md"
    if plan.pretrained.file:
        width = f"of the pretrained weights, with FFNs of {plan.stage1.d_z} x d in stage 1"
        width += ", which may skip blocks" * plan.stage1.skip
        seen = f"a third of what random weights need, at least {LEAST_EPOCHS} epochs"
        kind = "stem and pool of the pretrained weights; the local heads of docs/few-images.md"
    kernels, flip = ", ".join(map(str, plan.stage2.K)), "yes" if augment.flip else "no"
    epochs = _all(training.epochs, plan.stage2.training.epochs)
    return {
        **({"told": "; ".join(survey.notes)} if survey.notes else {}),
        f"data {plan.data.source}": f"{survey.images:,} training images of {survey.classes} "
        f"classes, {survey.side} pixels a side, {colour}; {own_test}",
        **worth(survey, plan.data.source),
        f"data.limit {plan.data.limit or 'none'}": f"a search on {device} takes {most} images",
        f"net.image {net.image}, patch {net.patch}": f"{net.T} tokens; {size}",
        f"data.interpolation {plan.data.interpolation}": "as they were packed"
        if survey.interpolation
        else "as DeiT resizes its images",
        **(
            {f"data.crop_pct {plan.data.crop_pct:g}": "DeiT's; random crops are of whole pictures"}
            if survey.whole
            else {}
        ),
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
        f"{'yes' if alone.refit else 'no'}, teacher {alone.distillation.teacher or 'none'}": "from "
        "the weights that were scored"
        + f", in the end for {alone.refit_epochs} epochs on held-out images too" * alone.refit
        + ", taught by a small CNN" * (alone.distillation.teacher == OWN_TEACHER)
        + ", whose convolutions the stem begins with" * plan.gives_stem,
        f"trials {_all(plan.stage1.trials, plan.stage2.trials)}": f"of stages 1 and 2, on {device}",
    }


def _all(*values: int) -> str:
    """The values, or one if they are equal."""
    return ", ".join(map(str, dict.fromkeys(values)))


FEW, UNEQUAL = 100, 2
"""Images of a class, on average, below which they are few; how many times fewer a class has than
the average if classes are unequal."""


def worth(survey: Survey, source: str) -> dict[str, str]:
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
