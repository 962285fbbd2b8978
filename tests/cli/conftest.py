"""A search that takes seconds, and one that is finished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from tests.support.drawings import draw_first
from tests.support.moved_images import finished_run

TINY = """
[data]
limit = 200

[net]
image = 8
channels = 1
patch = 2
classes = 10
d = 12
M = 2
N = 3
heads = 1

[stage1]
d_k = 12
K = 9
trials = 8
population = 4
training = {epochs = 2, lr = 2e-3}

[stage2]
d_k = [6, 12, 24]
d_z = [2, 4]
E = [1, 2]
K = [5, 9]
trials = 6
population = 4
training = {epochs = 1, lr = 2e-3}

[score]
recalibration = 16

[baselines]
images = 0

[retrain]
top = 2
training = {epochs = 1, lr = 2e-3}
"""
"""Both stages, retraining and the test in about a second: digits, 200 images. Simple models would
take an eighth of it; with WITH_MODELS there are some."""
WITH_MODELS = ("--set", "baselines.images=1000")


def invoke(*args: object) -> Result:
    """A command of hnas in this process; a defect is raised."""
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


@pytest.fixture(scope="package", autouse=True)
def first_drawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        draw_first(patch)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan file."""
    path = tmp_path_factory.mktemp("plans") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, Result]:
    """The folder of a finished run, not to be changed, and what the search printed: of the tiny
    plan, with simple models."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    result = invoke("search", "--plan", tiny, "--run", folder, "--device", "cpu", *WITH_MODELS)
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture(scope="session")
def photographed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, not to be changed; its images are `photos` beside it."""
    with pytest.MonkeyPatch.context() as patch:
        here = tmp_path_factory.mktemp("photographed")
        patch.chdir(here)
        return finished_run(here)
