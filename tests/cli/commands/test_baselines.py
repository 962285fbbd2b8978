"""`hnas baselines`: simple models on a preset's images, on a folder's, and beside a result."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from tests.cli.conftest import invoke

NAMES = [
    "majority guess",
    "k-NN",
    "logistic regression",
    "HOG + logistic regression",
    "HOG + SVM",
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 20 pictures each: stripes across and stripes down."""
    rng = np.random.default_rng(0)
    for name, turned in (("across", False), ("down", True)):
        (tmp_path / name).mkdir()
        for i in range(20):
            stripes = np.tile(np.arange(16) // 4 % 2 * 150, (16, 1)) + rng.integers(0, 90, (16, 16))
            pixels = (stripes.T if turned else stripes).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_a_folder(photos: Path) -> None:
    shown = invoke("baselines", "--data", photos)
    assert shown.exit_code == 0, shown.output
    about, _, head, *rows = shown.stdout.splitlines()
    assert about.endswith(": images of 16 x 16, 26 to train on, 6 held out, 8 to test.")
    assert head.split("  ")[0] == "model" and head.endswith("fitted to images")
    assert [row.split("  ")[0] for row in rows] == NAMES
    assert all(" 1.0000 " in row for row in rows if "HOG" in row)


def test_json_says_the_same(photos: Path) -> None:
    for source, seed in ((photos, 0), (photos, 1)):
        found = json.loads(invoke("baselines", "--data", source, "--seed", seed, "--json").stdout)
        assert found["source"] == str(source) and (found["image"], found["channels"]) == (16, 1)
        assert (found["train"], found["held_out"], found["test"]) == (26, 6, 8)
        assert [one["name"] for one in found["baselines"]] == NAMES
        guess = found["baselines"][0]
        assert guess["test_accuracy"] == 0.5
        assert guess["standard_error"] == pytest.approx((0.25 / 8) ** 0.5)


def test_a_preset_is_the_default() -> None:
    shown = invoke("baselines").stdout
    assert shown == invoke("baselines", "--preset", "digits").stdout
    assert shown.startswith(
        "digits: images of 8 x 8, 1,151 to train on, 287 held out, 359 to test."
    )


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    missing = invoke("baselines", "--data", tmp_path / "nothing")
    assert missing.exit_code == 2 and "is unknown: there is no such folder" in missing.stderr


def test_a_small_cnn_too(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    plan = tmp_path_factory.mktemp("plans") / "photos.toml"
    assert invoke("init", "--data", photos, plan).exit_code == 0
    fewer = re.sub(
        r"^(refit_)?epochs = [1-9]\d*", r"\1epochs = 2", plan.read_text(), flags=re.MULTILINE
    )
    plan.write_text(fewer)
    told = invoke("baselines", "--plan", plan, "--cnn")
    assert told.exit_code == 0, told.output
    name, test, error, *others = told.stdout.splitlines()[-1].rsplit(maxsplit=5)
    assert (name, *others) == ("small CNN", "8", "epochs", "32")
    assert all(0 <= float(number) <= 1 for number in (test, error))
    shown = invoke("baselines", "--plan", plan, "--cnn", "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert f"{found['baselines'][-1]['test_accuracy']:.4f}" == test
    assert found["baselines"][-1]["accuracy"] is None


def test_a_search_ends_with_the_command_for_a_cnn_on_its_images(
    finished: tuple[Path, Result],
) -> None:
    _, ended = finished
    hnas, *command = shlex.split(ended.stdout.splitlines()[-1])
    assert hnas == "hnas"
    told = invoke(*command)
    assert told.exit_code == 0, told.output
    *table, cnn = told.stdout.split(" to test.\n\n")[1].splitlines()
    assert "\n".join(table) in ended.stdout and cnn.startswith("small CNN ")
