"""Remarks beside the answer of a run, a sentence each: how its networks were trained."""

from hnas.cost.flops import CLOSE
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result, TrainedNetwork


def trained(winner: TrainedNetwork, all_global: TrainedNetwork) -> str:
    """How long both were trained, in words."""
    if winner.trained == all_global.trained:
        return f"Both were trained {winner.trained}."
    return f"The winner was trained {winner.trained}. All-global was trained {all_global.trained}."


def unequal(winner: TrainedNetwork, all_global: TrainedNetwork) -> str:
    """By how much their costs differ, in a sentence; empty if that is little."""
    gap = all_global.macs / winner.macs - 1
    if abs(gap) <= CLOSE:
        return ""
    fewer = "fewer" if gap < 0 else "more"
    return f"The all-global network has {abs(gap):.1%} {fewer} MACs than the winner."


def lesson(result: Result) -> str:
    """From which simple model the winner and the all-global network learned in the end, whose stems
    began with its weights, and that nothing could judge it but the test, if so; empty if from
    none."""
    taught = next((one for one in result.baselines if one.taught), None)
    if taught is None:
        return ""
    said = f"In the last training both learned from the {taught.name} too."
    if taught.gave_stem:
        said += " Their stems began with its weights, so its epochs are theirs too."
    if taught.accuracy is None:
        said += " The CNN was trained on the held-out images as well, so they cannot judge it."
    return said


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
