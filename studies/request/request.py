"""A request: what is asked of a search. The command line and Python build the same one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hnas.errors import InputError
from hnas.studies.plan.budget import Asked, keyword
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import STRATEGIES
from hnas.studies.trials.waiting import LEASE

RUNS = Path("runs")
"""The folder of runs that were given no folder."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a search. None, or False, leaves a choice to the plan."""

    run: str | Path | None = None
    """The run's folder; None: one in RUNS, named after the preset, the plan file or the data."""
    preset: str | None = None
    plan: Plan | str | Path | None = None
    """A plan, or its file."""
    data: str | None = None
    """The images. With `data` alone a plan is proposed for them."""
    stage: int | None = None
    """The only stage to search, counted from 1; None: all, then retraining and the test."""
    strategy: str | None = None
    sampler: str | None = None
    """How every stage proposes generations: one of `hnas.studies.plan.tables.SAMPLERS` or
    module:function."""
    refine: bool = False
    """Whether a third stage is added: `hnas.studies.plan.change.refined`."""
    trials: int | None = None
    """Architectures scored in each stage, or in `stage`; in all if the strategy has one stage."""
    epochs: int | None = None
    """Epochs of each training."""
    objective: str | None = None
    flops: int | str | None = None
    """Most multiply-accumulates of one image, as 50_000_000, "50M", or "40%" of the plan's
    all-global network. If they leave the plan no room, narrower tokens are chosen."""
    convention: str | None = None
    """How `flops` counts: "exact", or "glit" as the authors' release."""
    params: int | str | None = None
    """Most learned parameters, in the same way."""
    time: str | None = None
    """How long the search shall take, as "20m": epochs and trials follow from an estimate."""
    latency: str | None = None
    """Longest pass, as "2.5ms"."""
    set: Mapping[str, object] | Sequence[str] = ()
    """Values by the names of a plan's keys, as {"stage1.training.lr": 2e-3}, or each as text,
    "stage1.training.lr=2e-3"."""
    seed: int | None = None
    init_from: str | Path | None = None
    """A network that `hnas import` or `hnas export` wrote, which stage 1's supernet starts from."""
    pretrained: str | Path | None = None
    """Weights of a ViT that the plan proposed for `data` begins with, and whose network it has."""
    skip_bad_images: bool = False
    compile: bool = False
    """Whether the blocks of all networks are compiled (torch.compile)."""
    precision: str | None = None
    """What matrix products are computed in: `auto`, `fp32` or `bf16`."""
    rescore: bool = False
    """Whether a stage whose scores would not be comparable is scored again, in a new study."""
    workers: bool = False
    """Whether `hnas worker` processes score."""
    lease: float = LEASE
    """Seconds without a sign of life after which a worker counts as lost."""
    allow_code: bool = False
    """Whether the plan of a file or a run may name code to be run (`module:function`)."""
    device: str = "auto"
    log: str | None = None
    """A tracker that hears of every epoch and trial too: `hnas.studies.search.trackers`."""
    storage: str | None = None
    """The URL of the studies' storage; None: study.db in the run's folder."""
    spell: Callable[..., str] = field(default=keyword, compare=False, repr=False)
    """How the asker writes an option, for errors."""

    def __post_init__(self) -> None:
        if self.preset is not None and self.plan is not None:
            preset, plan = map(self.spell, ("preset", "plan"))
            raise InputError(f"{preset} and {plan} exclude each other: give one of them.")
        if self.pretrained is not None and (self.preset is not None or self.plan is not None):
            raise InputError(
                f"{self.spell('pretrained')} makes a plan for {self.spell('data')}: leave "
                f"{self.spell('preset')} and {self.spell('plan')} out. A plan of your own names "
                "the file as pretrained.file"
            )
        if self.convention is not None and self.flops is None:
            raise InputError(
                f"{self.spell('convention', self.convention)} says how {self.spell('flops')} is "
                f"counted: give {self.spell('flops')} too. A plan says it as search.convention"
            )
        if self.stage not in (None, 1, 2, 3):
            raise InputError(f"{self.spell('stage')} must be 1, 2 or 3, got {self.stage}")

    @property
    def budget(self) -> Asked:
        """`flops` and `params`."""
        return Asked(flops=self.flops, params=self.params, spell=self.spell)

    @property
    def values(self) -> Mapping[str, object]:
        """`set`, by key. Raises InputError for text that is not KEY=VALUE."""
        if isinstance(self.set, Mapping):
            return self.set
        pairs = [text.partition("=") for text in self.set]
        for key, equals, value in pairs:
            if not (key.strip() and equals):
                raise InputError(
                    f"{self.spell('set')} must be KEY=VALUE with a key of the plan, such as "
                    f"stage1.training.lr=2e-3, got {key + equals + value!r}"
                )
        return {key.strip(): value.strip() for key, _, value in pairs}

    @property
    def patience(self) -> float | None:
        """`lease`, if workers score."""
        return self.lease if self.workers else None


def folder_of(request: Request) -> Path:
    """The run's folder. Another way to search has a folder of its own."""
    if request.run is not None:
        return Path(request.run)
    if isinstance(request.plan, Plan):
        raise InputError(f"a Plan needs {request.spell('run')}, the folder to keep its search in")
    data = Path(request.data or "digits").resolve().name.replace(":", "-")
    name = request.preset or (Path(request.plan).stem if request.plan else data)
    if request.strategy not in (None, STRATEGIES[0]):
        name += f"-{request.strategy}"
    if request.sampler is not None:
        name += f"-{request.sampler.replace(':', '-')}"
    if request.refine:
        name += "-refined"
    if request.pretrained is not None:
        name += "-pretrained"
    if request.objective not in (None, "flops"):
        name += f"-{request.objective}"
    return RUNS / name
