"""A run's studies as they stand, for whoever wants to know what was found: read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.errors import InputError, StateError
from hnas.space import BlockSpace, Frame, Space
from studies.run import Run
from studies.status import read_studies
from studies.storage import Record, Snapshot


@dataclass(frozen=True, kw_only=True)
class Searched:
    """One study of a run: what was to be chosen from, and what has been scored."""

    stage: str
    """What the study is called behind the run's name: `stage1`, `stage2`."""
    space: Space
    budget: int
    """Most multiply-accumulates of one image."""
    population: int
    """Trials a generation."""
    records: tuple[Record, ...]
    """Its finished trials, by number."""


def read_searched(run: Run) -> tuple[Searched, ...]:
    """The studies of a run that have finished trials, first stage first, whatever the strategy.

    Nothing is locked: a search that goes on meanwhile goes on. Raises StateError where a study does
    not say what it searches, StorageError.
    """
    studies = read_studies(run).values()
    return tuple(searched(run, study) for study in studies if study.records)


def searched(run: Run, study: Snapshot) -> Searched:
    """A study of the run. Raises StateError where it does not say what it searches."""
    attrs = study.user_attrs
    try:
        return Searched(
            stage=study.name.removeprefix(f"{run.name}-"),
            space=_space(attrs["space"]),
            budget=int(attrs["budget"]),
            population=int(attrs["population"]),
            records=study.records,
        )
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise StateError(
            f"the study {study.name!r} does not say what it searches "
            f"({type(error).__name__}: {error}): its attributes `space`, `budget` and "
            "`population` were written by another version, or were deleted. Restore them"
        ) from None


def _space(value: Mapping[str, Any]) -> Space:
    """The inverse of `dataclasses.asdict`, by way of JSON."""
    blocks = ({size: tuple(values) for size, values in block.items()} for block in value["blocks"])
    return Space(
        frame=Frame(**value["frame"]), blocks=tuple(BlockSpace(**block) for block in blocks)
    )
