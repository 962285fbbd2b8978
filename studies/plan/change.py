"""Changes of a plan: values that options replace, a third stage, code that needs permission."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from hnas.errors import InputError
from hnas.persist.difference import differences
from hnas.settings import CODE, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.quantities import parse_flops, parse_latency, parse_params
from hnas.studies.plan.tables import STRATEGIES, Refine, Stage1, Stage2
from hnas.studies.plan.toml import from_values, to_toml


class Changes(TypedDict, total=False):
    """What `override` replaces; None, or False, leaves what the plan says."""

    data: Any
    """A name; `hnas.search` takes images too."""
    skip_bad_images: bool
    compile: bool
    precision: str | None
    strategy: str | None
    sampler: str | None
    trials: int | None
    epochs: int | None
    objective: str | None
    flops: int | str | None
    convention: str | None
    params: int | str | None
    latency: str | None
    seed: int | None
    init_from: str | Path | None
    pretrained: str | Path | None


def override(plan: Plan, **changes: Unpack[Changes]) -> Plan:
    """The plan with some values replaced; `trials` and `sampler` of each stage, `epochs` and
    `precision` of all trainings."""
    given: dict[str, Any] = {
        name: _READ[name](value) if name in _READ else value
        for name, value in changes.items()
        if value is not None and value is not False
    }
    given |= {"source": given["data"]} if "data" in given else {}

    def among(*names: str) -> dict[str, Any]:
        return {name: given[name] for name in names if name in given}

    def trained(rules: TrainingRules) -> TrainingRules:
        return replace(rules, **among("epochs", "compile", "precision"))

    s1, s2, refine, retrain = plan.stage1, plan.stage2, plan.refine, plan.retrain
    if "sampler" in given:
        s1, s2 = replace(s1, sampler=""), replace(s2, sampler="")
    return replace(
        plan,
        data=replace(plan.data, **among("source", "skip_bad_images")),
        pretrained=replace(plan.pretrained, file=given.get("pretrained", plan.pretrained.file)),
        search=replace(
            plan.search,
            **among("flops", "convention", "params", "seed", "strategy", "sampler"),
            **among("objective", "latency"),
        ),
        stage1=replace(s1, training=trained(s1.training), **among("trials", "init_from")),
        stage2=replace(s2, training=trained(s2.training), **among("trials")),
        refine=replace(refine, **among("trials", "epochs")) if refine.trials else refine,
        retrain=replace(
            retrain,
            training=trained(retrain.training),
            refit_epochs=given.get("epochs", retrain.refit_epochs) if retrain.refit_epochs else 0,
        ),
    )


_READ: dict[str, Callable[[Any], object]] = {
    "flops": parse_flops,
    "params": parse_params,
    "latency": parse_latency,
    "init_from": lambda path: str(Path(path).resolve()),
    "pretrained": lambda path: str(Path(path).resolve()),
}


def multiplied(plan: Plan, factor: float) -> Plan:
    """The plan with all epochs and trials times a factor: at least an epoch and, as far as the plan
    has so many, a generation of trials; at most as many as stage 1 has distributions."""

    def times(epochs: int) -> int:
        return max(1, round(epochs * factor)) if epochs else 0

    def trained(rules: TrainingRules) -> TrainingRules:
        return replace(rules, epochs=times(rules.epochs))

    def trials(stage: Stage1 | Stage2 | Refine, population: int) -> int:
        return max(min(stage.trials, population), round(stage.trials * factor))

    s1, s2, refine = plan.stage1, plan.stage2, plan.refine
    most = plan.space1().distinct if plan.search.strategy == STRATEGIES[0] else None
    first = trials(s1, s1.population)
    if refine.trials:
        refine = Refine(trials=trials(refine, s2.population), epochs=times(refine.epochs))
    alone = plan.retrain
    retrain = replace(
        alone, training=trained(alone.training), refit_epochs=times(alone.refit_epochs)
    )
    return replace(
        plan,
        stage1=replace(s1, trials=min(first, most or first), training=trained(s1.training)),
        stage2=replace(s2, trials=trials(s2, s2.population), training=trained(s2.training)),
        refine=refine,
        retrain=retrain,
    )


def dealt_trials(plan: Plan, trials: int) -> Plan:
    """The plan with so many trials in all its stages together, in its proportions: those of a
    strategy of one stage. Raises InputError if a stage would have none."""
    s1, s2, refine = plan.stage1, plan.stage2, plan.refine
    have = [n for n in (s1.trials, s2.trials, refine.trials) if n]
    if trials < len(have):
        raise InputError(
            f"trials must be >= {len(have)}, got {trials}: the one stage of "
            f"{plan.search.strategy!r} has those of all {len(have)} stages of the plan together"
        )
    dealt: list[int] = []
    for at, n in enumerate(have, 1):
        left, most = trials - sum(dealt), trials - sum(dealt) - len(have) + at
        dealt.append(min(max(round(left * n / sum(have[at - 1 :])), 1), most))
    return replace(
        plan,
        stage1=replace(s1, trials=dealt[0]),
        stage2=replace(s2, trials=dealt[1]),
        refine=replace(refine, trials=dealt[2]) if refine.trials else refine,
    )


def sized_as(plan: Plan, other: Plan) -> Plan:
    """The plan with the epochs and trials of another, of the stages that it has itself."""
    found = differences(asdict(plan), asdict(other)).items()
    sizes = ("epochs", ".trials")
    return with_values(plan, {n: its for n, (own, its) in found if own and n.endswith(sizes)})


def with_values(plan: Plan, values: Mapping[str, object]) -> Plan:
    """The plan with values by the names of its keys, as {"stage1.training.lr": 2e-3}.

    Text is read as TOML, and as itself if it is none; the empty text gives a key its default back.
    Raises InputError for a key that a plan does not have, or a value that breaks its rule.
    """
    tables = tomllib.loads(to_toml(plan))
    for name, value in values.items():
        *path, key = name.split(".")
        table = tables
        for i, part in enumerate(path, 1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"{'.'.join(path[:i])} is no table of a plan, got {name!r}")
        table[key] = _read_value(value)
        if value == "":
            del table[key]
    return from_values(tables)


def _read_value(value: object) -> object:
    if not isinstance(value, str):
        return list(value) if isinstance(value, tuple) else value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def refined(plan: Plan) -> Plan:
    """The plan with a third stage, which takes half of stage 2's trials and epochs. A plan that has
    one stays as it is.

    Raises InputError if the strategy has no stage 2, or stage 2 has too little to halve.
    """
    if plan.refine.trials:
        return plan
    if plan.search.strategy != STRATEGIES[0]:
        raise InputError(
            f"a third stage needs the strategy {STRATEGIES[0]!r}, got {plan.search.strategy!r}"
        )
    second = plan.stage2
    trials, epochs = second.trials // 2, second.training.epochs // 2
    if not (trials and epochs):
        raise InputError(
            "a third stage takes half of stage2.trials and of stage2.training.epochs, which must "
            f"both be >= 2, got {second.trials} and {second.training.epochs}"
        )
    training = replace(second.training, epochs=second.training.epochs - epochs)
    return replace(
        plan,
        stage2=replace(second, trials=second.trials - trials, training=training),
        refine=Refine(trials=trials, epochs=epochs),
    )


def check_code(plan: Plan, origin: str, *, allow: str) -> None:
    """Raises InputError if the plan names code to run, as `data.source = 'module:function'`; the
    message names the option that would `allow` it."""
    values = {
        "data.source": plan.data.source,
        "score.metric": plan.score.metric,
        "search.sampler": plan.search.sampler,
        "stage1.sampler": plan.stage1.sampler,
        "stage2.sampler": plan.stage2.sampler,
        "retrain.distillation.teacher": plan.retrain.distillation.teacher,
    }
    named = [f"{name} = {value!r}" for name, value in values.items() if CODE.fullmatch(value)]
    if named:
        raise InputError(
            f"{origin} names code to run: {', '.join(named)}. A plan may not run code "
            f"unasked. Look at the code, then give {allow}"
        )
