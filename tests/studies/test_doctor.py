"""What the doctor looks at; a failure is told, and the rest is looked at all the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from hnas.selftest import SelfTest
from hnas.studies import doctor
from hnas.studies.doctor import Check, examine
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study

NAMES = ["versions", "extras", "device", "data", "disk", "storage", "self-test"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test has its own tests."""
    found = SelfTest(
        seconds=1.0, first_loss=2.0, last_loss=1.0, accuracy=0.6, difference=0.0, tolerance=0.0
    )
    monkeypatch.setattr("hnas.studies.doctor.self_test", lambda device: found)


def checks(folder: Path, storage: str | None = None, device: str = "cpu") -> dict[str, Check]:
    return {check.name: check for check in examine(device, folder, storage)}


def test_all_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = checks(tmp_path / "runs")
    assert list(found) == NAMES
    assert [check for check in found.values() if not check.fine] == []
    assert found["versions"].words.startswith("hnas 0.1.0, Python 3.")
    assert "digits" in found["data"].words
    assert found["storage"].words == f"SQLite works in {tmp_path}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread, "), (3, "3 threads, ")])
def test_one_thread_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, words: str
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    found = checks(tmp_path)
    assert words in found["device"].words
    extras = found["extras"].words.split(", ")
    assert [one.split()[0] for one in extras] == ["onnx", "postgres", "heic", "parquet"]


def test_a_storage_that_is_given_is_asked_and_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    open_study(open_storage(url, create=True), "mine", create=True)
    before = (tmp_path / "study.db").read_bytes()
    assert checks(tmp_path, url)["storage"].words == f"{url} answers, studies in it: 1"
    assert (tmp_path / "study.db").read_bytes() == before


def test_what_fails_is_told_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**29))
    found = checks(tmp_path, f"sqlite:///{tmp_path / 'none.db'}", device="cuda")
    assert list(found) == NAMES
    assert {name for name, check in found.items() if not check.fine} == {
        "device",
        "disk",
        "storage",
        "self-test",
    }
    assert found["device"].words.startswith("device cuda: this PyTorch finds no CUDA device.")
    assert found["disk"].words.startswith(f"0.5 GiB are free in {tmp_path}, ")
    assert "there is no study storage" in found["storage"].words


@pytest.mark.parametrize("there", [True, False])
def test_a_cpu_that_multiplies_in_bf16_is_told(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(doctor, "has_bf16", lambda device: there)
    assert doctor._device("cpu").endswith("--precision bf16") is there


def test_a_self_test_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SelfTest(
        seconds=1.0, first_loss=2.0, last_loss=3.0, accuracy=0.6, difference=0.0, tolerance=0.0
    )
    monkeypatch.setattr("hnas.studies.doctor.self_test", lambda device: broken)
    check = checks(tmp_path)["self-test"]
    assert not check.fine
    assert check.words.startswith("training did not learn: loss 2.000 to 3.000. This installation")


def test_an_error_that_nobody_expects_ends_its_own_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(device: object) -> SelfTest:
        raise RuntimeError("CUDA error: no kernel image is available\nCUDA kernel errors might be")

    monkeypatch.setattr(doctor, "self_test", broken)
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    found = checks(tmp_path)
    assert list(found) == NAMES
    assert [name for name, check in found.items() if not check.fine] == ["versions", "self-test"]
    assert found["versions"].words == (
        "no-such-package is not installed, and hnas needs it: install hnas again"
    )
    assert found["self-test"].words == (
        "RuntimeError: CUDA error: no kernel image is available CUDA kernel errors might be. "
        "Report it with the versions above"
    )
