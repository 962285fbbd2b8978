"""A plan: everything a search is run by, as one TOML file read into frozen records.

One record is one table; a field that is a record is a table of its own inside it. A table or key
that is left out takes its default. What is wrong is said at once, before hours are spent on it.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.cost.latency_table import LatencyTable, milliseconds
from hnas.errors import BudgetError, InputError
from hnas.settings import (
    CODE,
    AugmentRules,
    DataRules,
    DistillationRules,
    ScoreRules,
    TrainingRules,
)
from hnas.studies.objective.costs import OBJECTIVES, Costs

PRESETS = ("digits", "fashion-mnist", "cifar10", "glit-tiny", "glit-small", "glit-base")
"""The plans that come with hnas."""

HANDOFF_RULES = ("score", "retrained")
STRATEGIES = ("hierarchical", "high-level", "flat", "random")
"""The ways to search: see `hnas.studies.plan.strategies`."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_SIZES = ("d_k", "d_z", "E", "K")


def parse_flops(value: object, name: str = "flops") -> int:
    """Multiply-accumulates from a whole number, or from text such as "250M" or "1.3G".

    Raises InputError, calling the value `name`, for anything that is not a whole number >= 1.
    """
    text = str(value).strip().upper() if type(value) in (int, str) else ""
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)", text)
    if found:
        macs = Fraction(found[1]) * _UNITS[found[2]]
        if macs >= 1 and macs.denominator == 1:
            return int(macs)
    raise InputError(
        f"{name} must be a whole number of multiply-accumulates >= 1, or text with K, M, G or T "
        f'behind the number, such as "250M" or "1.3G"; got {value!r}'
    )


def parse_latency(value: object, name: str = "latency") -> str:
    """A time such as "2.5ms", in milliseconds; empty text stays: the plan's default.

    Raises InputError, calling the value `name`, for anything that is not a time of 1 ns or more.
    """
    text = value.replace(" ", "").lower() if isinstance(value, str) else "none"
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|ms|s)", text)
    if found and (spent := round(Fraction(found[1]) * _NANOSECONDS[found[2]])):
        return milliseconds(spent)
    if not text:
        return text
    raise InputError(
        f'{name} must be a time with its unit, ns, us, ms or s, such as "2.5ms"; got {value!r}'
    )


def nanoseconds(latency: str) -> int:
    """Of a time as `parse_latency` gives it."""
    return round(Fraction(latency.removesuffix("ms")) * _NANOSECONDS["ms"])


def _check_trials(trials: int, population: int) -> None:
    if trials < 1:
        raise InputError(f"trials must be >= 1, got {trials}")
    if population < 2:
        raise InputError(f"population must be >= 2 (a child has two parents), got {population}")


@dataclass(frozen=True, kw_only=True)
class Stage1:
    """Which groups are global, which local; the sizes are fixed."""

    d_k: int
    d_z: int = 4
    E: int = 1
    K: int
    trials: int
    """Architectures scored."""
    population: int
    """Architectures a generation."""
    training: TrainingRules
    """Of the supernet."""
    init_from: str = ""
    """A network that `hnas import` or `hnas export` wrote, which the supernet starts from; empty:
    random weights."""

    def __post_init__(self) -> None:
        _check_trials(self.trials, self.population)


@dataclass(frozen=True, kw_only=True)
class Stage2:
    """Every block's sizes, each from a list of candidates."""

    d_k: tuple[int, ...]
    d_z: tuple[int, ...]
    E: tuple[int, ...]
    K: tuple[int, ...]
    trials: int
    """Architectures scored."""
    population: int
    """Architectures a generation."""
    training: TrainingRules
    """Of the supernet, grown to these candidates, before it scores."""

    def __post_init__(self) -> None:
        _check_trials(self.trials, self.population)
        for name in _SIZES:
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(
                    f"{name} must be distinct candidates, at least one, got {list(values)}"
                )


@dataclass(frozen=True, kw_only=True)
class Refine:
    """A third stage, which searches the whole space from stage 2's front; by default there is none.

    Its population and how its supernet is trained besides are stage 2's.
    """

    trials: int = 0
    """Architectures scored, the front among them; 0: no third stage."""
    epochs: int = 0
    """Of the supernet's training, before it scores."""

    def __post_init__(self) -> None:
        for name in ("trials", "epochs"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be >= 0, got {getattr(self, name)}")
        if (self.trials == 0) != (self.epochs == 0):
            raise InputError(
                "trials and epochs must both be 0 (no third stage) or both >= 1, got "
                f"{self.trials} and {self.epochs}"
            )


@dataclass(frozen=True, kw_only=True)
class Search:
    """What all stages keep to."""

    strategy: str = "hierarchical"
    """One of STRATEGIES."""
    flops: int | None = field(default=None, metadata={"read": parse_flops})
    """Most multiply-accumulates of one image; None: as many as the all-global network where FLOPs
    are minimised, any where they are not."""
    seed: int = 0
    objective: str = "flops"
    """What is minimised while accuracy is maximised: one of
    `hnas.studies.objective.costs.OBJECTIVES`."""
    latency: str = field(default="", metadata={"read": parse_latency})
    """Longest time of one batch on the device that searches, as "2.5ms"; empty: that of the
    all-global network, or if it is more the mean of stage 1's, where latency is minimised, any
    where it is not."""
    latency_batch: int = 1
    """Images at a time, wherever latency is measured."""

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InputError(
                f"objective {self.objective!r} is unknown; {_choices(self.objective, OBJECTIVES)}"
            )
        if self.latency_batch < 1:
            raise InputError(f"latency_batch must be >= 1, got {self.latency_batch}")
        if self.strategy not in STRATEGIES:
            raise InputError(
                f"strategy {self.strategy!r} is unknown; {_choices(self.strategy, STRATEGIES)}"
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be in [0, 2^32), got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """How stage 1's distribution is chosen for stage 2."""

    rule: str = "score"
    """`score`: the best by score; `retrained`: the best of the top few, each retrained."""
    top: int = 5

    def __post_init__(self) -> None:
        if self.rule not in HANDOFF_RULES:
            raise InputError(f"rule must be one of {HANDOFF_RULES}, got {self.rule!r}")
        if self.top < 1:
            raise InputError(f"top must be >= 1, got {self.top}")


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Training the winners from scratch."""

    top: int = 5
    """So many of the last stage's best are retrained."""
    training: TrainingRules
    augment: AugmentRules = AugmentRules()
    distillation: DistillationRules = DistillationRules()

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InputError(f"top must be >= 1, got {self.top}")
        if self.training.subnets != "uniform":
            raise InputError(
                "training.subnets is of a supernet's training: a network trained alone has none, "
                f"got {self.training.subnets!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole search. Raises InputError where a stage's sizes cannot be built in the frame or do
    not fit together, BudgetError where nothing fits the budget."""

    data: DataRules = DataRules()
    net: Frame
    augment: AugmentRules = AugmentRules()
    """Of the supernet's training images."""
    stage1: Stage1
    stage2: Stage2
    refine: Refine = Refine()
    score: ScoreRules = ScoreRules()
    search: Search = Search()
    handoff: Handoff = Handoff()
    retrain: Retrain

    def __post_init__(self) -> None:
        for stage, make in (("stage1", self.space1), ("stage2", self.space2)):
            try:
                self.costs().check(make())
            except BudgetError as error:
                raise BudgetError(f"{stage}: {error}") from None
            except InputError as error:
                raise InputError(f"{stage}.{error}") from None
        for name in _SIZES:
            fixed, candidates = getattr(self.stage1, name), getattr(self.stage2, name)
            if max(candidates) < fixed:
                raise InputError(
                    f"stage2.{name} must reach stage1.{name} = {fixed} (stage 2's supernet grows "
                    f"out of stage 1's), got {list(candidates)}"
                )

    def space1(self) -> Space:
        """Stage 1: the distribution (G, L) of every block."""
        s = self.stage1
        return distribution_space(self.net, d_k=s.d_k, d_z=s.d_z, E=s.E, K=s.K)

    def space2(self, distribution: Arch | None = None) -> Space:
        """Stage 2: the sizes of every block of `distribution`; None: the whole space."""
        s = self.stage2
        return size_space(self.net, distribution, d_k=s.d_k, d_z=s.d_z, E=s.E, K=s.K)

    def budget(self) -> int | None:
        """Most multiply-accumulates of one image; None: any."""
        if self.search.flops is not None:
            return self.search.flops
        if "macs" not in OBJECTIVES[self.search.objective]:
            return None
        return cost(self.net, self.net.all_global()).macs

    @property
    def needs_latency(self) -> bool:
        """Whether the search needs a latency table."""
        return bool(self.search.latency) or "latency" in OBJECTIVES[self.search.objective]

    def costs(self, table: LatencyTable | None = None) -> Costs:
        """What the search minimises, and its limits; without the table, where it needs one, those
        on FLOPs alone."""
        latency = None
        if table is not None:
            asked = self.search.latency
            latency = nanoseconds(asked) if asked else self._usual_latency(table)
        return Costs(
            frame=self.net,
            objective=self.search.objective,
            flops=self.budget(),
            latency=latency,
            table=table,
        )

    def _usual_latency(self, table: LatencyTable) -> int:
        """That of the all-global network, or, where it is more, the mean of stage 1's networks.

        With few tokens nothing is as fast as all-global: within its latency is nothing else.
        """
        means = (sum(map(table.block, row)) // len(row) for row in self.space1().choices)
        return max(table.of(self.net.all_global()), table.shared + sum(means))


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


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises InputError naming the file."""
    try:
        return from_toml(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"the plan {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the plan {path} must be UTF-8 text") from None
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def load_preset(name: str) -> Plan:
    """A plan that comes with hnas. Raises InputError for an unknown name."""
    return from_toml(preset_text(name))


def preset_text(name: str) -> str:
    """A preset as it is written, comments and all. Raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}; {_choices(name, PRESETS)}")
    return (
        resources.files("hnas.studies.plan").joinpath("presets", f"{name}.toml").read_text("utf-8")
    )


def from_toml(text: str) -> Plan:
    """The plan in a TOML text. Raises InputError naming table.key, the rule and the value."""
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a plan must be TOML: {error}") from None
    plan: Plan = _record(Plan, value, "")
    return plan


def to_toml(plan: Plan) -> str:
    """The resolved plan, every default written out; `from_toml` gives it back."""
    return "\n\n".join(_tables(plan, "")) + "\n"


_KINDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    tuple[int, ...]: "a list of whole numbers",
}


def _record(kind: type[Any], value: object, at: str) -> Any:
    """A frozen record from the table named `at` (the plan itself has no name)."""
    if not isinstance(value, dict):
        raise InputError(f"{at} must be a table, got {value!r}")
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    prefix = f"{at}." if at else ""
    for name in value:
        if name not in known:
            raise InputError(f"{prefix}{name} is not part of a plan; {_choices(name, known)}")
    for name, f in known.items():
        if f.default is MISSING and name not in value:
            raise InputError(f"{prefix}{name} is needed and is missing")
    made = {}
    for name, given in value.items():
        read = known[name].metadata.get("read")
        key = prefix + name
        made[name] = read(given, key) if read else _value(hints[name], given, key)
    try:
        return kind(**made)
    except InputError as error:
        raise type(error)(f"{prefix}{error}") from None


def _value(kind: Any, value: Any, at: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value, at)
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if kind == tuple[int, ...] and type(value) is list and all(type(v) is int for v in value):
        return tuple(value)
    if type(value) is kind and (kind is not float or math.isfinite(value)):
        return value
    raise InputError(f"{at} must be {_KINDS[kind]}, got {value!r}")


def _choices(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, names := list(names), n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names)}"


def _tables(record: Any, at: str) -> Iterator[str]:
    lines = [f"[{at}]"] if at else []
    inner = []
    for f in fields(record):
        value = getattr(record, f.name)
        if is_dataclass(value):
            inner.append((f"{at}.{f.name}" if at else f.name, value))
        elif value is not None:
            # Of a plan's values JSON differs from TOML in one thing: it leaves DEL as it is.
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{f.name} = {text}")
    if lines:
        yield "\n".join(lines)
    for key, value in inner:
        yield from _tables(value, key)
