"""Session: what the steps of a search share. The steps are functions of it, in the other modules.

It reads, splits and measures nothing before a step needs it, and then once.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import RDBStorage

from hnas.baselines.cnn import Fitted
from hnas.data import Data, Split
from hnas.device import describe, fits_memory
from hnas.errors import BudgetError, StateError
from hnas.network.supernet import Supernet
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.plan import Plan
from hnas.studies.run.agenda import agenda_of
from hnas.studies.run.folder import Run
from hnas.studies.run.history import History, row
from hnas.studies.run.images import keep_split, run_images
from hnas.studies.run.owner import keep_owner
from hnas.studies.run.provenance import changed, versions
from hnas.studies.run.split import read_split
from hnas.studies.run.status import read_status
from hnas.studies.run.times import Clock
from hnas.studies.search.events import Listener
from hnas.studies.search.layouts import chosen_layouts
from hnas.studies.search.measure_latency import latency_table
from hnas.studies.search.processes import crew, training_work
from hnas.studies.search.torchrun import images_job
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.marks import marks_of
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.training import micro_batches
from hnas.training.distillation import Teacher
from hnas.training.judge import Judge
from hnas.training.loop import Context, Epoch
from hnas.training.processes import ONE_PROCESS, World


class Session:
    """One run on one device. Hold the run (`run.hold()`) while its steps work, `close` at the end.

    The processes of `world`, of which this is the first, take part in training; the others wait in
    `hnas.studies.search.torchrun.serve`.
    """

    run: Run
    """Changed by a step that scores a stage again: its studies have other names then."""
    supernets: dict[int, Supernet]
    """The trained ones, by stage: `hnas.studies.search.supernets`."""
    teacher: Teacher | None
    """Of retraining, once it is there: `hnas.studies.search.teacher`."""
    cnn: Fitted | None = None
    """The CNN that is the teacher, if it was trained here."""
    only: int | None = None
    """The stage that is searched alone, if one is."""

    def __init__(
        self,
        run: Run,
        device: torch.device,
        listener: Listener | None = None,
        *,
        rescore: bool = False,
        world: World = ONE_PROCESS,
        lease: float | None = None,
    ) -> None:
        """With `rescore`, a stage whose study cannot be continued (other weights, images or rules
        of scoring) is scored in a new study, and the old one is kept. With `lease`, workers score:
        one counts as lost after so many seconds without a sign of life.

        Raises InputError if the plan's batches cannot be dealt to the processes.
        """
        self.run, self.device, self.world = run, device, world
        self.listener = listener or Listener()
        self.rescore, self.lease = rescore, lease
        self.supernets, self.teacher = {}, None
        self._studies: dict[str, optuna.Study] = {}
        self._noted: set[str] = set()
        self._told = False
        for rules in (*(stage.training for stage in run.stages), run.plan.retrain.training):
            world.share(micro_batches.count(rules, rules.batch))

    @property
    def plan(self) -> Plan:
        return self.run.plan

    @property
    def data(self) -> Data:
        """The images on the device, without the test part."""
        return self._prepared[0]

    @property
    def split(self) -> Split:
        return self._prepared[1]

    @cached_property
    def costs(self) -> Costs:
        """The minimised costs and their limits. If latency matters, a table of it is measured once
        on this device and kept. Raises BudgetError if the limits leave a stage nothing."""
        needed = self.plan.needs_latency
        table = latency_table(self.run, self.device, self.listener, self.clock) if needed else None
        costs = self.plan.costs(table)
        for number, stage in enumerate(self.run.stages, 1):
            try:
                costs.check(stage.space(None))
            except BudgetError as error:
                raise BudgetError(f"stage {number}: {error}") from None
        return costs

    @cached_property
    def storage(self) -> RDBStorage:
        # A file that was named when the run began holds its studies: it is not made again.
        kept = self.run.about.storage or ""
        return open_storage(self.run.storage, create=not kept.startswith("sqlite"))

    def close(self) -> None:
        """Closes the connections to the storage."""
        self._studies.clear()
        if "storage" in self.__dict__:
            close_storage(self.__dict__.pop("storage"))

    def study(self, stage: int) -> optuna.Study:
        """The study of a stage, opened once; it is made if there is none. Raises MismatchError if
        it is another run's."""
        name, objective = self.run.study_name(stage), self.plan.search.objective
        if name not in self._studies:
            study = open_study(self.storage, name, create=True, objective=objective)
            keep_owner(self.run, study)
            self._studies[name] = study
        return self._studies[name]

    def finished(self, stage: int, what: str) -> list[Record]:
        """All trials of a stage, which `what` needs. Raises StateError if some are missing."""
        study, asked = self.study(stage), self.run.stage(stage).trials
        found = records(study)
        if len(found) < asked and not marks_of(study).exhausted:
            raise StateError(
                f"{what} needs a finished stage {stage}: {study.study_name!r} has {len(found)} of "
                f"{asked} trials. Run: hnas search --stage {stage} --run {self.run.folder}"
            )
        return found

    def context(
        self,
        what: str,
        *,
        path: Path,
        identity: Mapping[str, Any],
        job: Mapping[str, Any],
        judge: Judge | None = None,
    ) -> Context:
        """The surroundings of a training; progress calls it `what`."""
        training = path.relative_to(self.run.folder).as_posix()
        return Context(
            path=path,
            identity=identity,
            job=job,
            world=self.world,
            judge=judge,
            before_kept=partial(self._keep_epoch, training),
            on_epoch=partial(self.listener.epoch, what),
            on_note=self.note_once,
            on_refused=lambda why: self.listener.note(f"passed over a damaged checkpoint: {why}"),
        )

    @cached_property
    def clock(self) -> Clock:
        """Measures the steps of this session; hold the run."""
        return Clock(self.run)

    def _keep_epoch(self, training: str, epoch: Epoch) -> None:
        self._history.add(row(training, epoch))
        self.clock.tick()

    @cached_property
    def _history(self) -> History:
        return History(self.run)

    def note_once(self, text: str) -> None:
        """What is so of many trainings is said once."""
        if text not in self._noted:
            self._noted.add(text)
            self.listener.note(text)

    def tell_agenda(self) -> None:
        """Tells the listener what there is to do, once: before the first training."""
        if not self._told:
            self._told = True
            _ = self.split  # it says how much work a step is
            if (agenda := agenda_of(read_status(self.run), self.only)) is not None:
                self.listener.planned(replace(agenda, together=self._together))

    @property
    def _together(self) -> int:
        """Candidates of the search that are trained at the same time."""
        rules, net, images = self.plan.retrain, self.plan.net, len(self.data.train)
        each = training_work(net, net.all_global(), rules.training.epochs * images)
        its = crew(rules.processes, self.device, [each] * rules.top, ranks=self.world.size)
        return its.size

    @cached_property
    def _prepared(self) -> tuple[Data, Split]:
        layouts = chosen_layouts(self.run, self.device, self.listener)
        self.world.ask(images_job(self.plan, self.device, read_split(self.run), layouts))
        data, split = run_images(self.run)
        assumed = keep_split(self.run, data, split, rescore=self.rescore)
        for note in (*data.carried, assumed, *data.notes):
            if note:
                self.listener.note(note)
        if self.run.about.images != data.notes:
            self.run.tell(replace(self.run.about, images=data.notes))
        self._keep_environment()
        with fits_memory("Pack class folders: hnas data pack; then give --data PACK"):
            return data.to(self.device), split

    def _keep_environment(self) -> None:
        """Writes the device and versions of the run, or notes how this one differs from them."""
        about, here = self.run.about, {**describe(self.device), **versions()}
        if about.environment is None:
            self.run.tell(replace(about, environment=here))
        elif found := changed(about.environment, here):
            changes = ", ".join(f"{name} {was} -> {now}" for name, (was, now) in found.items())
            self.listener.note(f"not what it began with ({changes}): last digits may differ")
