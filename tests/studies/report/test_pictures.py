"""Pictures: what they show is in them as text."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from hnas.architecture.arch import SKIPPED, Arch
from hnas.studies.figures.network import network, picture
from hnas.studies.figures.style import svg
from hnas.studies.report import pictures
from hnas.studies.report.gather import Report


def texts(figure: Figure) -> list[str]:
    found = re.findall(r"<text.*?</text>", svg(figure))
    return ["".join(re.findall(r">([^<]+)<", text)) for text in found]


def test_a_network_has_all_of_its_blocks(report: Report) -> None:
    assert report.picture is not None
    shown = texts(network(report.picture))
    for i, block in enumerate(report.picture.arch.blocks, 1):
        assert f"block {i}" in shown
        assert shown.count(f"K {block.K}, E {block.E}") >= block.L


def test_a_skipped_block_is_drawn_as_such(report: Report) -> None:
    drawing = report.picture
    assert drawing is not None
    blocks = (*drawing.arch.blocks[:-1], SKIPPED)
    shown = texts(network(picture("a network", drawing.frame, Arch(blocks))))
    assert shown.count("skipped") == 1 and f"block {len(blocks)}" in shown


def test_a_front_shows_the_budget_and_who_was_retrained(report: Report) -> None:
    shown = texts(pictures.fronts(report))
    assert f"budget, {report.plan.budget():,} MACs" in shown
    assert {"retrained", "the winner, retrained", "all-global"} <= set(shown)


def test_a_fronts_words_hide_no_trial(report: Report) -> None:
    """The legend stands below the panels, each name once; the winner is drawn above its trial."""
    figure = pictures.fronts(report)
    figure.draw_without_rendering()
    [legend] = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == len(set(names)) >= 5
    for axis in figure.axes:
        assert axis.get_legend() is None
        assert legend.get_window_extent().y1 <= axis.get_window_extent().y0
        star = next(one for one in axis.collections if one.get_label() == "the winner, retrained")
        assert all(star.zorder > line.zorder for line in axis.lines)


def test_a_front_of_a_search_that_has_begun(begun: Report) -> None:
    assert "retrained" not in texts(pictures.fronts(begun))


def test_history_is_drawn_of_every_study(report: Report) -> None:
    for study in report.studies:
        assert f"{study.stage}: hypervolume" in texts(pictures.history(study))
