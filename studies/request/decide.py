"""The decision on a request: its plan and its folder; nothing is written.

decision = decide(Request(data="photos", flops="50M"))
run = begin(decision)  # hnas.studies.request.begin: made, or continued
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hnas.errors import InputError
from hnas.studies.plan.change import (
    check_code,
    dealt_trials,
    override,
    refined,
    sized_as,
    with_values,
)
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.quantities import parse_latency, parse_time
from hnas.studies.plan.strategies import stages
from hnas.studies.plan.tables import STRATEGIES
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset
from hnas.studies.request.request import Request, folder_of
from hnas.studies.request.sizing import sizes, within_budget, within_time

if TYPE_CHECKING:
    from hnas.studies.plan.proposal import Proposal
    from hnas.studies.run.folder import Run

FEW = 100
"""Trials of a stage: in fewer TPE finds more than NSGA-II."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a request comes to."""

    request: Request
    folder: Path
    plan: Plan
    begun: Run | None
    """The run that is in the folder already."""
    proposal: Proposal | None
    """What the plan was made from, if it is a proposal."""
    note: str = ""
    """What a person should know of the plan, a sentence a line."""


def decide(request: Request) -> Decision:
    """The plan and the folder of a request; nothing is written.

    Raises InputError if the request breaks a rule, BudgetError if nothing fits its limits.
    """
    from hnas.studies.run.folder import Run, is_run, open_run
    from hnas.studies.run.paths import from_anywhere, here
    from hnas.studies.trials.url import absolute, check_text

    storage = request.storage and absolute(request.storage)
    request = replace(request, storage=storage, data=here(request.data))
    folder = folder_of(request)
    check_text(folder)
    begun = open_run(folder, storage=request.storage) if is_run(folder) else None
    plan, proposal, note = plan_of(request, begun)
    if request.stage is not None:
        Run(folder, plan, "", folder.name).stage(request.stage)  # says which stages there are
    plan = from_anywhere(plan, begun)
    if begun is not None:
        _check_trials(begun, plan)
    else:
        _check_precision(plan, request)
        name = plan.data.source
        if request.plan and here(name) != name:
            brought = f"{name!r} in a plan are the images that hnas brings; not ./{name}, here."
            note = "\n".join(filter(None, (note, brought)))
    return Decision(
        request=request, folder=folder, plan=plan, begun=begun, proposal=proposal, note=note
    )


def _check_precision(plan: Plan, request: Request) -> None:
    """Raises InputError if a training shall compute in what the device cannot: before there is a
    run. A run that has begun says so when it trains or scores."""
    trainings = (*(stage.training for stage in stages(plan)), plan.retrain.training)
    if any(rules.precision == "bf16" for rules in trainings):
        from hnas.device import choose, precision

        precision(choose(request.device), "bf16")


def _check_trials(begun: Run, plan: Plan) -> None:
    """Raises InputError if a stage shall have fewer trials than it has."""
    asked = [stage.trials for stage in replace(begun, plan=plan).stages]
    if all(now >= was.trials for was, now in zip(begun.stages, asked, strict=False)):
        return
    from hnas.studies.run.status import read_status

    for number, (has, now) in enumerate(zip(read_status(begun).stages, asked, strict=False), 1):
        if now < has.trials:
            raise InputError(
                f"stage {number} of {begun.folder} has {has.trials:,} trials, and {now:,} are "
                "asked for: trials can be added to a run, not taken away"
            )


def plan_of(request: Request, begun: Run | None = None) -> tuple[Plan, Proposal | None, str]:
    """The plan of a request for a run that has `begun`, if any; its proposal; what a person should
    know of it, a sentence a line. Raises as `decide` does."""
    base, proposal, asked = *_base(request, begun), request.budget
    if proposal is not None:  # what the options change must fit the same numbers again
        asked = replace(asked, flops=base.search.flops, params=base.search.params)
        base = replace(base, search=replace(base.search, flops=None, params=None))
    plan, notes = _changed(base, request), []
    if proposal is not None and proposal.taken:
        notes.append(f"{request.pretrained} is taken as: {'; '.join(proposal.taken)}.")
    if plan.data.source != base.data.source:
        plan, note = _with_classes(plan, begun)
        notes.append(note)
    if asked:
        resumed = begun if begun and base == begun.plan else None
        plan, note = within_budget(plan, asked, resumed)
        notes.append(note)
    if request.time is not None:
        plan, note = _within_time(plan, request, begun, proposal)
        notes.append(note)
    if proposal is not None:
        plan = _with_measured(plan, request)
    return plan, proposal, "\n".join(filter(None, notes))


def _with_measured(plan: Plan, request: Request) -> Plan:
    """A proposed plan with the sampler and the pick that were measured to find most in as many
    trials, unless others are asked for: docs/ranking.md."""
    sampler = plan.search.sampler
    if not sampler and plan.search.strategy in STRATEGIES[:2]:
        sampler = "tpe" if stages(plan)[0].trials < FEW else "nsga2"
    pick = "smoothed-loss" if plan.score.metric == "accuracy" else "smoothed"
    measured = {"search.sampler": sampler, "search.pick": pick}
    return with_values(plan, {key: v for key, v in measured.items() if key not in request.values})


def _within_time(
    plan: Plan, request: Request, begun: Run | None, proposal: Proposal | None
) -> tuple[Plan, str]:
    """The plan sized to the time asked for. A run that has `begun` with it keeps its sizes."""
    name, asked = request.spell("time"), request.time
    seconds = parse_time(asked, name)
    for other in ("epochs", "trials"):
        if getattr(request, other) is not None:
            raise InputError(
                f"{name} chooses epochs and trials: leave {request.spell(other)} out, or {name}"
            )
    if begun is not None:
        if (begun.about.asked or {}).get("time") == asked:
            return sized_as(plan, begun.plan), ""
        raise InputError(
            f"{request.spell('time', asked)} sizes a search that begins, and the run "
            f"{begun.folder} has begun with other sizes. Use another {request.spell('run')}"
        )
    from hnas.data import survey
    from hnas.device import choose
    from hnas.studies.search.estimate import estimate

    images = proposal.survey if proposal else survey(plan.data.source)
    steps = list(estimate(plan, images, choose(request.device)))
    sized = within_time(plan, seconds, steps)
    return sized, f"{request.spell('time', asked)}: {sizes(plan, sized) or 'the plan takes that'}."


def _propose(request: Request) -> Proposal:
    """The plan proposed for the images of a request. Raises InputError if they cannot be read,
    BudgetError if no plan fits."""
    from hnas.data import survey
    from hnas.device import choose
    from hnas.studies.plan.proposal import propose
    from hnas.studies.run.paths import here

    source, device = here(request.data) or "digits", choose(request.device)
    start = None
    if request.pretrained is not None:
        from hnas.studies.search.pretrained import start_of

        start = start_of(Path(request.pretrained))
    images = survey(source)
    with request.budget.naming():
        return propose(images, source, device=device.type, asked=request.budget, start=start)


def _base(request: Request, begun: Run | None) -> tuple[Plan, Proposal | None]:
    """The plan that the options change, and its proposal."""
    if isinstance(request.plan, Plan):
        return request.plan, None
    if request.plan is not None:
        file = Path(request.plan)
        return _checked(load_plan(file), f"the plan {file}", request), None
    if request.preset is not None:
        return load_preset(request.preset), None
    if begun is not None:
        return _checked(begun.plan, f"the run {begun.folder}", request), None
    if request.pretrained is not None and request.data is None:
        pretrained, data = map(request.spell, ("pretrained", "data"))
        raise InputError(f"{pretrained} needs {data}, the images to fine-tune it for")
    if request.data is None or (request.data in PRESETS and request.pretrained is None):
        return load_preset(request.data or "digits"), None
    proposal = _propose(request)
    return proposal.plan, proposal


def _checked(plan: Plan, origin: str, request: Request) -> Plan:
    """A plan that may come from someone else. Raises InputError if it names code."""
    if not request.allow_code:
        # The asker trusts code that `data` names.
        read = plan if request.data is None else override(plan, data="digits")
        check_code(read, origin, allow=request.spell("allow_code", True))
    return plan


def _changed(base: Plan, request: Request) -> Plan:
    latency = request.latency
    plan = override(
        base,
        strategy=request.strategy,
        sampler=request.sampler,
        skip_bad_images=request.skip_bad_images,
        compile=request.compile,
        precision=request.precision,
    )
    plan = override(
        refined(plan) if request.refine else plan,
        data=request.data,
        epochs=request.epochs,
        objective=request.objective,
        convention=request.convention,
        latency=latency and parse_latency(latency, request.spell("latency")),
        seed=request.seed,
        init_from=request.init_from,
        pretrained=request.pretrained,
    )
    plan = _with_trials(plan, request.stage, request.trials)
    return with_values(plan, request.values) if request.values else plan


def _with_trials(plan: Plan, stage: int | None, trials: int | None) -> Plan:
    if trials is None:
        return plan
    if len(stages(plan)) == 1:
        return dealt_trials(plan, trials)
    if stage is None:
        return override(plan, trials=trials)
    if stage == 3 and not plan.refine.trials:
        return plan  # which has no such stage
    name = ("stage1", "stage2", "refine")[stage - 1]
    return replace(plan, **{name: replace(getattr(plan, name), trials=trials)})


def _with_classes(plan: Plan, begun: Run | None) -> tuple[Plan, str]:
    """The plan with as many classes as its data have, and a note about it."""
    source, note = plan.data.source, ""
    if begun is not None:
        classes = begun.plan.net.classes
    else:
        from hnas.data import survey

        if (classes := survey(source).classes) != plan.net.classes:
            note = f"{source} has {classes} classes: net.classes is {classes}."
    return replace(plan, net=replace(plan.net, classes=classes)), note
