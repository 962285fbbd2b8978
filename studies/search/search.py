"""A whole search, step by step: every step goes on where it was broken off.

stage 1     a supernet of the distributions is trained, then searched
hand-off    one distribution is chosen
stage 2     the supernet is grown to that distribution's sizes, trained on, then searched
stage 3     where the plan refines: grown to the whole space, trained on, then searched from the
            front of stage 2
retraining  the best few, from scratch, and an all-global network of nearly equal cost
the end     the best of them and the all-global one meet the test set, once

That is the hierarchical strategy; in others (`hnas.studies.plan.strategies`) stage 1 has another
space and is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import RDBStorage

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space
from hnas.cost.flops import plain_vit
from hnas.data import Data, Split, prepare, test_images
from hnas.device import describe, fits_memory
from hnas.errors import BudgetError, InputError, MismatchError, StateError, StorageError
from hnas.exchange.export import load
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet, grow, inherit
from hnas.persist.record import recorded
from hnas.scoring.score import evaluate
from hnas.studies.objective.costs import OBJECTIVES, Costs
from hnas.studies.plan.plan import Retrain
from hnas.studies.proposers.base import starting_from
from hnas.studies.run.folder import Run
from hnas.studies.run.provenance import changed, versions
from hnas.studies.run.result import (
    Inputs,
    Result,
    TrainedNetwork,
    best_trained,
    read_result,
    write_result,
)
from hnas.studies.scoring.backend import Scoring
from hnas.studies.scoring.queue_backend import ByWorkers
from hnas.studies.scoring.supernet_scorer import SupernetScorer, weights_hash
from hnas.studies.search.events import Watch
from hnas.studies.search.measure_latency import latency_table
from hnas.studies.search.retrain import retrain
from hnas.studies.search.stage import SearchRules, StageResult, run_stage
from hnas.studies.search.torchrun import images_job, supernet_job
from hnas.studies.trials.database import close_storage, open_storage, storage_errors
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.queue import Call, announce, check_shared, dismiss, is_shared
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study, records
from hnas.training import micro_batches
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.processes import ONE_PROCESS, World
from hnas.training.supernet import train_supernet

HANDOFF = "handoff"
"""Attribute of both studies: what was handed over, and the other study's name."""
FRONT = "front"
"""Attribute of a study whose front the next began with: its architectures, and that study's name.
"""


class Search:
    """The steps of one run on one device. Hold the run (`run.hold()`) while calling them."""

    def __init__(
        self,
        run: Run,
        device: torch.device,
        watch: Watch | None = None,
        *,
        rescore: bool = False,
        world: World = ONE_PROCESS,
        lease: float | None = None,
    ) -> None:
        """With `rescore` a study that may not go on (other weights, images or rule of scoring) is
        kept, and its stage scored in a new one. The processes of `world`, of which this is the
        first, take part in training; the others wait in `hnas.studies.search.torchrun.serve`. With
        `lease` workers score, not this process: one counts as lost after so many seconds without a
        sign of life.

        Raises InputError where the plan's batches cannot be dealt to them.
        """
        self.run, self.plan = run, run.plan
        self.rescore, self.lease = rescore, lease
        self.device = device
        self.world = world
        for rules in (*(stage.training for stage in run.stages), run.plan.retrain.training):
            world.share(micro_batches.count(rules, rules.batch))
        self.watch = watch or Watch()
        self._supernets: dict[int, Supernet] = {}

    # What the steps work on

    @cached_property
    def _prepared(self) -> tuple[Data, Split]:
        net = self.plan.net
        self.world.ask(images_job(self.plan, self.device))
        data, split = prepare(
            self.plan.data, image=net.image, channels=net.channels, seed=self.plan.search.seed
        )
        if len(data.classes) != net.classes:
            raise InputError(
                f"net.classes must be the number of classes in the data, {len(data.classes)} in "
                f"{self.plan.data.source!r}, got {net.classes}"
            )
        recorded = self.run.read("split.json")
        if recorded is None:
            self.run.write("split.json", split.to_dict())
        elif Split.from_dict(recorded).fingerprint != split.fingerprint:
            raise MismatchError(
                f"the images of {self.plan.data.source!r} are not those that the run "
                f"{self.run.folder} was begun with: its split.json has other indices or labels. "
                "Restore them, or use another --run"
            )
        if data.skipped:
            shown = ", ".join(data.skipped[:3]) + (", ..." if len(data.skipped) > 3 else "")
            self.watch.note(f"left out {len(data.skipped)} files that are no images: {shown}")
        self._record_environment()
        with fits_memory("Pack class folders: hnas data pack; then give --data PACK"):
            return data.to(self.device), split

    def _record_environment(self) -> None:
        about = self.run.read("run.json") or {}
        here = {**describe(self.device), **versions()}
        if about.get("environment") is None:
            self.run.write("run.json", {**about, "environment": here})
        elif found := changed(about["environment"], here):
            changes = ", ".join(f"{name} {was} -> {now}" for name, (was, now) in found.items())
            self.watch.note(f"not what it began with ({changes}): last digits may differ")

    @property
    def data(self) -> Data:
        """On the device; without the test part."""
        return self._prepared[0]

    @property
    def split(self) -> Split:
        return self._prepared[1]

    @cached_property
    def _storage(self) -> RDBStorage:
        return open_storage(self.run.storage, create=True)

    def close(self) -> None:
        """Lets go of the storage's connections."""
        if "_storage" in self.__dict__:
            close_storage(self.__dict__.pop("_storage"))

    def study(self, stage: int) -> optuna.Study:
        """A stage's study, made where there is none."""
        return open_study(
            self._storage,
            self.run.study_name(stage),
            create=True,
            objective=self.plan.search.objective,
        )

    # What architectures cost

    @cached_property
    def costs(self) -> Costs:
        """What is minimised and what is allowed. Where latency matters, a table of it is measured
        on this device once, and kept. Raises BudgetError where a stage is left with nothing."""
        needed = self.plan.needs_latency
        table = latency_table(self.run, self.device, self.watch) if needed else None
        costs = self.plan.costs(table)
        for number, stage in enumerate(self.run.stages, 1):
            try:
                costs.check(stage.space(None))
            except BudgetError as error:
                raise BudgetError(f"stage {number}: {error}") from None
        return costs

    # Workers

    def call(self, stage: int = 1) -> None:
        """Asks for workers, where they score: for a stage, and to stay for all that come.

        Raises InputError where the storage is not for several processes, StorageError.
        """
        if self.lease is not None:
            check_shared(self._storage)
            folder, name = str(self.run.folder.resolve()), self.run.name
            asked = Call(run=folder, name=name, stage=stage, lease=self.lease)
            announce(self.study(stage), asked)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """After it, whatever ends it, workers are not needed any more."""
        try:
            yield
        finally:
            if is_shared(self._storage):
                with suppress(StorageError):
                    dismiss(self._storage, self.run.name)

    def _scoring(self) -> Callable[..., Scoring] | None:
        if self.lease is None:
            return None
        return partial(ByWorkers, lease=self.lease, note=self.watch.note)

    # Supernets

    def _trained(self, net: Supernet, stage: int) -> Supernet:
        rules = self.run.stage(stage).training
        seed = self.run.seed(f"supernet {stage}")
        net.to(self.device)

        train_supernet(
            net,
            self.data,
            rules,
            self.plan.augment,
            seed=seed,
            path=self.run.supernet(stage),
            identity={
                "space": _plain(recorded(net.space)),
                "training": recorded(rules),
                "augment": recorded(self.plan.augment),
                "split": self.split.fingerprint,
                "seed": self.plan.search.seed,
                "initial weights": weights_hash(net.state_dict()),
            },
            on_epoch=partial(self.watch.epoch, f"supernet of stage {stage}"),
            on_refused=self._refused,
            world=self.world,
            job=supernet_job(net, rules, self.plan.augment, seed, self.split.fingerprint),
        )
        return net

    def _refused(self, reason: str) -> None:
        self.watch.note(f"passed over a damaged checkpoint: {reason}")

    def supernet(self, stage: int) -> Supernet:
        """A stage's: grown out of those before it to what the stage searches, and trained on."""
        if stage not in self._supernets:
            before = [self.supernet(earlier) for earlier in range(1, stage)]
            self._supernets[stage] = self._trained(self._grown(before, stage), stage)
        return self._supernets[stage]

    def _grown(self, before: list[Supernet], stage: int) -> Supernet:
        asked, space = self.run.stage(stage), self._space(stage)
        seed, dropout = self.run.seed(f"supernet {stage} weights"), asked.training.dropout
        if before:
            return grow(before[-1], space, seed=seed, dropout=dropout, before=before[:-1])
        net = Supernet(space, dropout=dropout).reset(seed)
        if asked.init_from:
            inherit(net, load(Path(asked.init_from)).model)
        return net

    @cached_property
    def teacher(self) -> Teacher | None:
        """What retraining learns from too, if the plan names one."""
        name = self.plan.retrain.distillation.teacher
        return load_teacher(name, self.data) if name else None

    # The steps

    def stage(self, number: int) -> StageResult:
        """Searches what a stage of the strategy searches.

        Raises BudgetError where nothing fits, StateError where the stage before is not finished,
        InputError where the strategy has no such stage or the plan's teacher is not usable.
        """
        asked, space = self.run.stage(number), self._space(number)
        self.costs.check(space)
        _ = self.teacher  # needed last, but hours later is too late to tell that it is missing
        net = self.supernet(number)
        search = partial(
            run_stage,
            space=space,
            scorer=SupernetScorer(net, self.data, self.plan.score, self.watch.note),
            rules=SearchRules(
                trials=asked.trials, population=asked.population, seed=self.plan.search.seed
            ),
            costs=self.costs,
            proposer=starting_from(self.start(number), asked.proposer),
            on_trial=partial(self.watch.trial, number),
            scoring=self._scoring(),
        )
        study = self.study(number)
        self.call(number)
        try:
            result = search(study)
        except MismatchError as error:
            if not self.rescore:
                raise
            self.run = self.run.rescore(number)
            self.watch.note(f"{error}. Scored anew in the study {self.run.study_name(number)!r}")
            study = self.study(number)
            self.call(number)
            result = search(study)
        if result.exhausted:
            with storage_errors(f"that {study.study_name!r} is exhausted cannot be stored"):
                study.set_user_attr("exhausted", True)
            self.watch.note(
                f"stage {number} has scored every architecture it found within the limits: "
                f"{len(result.records)} of {asked.trials} trials"
            )
        self._annotate()
        return result

    def _annotate(self) -> None:
        """For the dashboard; a search does not fail for it."""
        try:
            from hnas.studies.dashboard.annotate import annotate

            annotate(self.run)
        except Exception as error:  # whatever it is: `hnas dashboard` makes it again, and tells
            self.watch.note(f"figures and notes for the dashboard could not be written: {error}")

    def _space(self, number: int) -> Space:
        return self.run.stage(number).space(self.handoff() if number > 1 else None)

    def _finished(self, number: int, what: str) -> list[Record]:
        """The trials of a stage, for `what` needs them all. Raises StateError where some miss."""
        study, asked = self.study(number), self.run.stage(number).trials
        found = records(study)
        if len(found) < asked and not study.user_attrs.get("exhausted"):
            raise StateError(
                f"{what} needs a finished stage {number}: {study.study_name!r} has {len(found)} of "
                f"{asked} trials. Run: hnas search --stage {number} --run {self.run.folder}"
            )
        return found

    def handoff(self) -> Arch:
        """The distribution that stage 2 keeps, chosen once and recorded in both studies.

        Raises StateError where stage 1 is not finished, StorageError where it cannot be recorded.
        """
        first = self.study(1)
        if HANDOFF in first.user_attrs:
            return Arch.from_dict(first.user_attrs[HANDOFF]["arch"])
        found = self._finished(1, "stage 2")
        rules = self.plan.handoff
        best = best_by_score(found, rules.top, self.plan.search.objective)
        chosen = best[0]
        measured: dict[str, Any] = {}
        if rules.rule == "retrained":
            networks = [self._retrained(record)[0] for record in best]
            winner = best_trained(networks)
            chosen = best[networks.index(winner)]
            measured = {
                "retrained": {
                    str(r.number): n.accuracy for r, n in zip(best, networks, strict=True)
                }
            }
        second = self.study(2)
        record = {"rule": rules.rule, "trial": chosen.number, "arch": chosen.arch.to_dict()}
        record |= measured
        # The second study first: stage 1's attribute is what says that it is done.
        with storage_errors(f"the hand-off of {first.study_name!r} cannot be stored"):
            second.set_user_attr(HANDOFF, {**record, "from": first.study_name})
            first.set_user_attr(HANDOFF, {**record, "to": second.study_name})
        return chosen.arch

    def start(self, number: int) -> tuple[Arch, ...]:
        """What a stage's first generation begins with: the front of the stage before, best score
        first, or nothing. Chosen once and recorded in that stage's study; of a front larger than a
        generation as many as one has, those that the proposer would keep.

        Raises StateError where that stage is not finished, StorageError where it cannot be
        recorded.
        """
        asked = self.run.stage(number)
        if not asked.from_front:
            return ()
        before = self.study(number - 1)
        if FRONT in before.user_attrs:
            return tuple(map(Arch.from_dict, before.user_attrs[FRONT]["archs"]))
        objective = self.plan.search.objective
        found = front(self._finished(number - 1, f"stage {number}"), objective)
        kept = asked.proposer.elites(self._space(number), self.costs, found, asked.population)
        best = best_by_score(kept, asked.population, objective)
        chosen = tuple(record.arch for record in best)
        archs = [arch.to_dict() for arch in chosen]
        with storage_errors(f"the front of {before.study_name!r} cannot be stored"):
            before.set_user_attr(FRONT, {"archs": archs, "to": self.run.study_name(number)})
        return chosen

    def retrain(self) -> list[TrainedNetwork]:
        """Trains the last stage's best from scratch, best score first.

        Raises StateError where that stage is not finished.
        """
        found = self._finished(len(self.run.stages), "retraining")
        best = best_by_score(found, self.plan.retrain.top, self.plan.search.objective)
        return [self._retrained(record)[0] for record in best]

    def _retrained(self, record: Record) -> tuple[TrainedNetwork, Glit]:
        return self.alone(record.arch, f"trial {record.number}", score=record.accuracy)

    def alone(
        self, arch: Arch, what: str, *, rules: Retrain | None = None, **more: Any
    ) -> tuple[TrainedNetwork, Glit]:
        """Trains one network, called `what` where progress is shown; `more` is `retrain`'s."""
        made, net = retrain(
            self.run,
            self.data,
            self.split.fingerprint,
            rules or self.plan.retrain,
            arch,
            teacher=self.teacher,
            on_epoch=partial(self.watch.epoch, f"network of {what}"),
            on_refused=self._refused,
            world=self.world,
            **more,
        )
        return replace(made, latency_ns=self._latency(made.frame, arch)), net

    def finish(self) -> Result:
        """The answer: `result.json`, made once. It alone reads the test images."""
        if (done := read_result(self.run)) is not None:
            return done
        candidates = self.retrain()
        winner = best_trained(candidates)
        frame = self._plain_frame(winner)
        plain, plain_net = self.alone(frame.all_global(), "all-global", frame=frame)
        _, winner_net = self.alone(winner.arch, "the winner")
        net, data = self.plan.net, self.data
        test = test_images(
            self.plan.data, image=net.image, channels=net.channels, split=self.split
        ).to(self.device)

        def tested(network: TrainedNetwork, model: Glit) -> TrainedNetwork:
            found = evaluate(model, test, data, batch=self.plan.score.batch)
            return replace(network, test_accuracy=found.accuracy)

        result = Result(
            test_images=len(test),
            environment=describe(self.device),
            candidates=tuple(candidates),
            winner=tested(winner, winner_net),
            all_global=tested(plain, plain_net),
            inputs=Inputs(
                image=net.image,
                channels=net.channels,
                classes=data.classes,
                mean=tuple(data.mean.tolist()),
                std=tuple(data.std.tolist()),
            ),
        )
        write_result(self.run, result)
        self._annotate()
        return result

    def _plain_frame(self, winner: TrainedNetwork) -> Frame:
        """Of the all-global network that the winner is compared with: alike in what is minimised.

        Of nearly its FLOPs; the widest measured that takes no longer; where both are minimised the
        narrower of the two.
        """
        table, minimised = self.costs.table, OBJECTIVES[self.plan.search.objective]
        frames = []
        if "macs" in minimised:
            frames.append(plain_vit(self.plan.net, winner.macs))
        if "latency" in minimised and table is not None:
            frames.append(replace(self.plan.net, d=table.widest(table.of(winner.arch))))
        return min(frames, key=lambda frame: frame.d)

    def _latency(self, frame: Frame, arch: Arch) -> int | None:
        """By the table; None where there is none, or it does not know the network."""
        table = self.costs.table
        if table is None:
            return None
        return table.of(arch) if frame == self.plan.net else table.plain.get(frame.d)


def _plain(value: Any) -> Any:
    """Tuples as the lists that JSON gives back."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
