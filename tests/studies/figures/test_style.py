"""Figures: the same bytes for the same numbers, nothing global, text that stays text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hnas.errors import InputError
from hnas.studies.figures.style import COLOURS, panels, save, svg


def a_figure() -> Figure:
    figure, (first, second) = panels(1, 2)
    first.plot([1, 2, 3], [2, 1, 4], color=COLOURS[0])
    first.set_title("accuracy")
    second.scatter([1, 2], [3, 4], color=COLOURS[1])
    return figure


def test_equal_numbers_give_equal_bytes() -> None:
    assert svg(a_figure()) == svg(a_figure())


def test_an_svg_is_one_element_whose_text_can_be_searched() -> None:
    text = svg(a_figure())
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>")
    assert ">accuracy</text>" in text


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")]
)
def test_a_file_is_of_the_kind_its_name_says(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"front{suffix}"
    save(a_figure(), path)
    assert path.read_bytes().startswith(start)
    save(a_figure(), again := tmp_path / f"again{suffix}")
    assert path.read_bytes() == again.read_bytes()


def test_pyplot_is_not_loaded() -> None:
    code = "import sys, hnas.studies.figures.style; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_picture_replaces_a_picture_of_ours_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    for _ in range(2):
        save(a_figure(), path)
    path.write_bytes(b"a photograph")
    with pytest.raises(InputError, match=f"picture{suffix} is there, with something else"):
        save(a_figure(), path)
    assert path.read_bytes() == b"a photograph"
    save(a_figure(), path, force=True)
