"""The answer of a report: the winner compared with an all-global network, and drawn."""

from functools import partial

from hnas.architecture.arch import FIELDS, GLYPHS
from hnas.architecture.local import KINDS
from hnas.settings import METRICS
from hnas.studies.figures.glyphs import drawn, legend
from hnas.studies.figures.network import Picture, network
from hnas.studies.report.cells import costs_of, number
from hnas.studies.report.gather import Answer, Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.interval import Interval, interval
from hnas.studies.run.remarks import lesson, more_time, trained, unequal
from hnas.studies.run.result import Result


def answer_section(report: Report) -> Section:
    """Winner and all-global network on the test images; before that, the missing steps."""
    found, result = report.answer, report.status.result
    if found is None or result is None:
        return Section(title="No answer yet", text=report.missing)
    difference, verdict = found.difference, result.verdict()
    images = f"{found.test_images:,} test images"
    how = "exact by the images that one alone is right on (McNemar)" if result.apart else "Newcombe"
    return Section(
        title="The answer",
        text=(
            f"The winner {_reaches(result, found.winner_accuracy, images)}, with "
            f"{found.winner.macs:,} MACs and {found.winner.params:,} parameters.",
            "An all-global network of the same cost (a ViT behind the same stem) "
            f"{_reaches(result, found.all_global_accuracy)}, with "
            f"{found.all_global.macs:,} MACs and {found.all_global.params:,} parameters. "
            + " ".join(
                filter(None, (how(found.winner, found.all_global) for how in (unequal, trained)))
            ),
            _lead(difference),
            *filter(None, (lesson(result), verdict, more_time(report.status.run, result))),
            *report.missing,
        ),
        tables=(_tested(found), *([_simple(result)] if result.baselines else [])),
        notes=(
            legend(one.arch for one in (found.winner, found.all_global))
            + " Score: accuracy with inherited weights. Test: accuracy on the test images, "
            "which are read once, after the winner is chosen on held-out images. Intervals: Wilson "
            f"for each network, {how} for the difference. They cover the choice of test images, "
            "not that of the training seed. Simple models: k and C are chosen on held-out images; "
            "then they are fitted to training and held-out images together."
            + " Held-out: of the two networks before they were trained on these images too."
            * bool(result.winner.picked)
            + _other(result.metric),
        ),
    )


def _lead(difference: Interval) -> str:
    """By how much the winner is better than the all-global network, in a sentence."""
    points = f"{abs(100 * difference.value):.1f}"
    said = f"The winner is {points} points {'better' if difference.value > 0 else 'worse'}"
    if float(points) == 0:
        said = "The two are equally good, to a tenth of a point"
    clear = difference.low > 0 or difference.high < 0
    said += f" (95% interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    return said + ("." if clear else "; these test images cannot tell the two apart.")


def _reaches(result: Result, found: Interval, images: str = "") -> str:
    if result.metric == "accuracy":
        return f"is right on {_percent(found)}" + (f" of {images}" if images else "")
    metric = METRICS.get(result.metric, result.metric)
    return f"has the {metric} {_percent(found)}" + (f" on {images}" if images else "")


def _other(metric: str) -> str:
    """What is said of another metric than accuracy."""
    if metric == "accuracy":
        return ""
    name = METRICS.get(metric, metric)
    return (
        f" Every score, held-out and test is {name}; intervals are 1.96 standard errors both ways."
    )


def _percent(accuracy: Interval) -> str:
    value, low, high = (100 * one for one in (accuracy.value, accuracy.low, accuracy.high))
    return f"{value:.1f}% (95% interval {low:.1f} to {high:.1f})"


def _tested(found: Answer) -> Table:
    networks = (found.winner, found.all_global)
    accuracies = (found.winner_accuracy, found.all_global_accuracy)
    return Table.of(
        {
            "network": ("winner", "all-global"),
            "blocks": [drawn(one.arch) for one in networks],
            "test": [f"{one.value:.4f}" for one in accuracies],
            "95% interval": [f"{one.low:.4f} to {one.high:.4f}" for one in accuracies],
            "held-out": [f"{one.accuracy:.4f}" for one in networks],
            "score": [number(one.score) for one in networks],
            **costs_of(networks),
            "width": [f"{one.d}" for one in networks],
        },
        left=2,
    )


def _simple(result: Result) -> Table:
    """Simple models on the same images."""
    found = result.baselines
    accuracies = [interval(one.test_accuracy, result.test_images, one.test_error) for one in found]
    return Table.of(
        {
            "simple model": [one.name for one in found],
            "chosen": [one.setting for one in found],
            "test": [f"{one.value:.4f}" for one in accuracies],
            "95% interval": [f"{one.low:.4f} to {one.high:.4f}" for one in accuracies],
            "held-out": [number(one.accuracy) for one in found],
            "fitted to images": [f"{one.images:,}" for one in found],
        },
        left=2,
    )


def network_section(picture: Picture) -> Section:
    """The drawing of a network, and its blocks in a table."""
    blocks, sizes = picture.arch.blocks, picture.arch.to_dict()["blocks"]
    columns = {
        "block": (*(f"{i}" for i in range(1, len(blocks) + 1)), "shared", "total"),
        "": (*(GLYPHS[block.kind] for block in blocks), "", ""),
        **{name: (*(str(block.get(name, "")) for block in sizes), "", "") for name in FIELDS},
        "MACs": [f"{macs:,}" for macs in (*picture.macs, sum(picture.macs))],
    }
    kinds, local = ", ".join(block.kind for block in blocks), picture.frame.local
    unit = "patches a side" if KINDS[local].on_grid else "tokens"
    return Section(
        title=picture.title,
        drawings=(Drawing(f"{picture.title}, block by block: {kinds}", partial(network, picture)),),
        tables=(Table.of(columns, left=2),),
        notes=(
            f"G, L: global groups (self-attention) and local groups ({KINDS[local].words}) of a "
            "block. d_k: query, key and value width if all groups were global. d_z: FFN expansion. "
            f"E, K: expansion and kernel of the local groups, in {unit}. Shared: stem and "
            "classifier.",
        ),
    )
