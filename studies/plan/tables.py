"""The tables of a plan, as frozen records; those that trainings know too are in `hnas.settings`."""

from dataclasses import dataclass, field

from hnas.architecture.space import Own
from hnas.cost.conventions import BUDGETS
from hnas.errors import InputError
from hnas.persist.record import later
from hnas.persist.words import did_you_mean
from hnas.settings import CODE, OWN_TEACHER, AugmentRules, DistillationRules, TrainingRules
from hnas.studies.objective.costs import OBJECTIVES
from hnas.studies.plan.quantities import parse_flops, parse_latency, parse_params

HANDOFF_RULES = ("score", "retrained")
STARTS = ("scratch", "supernet")
STRATEGIES = ("hierarchical", "high-level", "flat", "random")
"""The ways to search: see `hnas.studies.plan.strategies`."""
SAMPLERS = ("nsga2", "tpe", "spos", "random", "nsga3", "gp")
"""The ways to propose generations: see `hnas.studies.proposers.samplers`."""
PICKS = ("score", "smoothed", "smoothed-loss")
"""What the best trials of a stage are the best by: see `hnas.studies.trials.smoothing`."""


def _check_supernet(training: TrainingRules) -> None:
    if training.keep != "last":
        raise InputError(
            "training.keep is for a network trained alone: of a supernet the last epoch is kept, "
            f"got {training.keep!r}"
        )


def _check_trials(trials: int, population: int) -> None:
    if trials < 1:
        raise InputError(f"trials must be >= 1, got {trials}")
    if population < 2:
        raise InputError(f"population must be >= 2 (a child has two parents), got {population}")


def _check_sampler(sampler: str) -> None:
    if sampler and not (sampler in SAMPLERS or CODE.fullmatch(sampler)):
        close = did_you_mean(sampler, SAMPLERS)
        raise InputError(f"sampler {sampler!r} is unknown; {close}, or module:function")


@dataclass(frozen=True, kw_only=True)
class Stage1:
    """The search for global and local groups; the sizes are fixed."""

    d_k: int
    """Width of queries, keys and values of a block if all its groups are global; a multiple of N x
    heads."""
    d_z: int = 4
    """Expansion of the FFN: d x d_z wide."""
    E: int = 1
    """Expansion of a local head."""
    K: int
    """Kernel of a local head, odd: in tokens, or in patches a side if it sees their grid."""
    trials: int
    """Architectures scored."""
    population: int
    """Architectures a generation."""
    training: TrainingRules
    """Of the supernet."""
    init_from: str = ""
    """A network of `hnas import` or `hnas export` that the supernet starts from; empty: random
    weights."""
    sampler: str = later("")
    """How this stage proposes its generations, as `search.sampler`; empty: by that. The strategies
    flat and random know that one only."""
    skip: bool = later(False)
    """Whether blocks may be skipped, all but the first, or all behind a residual stem: then depth
    is searched too, as AutoFormer's (2107.00651), and block by block."""

    def __post_init__(self) -> None:
        _check_trials(self.trials, self.population)
        _check_supernet(self.training)
        _check_sampler(self.sampler)


@dataclass(frozen=True, kw_only=True)
class Stage2:
    """The search for every block's sizes, each from a list of candidates."""

    d_k: tuple[int, ...]
    """Candidates, for each of the four sizes: multiples of N x heads."""
    d_z: tuple[int, ...]
    E: tuple[int, ...]
    K: tuple[int, ...]
    trials: int
    """Architectures scored."""
    population: int
    """Architectures a generation."""
    training: TrainingRules
    """Of the supernet, grown to these candidates, before it scores."""
    mixed: Own = later(Own())
    """Candidates of mixed blocks, if they have their own; empty lists: as above."""
    local: Own = later(Own())
    """The same for blocks without global groups, which have no d_k."""
    sampler: str = later("")
    """How this stage proposes its generations, and stage 3, as `search.sampler`; empty: by that."""

    def __post_init__(self) -> None:
        _check_trials(self.trials, self.population)
        _check_supernet(self.training)
        _check_sampler(self.sampler)


@dataclass(frozen=True, kw_only=True)
class Refine:
    """A third stage, which searches the whole space from stage 2's front; none by default.

    Its population and the other settings of its supernet's training are stage 2's.
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
    """Settings of all stages."""

    strategy: str = "hierarchical"
    """One of hierarchical, high-level, flat, random: see `hnas.studies.plan.strategies`."""
    flops: int | None = field(default=None, metadata={"read": parse_flops})
    """Most multiply-accumulates of one image; None: those of the all-global network if FLOPs are
    minimised, otherwise no limit."""
    convention: str = later("exact")
    """How `flops` counts them: `exact`, or `glit` as the authors' release, which misses one of the
    three pointwise products of a local head."""
    params: int | None = field(default=None, metadata={"later": True, "read": parse_params})
    """Most learned parameters; None: no limit."""
    seed: int = 0
    """Of the images' split and of everything that is drawn."""
    objective: str = "flops"
    """The costs to minimise while accuracy is maximised: flops, latency or both."""
    latency: str = field(default="", metadata={"read": parse_latency})
    """Longest time of one batch on the device that searches, for example "2.5ms"; empty: that of
    the all-global network, or the mean of stage 1's if that is more; no limit if latency is not
    minimised."""
    latency_batch: int = 1
    """Images at a time, wherever latency is measured."""
    sampler: str = later("")
    """How stages propose their generations: one of SAMPLERS, or `module:function`, a function
    of the population and a seed that gives a sampler of Optuna's. The first generation then begins
    with the cheapest, the all-global and the all-local network. Empty: without these, by NSGA-II;
    by SPOS's evolution if the strategy is flat, by chance if it is random."""
    pick: str = later("score")
    """What the hand-off and retraining take the best by: their score, or `smoothed`, what all
    scores of the stage say of each network, if that predicts scores that it has not seen;
    `smoothed-loss`, the same of the losses on the held-out images."""

    def __post_init__(self) -> None:
        names = (
            ("objective", OBJECTIVES),
            ("strategy", STRATEGIES),
            ("pick", PICKS),
            ("convention", BUDGETS),
        )
        for name, known in names:
            if (value := getattr(self, name)) not in known:
                raise InputError(f"{name} {value!r} is unknown; {did_you_mean(value, known)}")
        _check_sampler(self.sampler)
        if self.strategy == "random" and self.sampler not in ("", "random"):
            raise InputError(
                "sampler must be random, or left out, in the strategy random: another would not "
                f"search by chance, got {self.sampler!r}"
            )
        if self.latency_batch < 1:
            raise InputError(f"latency_batch must be >= 1, got {self.latency_batch}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be in [0, 2^32), got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """The choice of stage 1's distribution for stage 2."""

    rule: str = "score"
    """`score`: the best by score; `retrained`: the best of the top few, each retrained."""
    top: int = 5
    """How many are retrained."""

    def __post_init__(self) -> None:
        if self.rule not in HANDOFF_RULES:
            raise InputError(f"rule must be one of {HANDOFF_RULES}, got {self.rule!r}")
        if self.top < 1:
            raise InputError(f"top must be >= 1, got {self.top}")


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Training the best of the last stage by themselves."""

    top: int = 5
    """Best of the last stage to retrain."""
    training: TrainingRules
    augment: AugmentRules = AugmentRules()
    distillation: DistillationRules = DistillationRules()
    start: str = later("scratch")
    """`scratch`: random weights; `supernet`: those that a network was scored with, its subnet of
    the stage's supernet."""
    refit: bool = later(False)
    """Whether winner and all-global network, once they are picked, are trained again by the same
    rules on the held-out images too, and these are tested and exported."""
    refit_epochs: int = later(0)
    """Epochs of that last training; 0: as many as were kept. More of them pay if candidates are
    trained only as long as it takes to choose one."""

    processes: int = later(0)
    """Networks that are trained at the same time, each in a process of its own with its share of
    the threads; on GPUs, each on its own. 0: one a thread, if the trainings are long enough to pay
    for it; 1: one after the other, with all threads."""

    def __post_init__(self) -> None:
        if self.processes < 0:
            raise InputError(f"processes must be >= 0, got {self.processes}")
        if self.top < 1:
            raise InputError(f"top must be >= 1, got {self.top}")
        if self.refit_epochs < 0 or (self.refit_epochs and not self.refit):
            raise InputError(
                f"refit_epochs must be >= 0, and 0 unless refit = true, got {self.refit_epochs}"
            )
        if self.start not in STARTS:
            raise InputError(f"start must be one of {STARTS}, got {self.start!r}")
        if self.training.subnets != "uniform":
            raise InputError(
                "training.subnets is for a supernet: a network trained alone has no subnets, "
                f"got {self.training.subnets!r}"
            )

    def teaches(self, *, held_out_too: bool) -> bool:
        """Whether a teacher teaches networks that are trained on held-out images too, or the
        others.

        If the plan refits, its own CNN sees the held-out images, so that it teaches the last
        training alone: networks that learned from it could not be judged on them.
        """
        late = self.refit and self.distillation.teacher == OWN_TEACHER
        return bool(self.distillation.teacher) and (held_out_too or not late)


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """Simple models on the same images, to compare the answer with."""

    images: int = 20_000
    """They are fitted if there are at most so many images besides the test part; 0: never."""

    def __post_init__(self) -> None:
        if self.images < 0:
            raise InputError(f"images must be >= 0, got {self.images}")
