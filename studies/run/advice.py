"""Advice after a search whose time was asked for: what more of it might do."""

from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result


def more_time(run: Run, result: Result) -> str:
    """A sentence if a simple model is as good as the winner of a search that --time made short;
    else empty."""
    asked, winner = (run.about.asked or {}).get("time"), result.winner
    best = max((one.test_accuracy for one in result.baselines), default=0.0)
    if asked is None or not result.baselines or best < (winner.test_accuracy or 0.0):
        return ""
    return (
        f"In the time asked for, {asked}, the winner was trained for "
        f"{winner.inherited + winner.epochs:,} epochs: a longer search, with a "
        "--run of its own, may find a better one."
    )
