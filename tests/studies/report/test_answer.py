"""What is said below the drawings of networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame
from hnas.studies.figures.network import network, picture
from hnas.studies.report.answer import network_section
from hnas.studies.report.fronts import front_section
from hnas.studies.report.gather import Report

SAID = {
    "conv1d": ("1-D convolution", "in tokens"),
    "conv2d": ("2-D convolution", "in patches a side"),
    "attention": ("attention in windows", "in patches a side"),
}


@pytest.mark.parametrize("local", SAID)
def test_a_network_is_told_with_its_kind_of_local_head(local: str) -> None:
    frame = Frame(image=8, channels=1, patch=2, classes=2, d=12, M=1, N=3, local=local)
    found = picture("The winner", frame, Arch((frame.block(1, 12, 2, 1, 3),)))
    (note,) = network_section(found).notes
    words, unit = SAID[local]
    assert f"local groups ({words})" in note and f"kernel of the local groups, {unit}." in note
    (legend,) = network(found).legends
    assert f"local group ({words})" in [text.get_text() for text in legend.get_texts()]


def test_a_skipped_block_of_a_retrained_network_is_told(report: Report) -> None:
    result = report.status.result
    assert result is not None and "skipped" not in str(front_section(report).notes)
    *others, last = result.candidates
    shallow = replace(last, arch=Arch((*last.arch.blocks[:-1], SKIPPED)))
    status = replace(report.status, result=replace(result, candidates=(*others, shallow)))
    assert "· skipped." in str(front_section(replace(report, status=status)).notes)
