"""Rankings as a scatter plot: inherited score against accuracy alone."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hnas.studies.figures.style import COLOURS, MARKERS, panels


def ranking(
    title: str, groups: Mapping[str, Sequence[tuple[float, Sequence[float]]]], epochs: int
) -> Figure:
    """Groups of (score, accuracies by seed): the mean, and a line from worst to best seed."""
    drawing, (axes,) = panels()
    for (name, points), colour, marker in zip(groups.items(), COLOURS, MARKERS, strict=False):
        scores = [score for score, _ in points]
        means = [sum(seeds) / len(seeds) for _, seeds in points]
        below = [mean - min(seeds) for mean, (_, seeds) in zip(means, points, strict=True)]
        above = [max(seeds) - mean for mean, (_, seeds) in zip(means, points, strict=True)]
        spread = [below, above]
        axes.errorbar(scores, means, spread, fmt=marker, color=colour, elinewidth=0.8, label=name)
    axes.set_title(title, loc="left")
    axes.set(
        xlabel="score with inherited weights", ylabel=f"accuracy trained alone, {epochs} epochs"
    )
    axes.legend()
    return drawing
