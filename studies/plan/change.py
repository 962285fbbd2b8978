"""Changes of a plan: what options replace, a third stage, code that needs permission."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hnas.errors import InputError
from hnas.settings import (
    CODE,
    TrainingRules,
)
from hnas.studies.plan.plan import STRATEGIES, Plan, Refine
from hnas.studies.plan.quantities import parse_flops, parse_latency


def override(
    plan: Plan,
    *,
    data: str | None = None,
    skip_bad_images: bool | None = None,
    flops: int | str | None = None,
    seed: int | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    init_from: str | None = None,
    strategy: str | None = None,
    objective: str | None = None,
    latency: str | None = None,
) -> Plan:
    """The plan with some values replaced; `trials` of each stage, `epochs` of all trainings."""

    def training(rules: TrainingRules) -> TrainingRules:
        return rules if epochs is None else replace(rules, epochs=epochs)

    def given(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    s1, s2, refine, retrain = plan.stage1, plan.stage2, plan.refine, plan.retrain
    macs = None if flops is None else parse_flops(flops)
    longest = None if latency is None else parse_latency(latency)
    return replace(
        plan,
        data=replace(plan.data, **given(source=data, skip_bad_images=skip_bad_images)),
        search=replace(
            plan.search,
            **given(flops=macs, seed=seed, strategy=strategy, objective=objective, latency=longest),
        ),
        stage1=replace(
            s1, training=training(s1.training), **given(trials=trials, init_from=init_from)
        ),
        stage2=replace(s2, training=training(s2.training), **given(trials=trials)),
        refine=replace(refine, **given(trials=trials, epochs=epochs)) if refine.trials else refine,
        retrain=replace(retrain, training=training(retrain.training)),
    )


def refined(plan: Plan) -> Plan:
    """With a third stage, which is given half of stage 2's trials and epochs: no more in all. A
    plan that has one stays as it is.

    Raises InputError where the strategy has no stage 2, or it has too little to be halved.
    """
    if plan.refine.trials:
        return plan
    if plan.search.strategy != STRATEGIES[0]:
        raise InputError(
            f"a third stage is of the strategy {STRATEGIES[0]!r}, got {plan.search.strategy!r}"
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
    """Raises InputError where the plan names code to be run, as `data.source = 'module:function'`,
    saying what would `allow` it."""
    values = {
        "data.source": plan.data.source,
        "retrain.distillation.teacher": plan.retrain.distillation.teacher,
    }
    named = [f"{name} = {value!r}" for name, value in values.items() if CODE.fullmatch(value)]
    if named:
        raise InputError(
            f"{origin} asks for code to be run: {', '.join(named)}. A plan file is not trusted "
            f"with that. Look at the code, then give {allow}"
        )
