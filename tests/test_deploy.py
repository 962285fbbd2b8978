"""Deployment: the files of deploy/ do what docs/scale-out.md says, without Docker and Slurm."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hnas.cli.main import hnas
from tests.support.installed import BUILT

yaml = pytest.importorskip("yaml")

COPIED = re.compile(r"^COPY (?:--\S+ )?(.+) \S+$", re.MULTILINE)


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "deploy"


@pytest.fixture(scope="module")
def compose(deploy: Path) -> Any:
    """The file with its anchors and merge keys resolved."""
    return yaml.safe_load((deploy / "compose.yaml").read_text())


def test_it_has_the_parts_and_their_references_resolve(deploy: Path, compose: Any) -> None:
    assert set(compose["services"]) == {"postgres", "search", "worker", "dashboard"}
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        assert set(service["secrets"]) <= set(compose["secrets"])
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            assert source in compose["volumes"] or source.startswith("../")
    assert compose["services"]["worker"]["deploy"]["replicas"] >= 2
    build = compose["services"]["search"]["build"]
    assert (deploy / build["context"] / build["dockerfile"]).samefile(deploy / "Dockerfile")


def test_the_image_gets_what_a_wheel_is_built_from_and_no_more(root: Path, deploy: Path) -> None:
    copied = " ".join(COPIED.findall((deploy / "Dockerfile").read_text())).split()
    ignored = (deploy / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored and allowed == {*copied} == {
        *BUILT, "constraints.txt", "deploy/entrypoint.sh",
    }  # fmt: skip
    assert all((root / name).exists() for name in copied)
    for link in ("hnas/studies", "hnas/cli"):  # relative: they lead to the copies
        assert os.readlink(root / link) == f"../{Path(link).name}"


def test_its_commands_are_commands_of_hnas(compose: Any) -> None:
    for name in ("search", "worker", "dashboard"):
        command = [
            re.sub(r"\$\{\w+:-(.*?)\}", r"\1", c) for c in compose["services"][name]["command"]
        ]
        told = CliRunner().invoke(hnas, [*command, "--help"])
        assert told.exit_code == 0 and command[0] in told.output.splitlines()[0]
        options = [word for word in command if word.startswith("--")]
        assert all(option in told.output for option in options)


def test_nothing_is_open_to_other_machines(compose: Any) -> None:
    """On the host's network: each service binds itself to loopback, none publishes a port."""
    for service in compose["services"].values():
        assert service["network_mode"] == "host" and "ports" not in service
    assert "listen_addresses=127.0.0.1" in compose["services"]["postgres"]["command"]
    assert "--host" not in compose["services"]["dashboard"]["command"]


def test_no_password_is_written_down(root: Path, deploy: Path) -> None:
    for path in (path for path in deploy.rglob("*") if path.is_file()):
        text = path.read_text()
        for given in re.findall(r"(?i)password\w*[=:] *(\S+)", text):
            assert given.startswith(("/run/secrets/", "$", '"$', "*")) or given == "", (path, given)
    assert "secrets/" in (root / ".gitignore").read_text().split()


def test_the_entry_point_makes_the_url_from_the_secret(deploy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cr3t\n")
    text = (deploy / "entrypoint.sh").read_text()
    script = tmp_path / "entry.sh"
    script.write_text(text.replace("/run/secrets/postgres_password", str(secret)))
    (tmp_path / "hnas").write_text('#!/bin/sh\necho "$HNAS_STORAGE $*"\n')
    (tmp_path / "hnas").chmod(0o755)
    ran = subprocess.run(
        ["sh", script, "worker", "--idle", "1"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    url = "postgresql://hnas:s3cr3t@127.0.0.1:54320/hnas"
    assert ran.stdout == f"{url} worker --idle 1\n"


@pytest.mark.parametrize("name", ["postgres", "search", "worker"])
def test_a_slurm_script_is_bash_and_waits_for_the_shared_folder(deploy: Path, name: str) -> None:
    script = deploy / "slurm" / f"{name}.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    ran = subprocess.run(["bash", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True)
    assert ran.returncode != 0 and b"HNAS_SHARED: name the folder" in ran.stderr
    directives = re.findall(r"^#SBATCH (--[a-z-]+)=?(\S*)$", script.read_text(), re.MULTILINE)
    assert {"--job-name", "--time"} <= {name for name, _ in directives}


@pytest.mark.parametrize("before", ["nothing", "an empty password", "a password"])
def test_what_holds_the_password_is_for_its_owner_alone(
    deploy: Path, tmp_path: Path, before: str
) -> None:
    """With stand-ins for PostgreSQL's programs, under a umask that closes nothing."""
    shared, bin_ = tmp_path / "shared", tmp_path / "bin"
    shared.mkdir()
    bin_.mkdir()
    for name, does in {
        "initdb": "mkdir -p $2",
        "pg_isready": "true",
        "postgres": f"until [ -s {shared}/storage ]; do sleep 0.02; done",
    }.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_ / name).chmod(0o755)
    if before != "nothing":
        (shared / "password").write_text("s3cr3t" if before == "a password" else "")
        (shared / "password").chmod(0o644)
        (shared / "storage.new").write_text("left by a killed job")
        (shared / "storage.new").chmod(0o666)
    subprocess.run(
        ["bash", "-c", f"umask 000; exec bash {deploy / 'slurm/postgres.sbatch'}"],
        env={"PATH": f"{bin_}:/usr/bin:/bin", "HNAS_SHARED": str(shared)}, check=True,
    )  # fmt: skip
    password = (shared / "password").read_text()
    assert len(password) == 48 or (password, before) == ("s3cr3t", "a password")
    assert f":{password}@" in (shared / "storage").read_text()
    modes = {path.name: path.stat().st_mode & 0o777 for path in shared.iterdir()}
    assert modes == {"password": 0o600, "storage": 0o600, "postgres": 0o700}


def test_the_slurm_jobs_find_the_storage(deploy: Path, tmp_path: Path) -> None:
    """With stand-ins for the environment and hnas: what is started, and with what storage."""
    (tmp_path / "storage").write_text("postgresql://hnas:x@db:1/postgres\n")
    bin_ = tmp_path / "venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "activate").write_text(f"PATH={bin_}:$PATH\n")
    (bin_ / "hnas").write_text('#!/bin/sh\necho "$HNAS_STORAGE $*"\n')
    (bin_ / "hnas").chmod(0o755)
    for name, expected in (
        ("search", f"search --workers --yes --run {tmp_path}/runs/search --data photos"),
        ("worker", "worker --idle 1800 --data photos"),
    ):
        ran = subprocess.run(
            ["bash", deploy / "slurm" / f"{name}.sbatch", "--data", "photos"],
            env={"PATH": "/usr/bin:/bin", "HNAS_SHARED": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ran.stdout == f"postgresql://hnas:x@db:1/postgres {expected}\n"
