"""The JSON schema of a plan, for editors that complete and check TOML by one (Taplo, VS Code's Even
Better TOML). It follows from the records of a plan: keys, kinds, defaults and what they mean."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from hnas import settings
from hnas.architecture.space import NAMED
from hnas.cost.conventions import BUDGETS
from hnas.machine import PRECISIONS
from hnas.sampling import RULES
from hnas.studies.objective.costs import OBJECTIVES
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import HANDOFF_RULES, PICKS, SAMPLERS, STARTS, STRATEGIES
from hnas.studies.plan.text import meanings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The one that editors of TOML know."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "data.background": settings.BACKGROUNDS,
    "data.interpolation": settings.INTERPOLATIONS,
    **{f"net.{name}": known for name, known in NAMED.items()},
    "pretrained.local": settings.LOCAL_STARTS,
    "pretrained.keep": settings.CUTS,
    "augment.randaugment_outside": settings.OUTSIDES,
    "training.subnets": tuple(RULES),
    "training.initial": settings.INITIALS,
    "training.keep": settings.KEPT,
    "training.class_weights": settings.CLASS_WEIGHTS,
    "training.precision": PRECISIONS,
    "search.strategy": STRATEGIES,
    "search.objective": tuple(OBJECTIVES),
    "search.pick": PICKS,
    "search.convention": tuple(BUDGETS),
    "handoff.rule": HANDOFF_RULES,
    "retrain.start": STARTS,
    "distillation.rule": settings.LESSONS,
}
"""All words that a key takes, by the last two parts of its name."""
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "search.sampler": SAMPLERS,
    "stage1.sampler": SAMPLERS,
    "stage2.sampler": SAMPLERS,
    "score.metric": tuple(settings.METRICS),
    "distillation.teacher": (settings.OWN_TEACHER,),
    "data.source": ("digits",),
    "search.flops": ("50M",),
    "search.params": ("5M",),
    "search.latency": ("2.5ms",),
}
"""Some of the words that a key takes."""
_KINDS: dict[object, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    tuple[int, ...]: {"type": "array", "items": {"type": "integer"}},
    tuple[float, ...]: {"type": "array", "items": {"type": "number"}},
}


def schema() -> dict[str, Any]:
    """The schema: every plan that `hnas.studies.plan.toml` reads fits it. What keys mean for each
    other it cannot say, so a plan that fits may still be refused."""
    return {"$schema": DIALECT, "title": "A plan of hnas", **_table(Plan, "")}


def _table(kind: type[Any], at: str) -> dict[str, Any]:
    hints, notes = get_type_hints(kind), meanings(kind)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            f.name: _property(f, hints[f.name], f"{at}.{f.name}", notes.get(f.name, ""))
            for f in fields(kind)
        },
        "required": [f.name for f in fields(kind) if f.default is MISSING],
    }


def _property(f: Field[Any], kind: Any, at: str, meaning: str) -> dict[str, Any]:
    told = {"description": meaning} if meaning else {}
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return {**told, **_table(kind, f.name)}
    [kind] = [one for one in get_args(kind) if one is not NoneType] if _optional(kind) else [kind]
    made = {**told, **_KINDS[kind]}
    if kind is int and "read" in f.metadata:  # a number, or text as "50M"
        made["type"] = ["integer", "string"]
    if at in WORDS:
        made["enum"] = list(WORDS[at])
    if at in EXAMPLES:
        made["examples"] = list(EXAMPLES[at])
    if f.default not in (MISSING, None):
        made["default"] = list(f.default) if isinstance(f.default, tuple) else f.default
    return made


def _optional(kind: Any) -> bool:
    return NoneType in get_args(kind)
