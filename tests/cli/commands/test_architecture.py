"""`hnas cost` and `hnas space` against published and hand-made counts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.architecture.arch import Arch, Block
from hnas.cli.main import hnas
from hnas.studies.plan.change import with_values
from hnas.studies.plan.toml import load_preset, to_toml

G = (3, 0, 1, 3, 0, 1, 3, 1, 0, 3, 0, 3)
CHOICES = (
    *((0.5, 4), (31, 2), (4, 6), (1, 4), (45, 4), (4, 6)),
    *((1, 2), (4, 2), (45, 4), (1, 4), (31, 4), (2, 6)),
)


def release() -> Arch:
    """GLiT-Tiny as its authors released it: for local blocks (K, E) are given, for global ones
    (d_k / d, d_z), for mixed ones (E, d_z)."""
    blocks = []
    for global_groups, (a, b) in zip(G, CHOICES, strict=True):
        if global_groups == 3:
            blocks.append(Block(G=3, L=0, d_k=int(192 * a), d_z=int(b)))
        elif global_groups == 0:
            blocks.append(Block(G=0, L=3, d_z=4, E=int(b), K=int(a)))
        else:
            blocks.append(Block(G=1, L=2, d_k=192, d_z=int(b), E=int(a), K=31))
    return Arch(tuple(blocks))


def run(*args: str) -> Result:
    return CliRunner().invoke(hnas, args, catch_exceptions=False)


def as_json(*args: str) -> dict[str, Any]:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def lines(result: Result) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in result.stdout.splitlines()]


# cost


def test_glit_tiny_as_released(tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(release().to_json())
    # The activation has no weights and counts no multiply-accumulates: GELU there, Swish here.
    shown = as_json("cost", "--preset", "glit-tiny", "--arch", str(path))
    assert shown["macs"] == 1_472_873_280
    assert shown["params"] == 7_264_456
    assert [block["G"] for block in shown["blocks"]] == list(G)
    for what in ("macs", "params"):
        assert type(shown[what]) is int
        parts = [*shown["blocks"], shown["shared"]]
        assert shown[what] == sum(part[what] for part in parts)


@pytest.mark.parametrize(
    ("preset", "d", "params"),
    [
        ("glit-tiny", 192, 5_717_416),
        ("glit-small", 384, 22_050_664),
        ("glit-base", 768, 86_567_656),
    ],
)
def test_all_global_is_deit(preset: str, d: int, params: int) -> None:
    shown = as_json("cost", "--preset", preset, "--arch", "all-global")
    assert shown["params"] == params  # as DeiT's authors' models have
    block = 12 * 197 * d**2 + 2 * 197**2 * d
    assert [row["macs"] for row in shown["blocks"]] == [block] * 12
    assert shown["macs"] == 12 * block + 196 * 768 * d + 1000 * d


def test_cost_shows_what_the_json_has(tmp_path: Path) -> None:
    plan = four_blocks(tmp_path)
    arch = '{"blocks": [{"G":3,"L":0,"d_k":48,"d_z":4}, {"G":1,"L":2,"d_k":24,"d_z":2,"E":2,"K":7},'
    arch += '{"G":0,"L":3,"d_z":6,"E":4,"K":3}, {"G":0,"L":3,"d_z":6,"E":1,"K":5}]}'
    shown = as_json("cost", "--plan", plan, "--arch", arch)
    result = run("cost", "--plan", plan, "--arch", arch)
    drawn, head, *rows = lines(result)
    assert drawn == [
        "■◧□□",
        "■ global",
        "◧ mixed",
        "□ local",
        f"(plan {plan}, local head conv2d, stem conv, pool mean)",
    ]
    assert head == ["block", "G", "L", "d_k", "d_z", "E", "K", "MACs", "params"]
    for i, (row, block) in enumerate(zip(rows[:4], shown["blocks"], strict=True)):
        assert row == [str(i), *(f"{value:,}" for value in block.values())]
    for row, part in ((rows[4], shown["shared"]), (rows[5], shown)):
        assert row[1:] == [f"{part['macs']:,}", f"{part['params']:,}"]
    assert [rows[4][0], rows[5][0]] == ["shared", "total"]


def four_blocks(folder: Path) -> str:
    """A plan of one's own."""
    plan = folder / "plan.toml"
    assert run("init", str(plan)).exit_code == 0
    plan.write_text(plan.read_text().replace("\nM = 6 ", "\nM = 4 "))
    return str(plan)


@pytest.mark.parametrize(("convention", "macs"), [("glit", 1_332_470_592), ("thop", 1_383_116_928)])
def test_glit_tiny_by_another_convention(convention: str, macs: int) -> None:
    args = ("cost", "--preset", "glit-tiny", "--arch", release().to_json())
    args += ("--convention", convention)
    shown = as_json(*args)
    assert (shown["convention"], shown["macs"], shown["params"]) == (convention, macs, 7_264_456)
    assert sum(part["macs"] for part in (*shown["blocks"], shown["shared"])) == macs
    rows = lines(run(*args))
    assert rows[1][-2:] == [f"MACs ({convention})", "params"]
    assert rows[-1] == ["total", f"{macs:,}", "7,264,456"]


def test_the_convention_is_exact_where_none_is_said() -> None:
    assert as_json("cost", "--arch", "all-global")["convention"] == "exact"


def test_a_convention_that_is_none() -> None:
    result = run("cost", "--arch", "all-global", "--convention", "fvcore")
    assert result.exit_code == 2
    assert "'fvcore' is not one of 'exact', 'glit', 'thop'" in result.stderr


def test_cost_with_a_plan_of_one_s_own(tmp_path: Path) -> None:
    shown = as_json("cost", "--plan", four_blocks(tmp_path), "--arch", "all-global")
    assert len(shown["blocks"]) == 4


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "none.json",
            "--arch takes a file, JSON text or all-global; 'none.json' cannot be read: "
            "No such file or directory",
        ),
        (
            '{"blocks": []}',
            "--arch with the preset digits: an architecture needs at least one block, got none",
        ),
        (
            '{"blocks": [',
            "--arch with the preset digits: an architecture must be JSON: "
            "Expecting value: line 1 column 13 (char 12)",
        ),
        (
            '{"blocks": [{"G": 3, "L": 0, "d_k": 48, "d_z": 4}]}',
            "--arch with the preset digits: the network has M=6 blocks, got 1",
        ),
        (
            '{"blocks": [{"G": 3, "L": 0, "d_k": 48, "d_z": 4, "K": 9}]}',
            "--arch with the preset digits: block 0: K has no meaning if L = 0, got K=9",
        ),
    ],
)
def test_an_architecture_that_cannot_be_counted_is_told(value: str, message: str) -> None:
    result = run("cost", "--arch", value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {message}\n"


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "arch.json"
    path.write_bytes(b"\xff")
    result = run("cost", "--arch", str(path))
    assert result.exit_code == 2
    assert "cannot be read: 'utf-8' codec can't decode byte 0xff" in result.stderr


# space


def test_the_paper_s_space() -> None:
    shown = as_json("space", "--preset", "glit-tiny")
    assert shown["whole"]["index_tuples"] == 324**12
    assert shown["whole"]["distinct"] == 198**12
    assert shown["stage1"]["index_tuples"] == shown["stage1"]["distinct"] == 4**12
    assert (shown["budget_macs"], shown["budget_convention"]) == (1_340_000_000, "glit")
    # All global at d_k = 192, d_z = 4 is DeiT-Ti, the dearest of stage 1.
    assert shown["stage1"]["largest_macs"] == 1_253_683_200
    assert shown["whole"]["smallest_macs"] < shown["stage1"]["smallest_macs"]
    assert shown["whole"]["largest_macs"] > shown["stage1"]["largest_macs"]


def test_space_shows_exact_numbers_and_about_how_large_they_are() -> None:
    rows = lines(run("space", "--preset", "glit-tiny"))
    assert rows[0] == [
        "preset glit-tiny: budget 1,340,000,000 MACs (glit), "
        "local head conv1d, stem patch, pool class"
    ]
    assert rows[1] == ["space", "exact", "about"]
    assert ["whole", "index tuples", f"{324**12:,}", "1.34e30"] in rows
    assert ["whole", "distinct", f"{198**12:,}", "3.63e27"] in rows
    assert ["stage1", "largest MACs", "1,253,683,200", "1.25e9"] in rows


@pytest.mark.parametrize(
    ("local", "stem", "pool"), [("conv2d", "conv", "mean"), ("attention", "patch", "mean")]
)
def test_what_a_network_is_made_of_is_told(
    tmp_path: Path, local: str, stem: str, pool: str
) -> None:
    plan = tmp_path / "plan.toml"
    kinds = {"local": local, "stem": stem, "pool": pool}
    asked = {f"net.{name}": kind for name, kind in kinds.items()}
    plan.write_text(to_toml(with_values(load_preset("digits"), asked)))
    told = f"local head {local}, stem {stem}, pool {pool}"
    assert lines(run("space", "--plan", str(plan)))[0][0].endswith(f"MACs, {told}")
    drawn = lines(run("cost", "--plan", str(plan), "--arch", "all-global"))[0]
    assert drawn[-1] == f"(plan {plan}, {told})"
    for command in (("space",), ("cost", "--arch", "all-global")):
        shown = as_json(*command, "--plan", str(plan))
        assert {name: shown[name] for name in kinds} == kinds
        assert as_json(*command, "--preset", "cifar10")["local"] == "conv1d"


def test_a_small_number_is_not_rounded_beside() -> None:
    assert ["stage1", "distinct", "4,096"] in lines(run("space"))
