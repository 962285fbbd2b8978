"""One name, `hnas`, and the same imports in a checkout, an editable install and a wheel."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from hnas import __version__
from tests.support.installed import Environment, checkout, foreign, run, wheel

FLOORS = {"hnas": "hnas", "studies": "hnas/studies", "cli": "hnas/cli"}
"""The folders of the repository, and what they are called in the wheel."""
SHIPPED = ("*.py", "*.toml", "*.jinja", "py.typed")


@pytest.fixture(scope="module")
def source(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout to build from: setuptools leaves a build/ whose old files would come along."""
    return checkout(root, tmp_path_factory.mktemp("source") / "checkout")


@pytest.fixture(scope="module")
def built(source: Path) -> Path:
    return wheel(source, source.parent / "wheel")


def files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_whole(environment: Environment, cwd: Path, home: Path) -> None:
    """hnas is found in `home`, its floors under its own name, and the command line is its own."""
    code = "import hnas; from hnas.studies.plan.toml import load_preset; load_preset('digits'); "
    found = run(environment.python, "-c", code + "print(hnas.__file__)", cwd=cwd)
    assert found == f"{home / 'hnas' / '__init__.py'}\n"
    version = run(environment.python, "-m", "hnas", "--version", cwd=cwd)
    assert version == f"hnas, version {__version__}\n"


def test_the_wheel_is_the_three_floors_under_one_name(root: Path, built: Path) -> None:
    wanted = {
        f"{inside}/{path.relative_to(root / folder).as_posix()}"
        for folder, inside in FLOORS.items()
        for pattern in SHIPPED
        for path in (root / folder).rglob(pattern)
    }
    info = f"hnas-{__version__}.dist-info/"
    assert {name for name in files(built) if not name.startswith(info)} == wanted
    about = files(built)[f"{info}METADATA"].decode()
    assert "hnas finds a Global-Local image Transformer" in about and "](docs/" not in about
    assert wanted > {"hnas/py.typed", "hnas/studies/plan/presets/digits.toml", "hnas/cli/main.py"}


def test_an_sdist_builds_the_same_wheel(source: Path, built: Path) -> None:
    out = source.parent / "sdist"
    build = (sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out)
    run(*build, source, cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    assert files(wheel(sdist, out)) == files(built)


def test_a_foreign_cli_and_studies_are_no_matter(built: Path, tmp_path: Path) -> None:
    """Installed before hnas or after it; and when they go, hnas stays whole."""
    environment, other = Environment(tmp_path / "environment"), foreign(tmp_path)
    environment.install(other)
    environment.install(built)
    is_whole(environment, tmp_path, environment.site)
    environment.pip("uninstall", "--yes", "foreign")
    assert not (environment.site / "cli").exists()
    is_whole(environment, tmp_path, environment.site)
    environment.install(other)
    assert (environment.site / "cli" / "main.py").exists()
    is_whole(environment, tmp_path, environment.site)
    assert "search" in run(environment.folder / "bin" / "hnas", "--help", cwd=tmp_path)


def test_a_bare_checkout_is_whole(source: Path, tmp_path: Path) -> None:
    is_whole(Environment(tmp_path / "environment"), source, source)


def test_an_editable_install_is_whole_and_has_one_name(source: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    environment.install("--editable", source)
    is_whole(environment, tmp_path, source)
    code = "from importlib.util import find_spec; print(find_spec('cli'), find_spec('studies'))"
    assert run(environment.python, "-c", code, cwd=tmp_path) == "None None\n"
