"""A run's own data besides its plan: `run.json`."""

from collections.abc import Mapping
from dataclasses import dataclass

from hnas.errors import InputError
from hnas.persist.record import later


@dataclass(frozen=True, kw_only=True)
class About:
    """Raises InputError if a count is not one."""

    name: str
    """Of its studies; kept when the folder is moved."""
    storage: str | None
    """The study storage's URL without a password; None: study.db in the folder."""
    environment: Mapping[str, str] | None = later(None)
    """The device and the versions that it began with; None before its images are read."""
    id: str = later("")
    """Of this run and no other: its studies in a shared storage have it; empty in older runs."""
    rescored: tuple[int, ...] = later(())
    """How often each stage was scored again, each time in a new study; empty: never."""
    images: tuple[str, ...] = later(())
    """What a person should know of its images, each one sentence."""
    asked: Mapping[str, str] | None = later(None)
    """Options whose values depend on the plan that the run began with, as they were given."""

    def __post_init__(self) -> None:
        if not all(0 <= count < 10**6 for count in self.rescored):  # they become part of names
            raise InputError(f"rescored must be counts, got {list(self.rescored)}")
