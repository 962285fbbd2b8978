"""Spaces of the stages: those after the first depend on what was handed over."""

from hnas.architecture.space import Space
from hnas.errors import StateError
from hnas.studies.search.session import Session
from hnas.studies.trials.marks import marks_of


def stage_space(session: Session, stage: int) -> Space:
    """The space that a stage searches. Raises StateError if no distribution was handed over yet."""
    asked = session.run.stage(stage)
    if stage == 1:
        return asked.space(None)
    if (given := marks_of(session.study(1)).handoff) is None:
        raise StateError(
            f"stage {stage} needs a distribution, and stage 1 has handed none over yet. "
            f"Run: hnas search --stage {stage} --run {session.run.folder}"
        )
    return asked.space(given.arch)
