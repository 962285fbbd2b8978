"""A request: the command line and Python come to the same plan in the same folder."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from click.testing import CliRunner
from PIL import Image

from hnas.cli.commands.search import search as command
from hnas.cli.main import hnas
from hnas.cli.screen.options import as_option
from hnas.errors import BusyError, HnasError, InputError
from hnas.studies import api
from hnas.studies.plan.budget import keyword
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import stages
from hnas.studies.plan.toml import load_preset, to_toml
from hnas.studies.request.begin import begin
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request, folder_of
from hnas.studies.run import folder as runs
from hnas.studies.run.folder import Run, begin_run, open_run


class Begun(Exception):
    """The search would start now."""


@pytest.fixture
def here(tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images, plans and a begun run; searches in it end when their run has begun."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HNAS_STORAGE", raising=False)
    for name, count in (("dark", 12), ("light", 12), ("middle", 12)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (10, 8), 20 * i).save(tmp_path / "photos" / name / f"{i}.png")
    Path("tiny.toml").write_text(to_toml(tiny))
    code = replace(tiny, data=replace(tiny.data, source="no_such_module:load"))
    Path("code.toml").write_text(to_toml(code))
    begin_run(Path("runs/begun"), replace(tiny, search=replace(tiny.search, seed=5)))
    monkeypatch.setattr("hnas.studies.search.estimate.estimate", lambda *_: [])
    return tmp_path


def begun_by(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Plan, str, bool]:
    """What `begin_run` was asked for and wrote."""
    made: list[tuple[Path, Plan, str, bool]] = []

    def spy(folder: Path, plan: Plan, *, rescore: bool, **kept: Any) -> Run:
        run = begin_run(folder, plan, rescore=rescore, **kept)
        made.append((folder, open_run(folder, storage=run.storage).plan, run.storage, rescore))
        raise Begun

    monkeypatch.setattr(runs, "begin_run", spy)
    with pytest.raises(Begun):
        ask()
    return made[0]


def typed(asked: dict[str, Any]) -> list[str]:
    """The same on the command line."""
    pairs = ((n, v) for n, value in asked.items() for v in (value if n == "set" else (value,)))
    options = (as_option(name, value).split(" ", 1) for name, value in pairs)
    return ["search", *(word for option in options for word in option)]


REQUESTS: list[tuple[dict[str, Any], str, dict[str, object]]] = [
    ({}, "runs/digits", {"data.source": "digits", "search.seed": 0}),
    ({"preset": "cifar10"}, "runs/cifar10", {"net.channels": 3}),
    ({"data": "digits"}, "runs/digits", {"net.d": load_preset("digits").net.d}),
    ({"data": "cifar10"}, "runs/cifar10", {"net.image": load_preset("cifar10").net.image}),
    ({"data": "photos"}, "runs/photos", {"net.classes": 3, "data.source": "photos"}),
    ({"data": "photos", "flops": "2M"}, "runs/photos", {"search.flops": 2_000_000}),
    (
        {"preset": "digits", "flops": "2.9M", "convention": "glit"},
        "runs/digits",
        {"search.convention": "glit", "search.flops": 2_900_000},
    ),
    (
        {"data": "photos", "flops": "50%", "convention": "glit"},
        "runs/photos",
        {"search.convention": "glit", "net.d": 30},
    ),
    ({"data": "photos", "refine": True}, "runs/photos-refined", {"net.classes": 3}),
    ({"plan": "tiny.toml"}, "runs/tiny", {"net.M": 3}),
    ({"plan": "tiny.toml", "data": "photos"}, "runs/tiny", {"net.classes": 3}),
    ({"plan": "code.toml", "allow_code": True}, "runs/code", {"net.M": 3}),
    ({"plan": "code.toml", "data": "digits"}, "runs/code", {"data.source": "digits"}),
    ({"strategy": "random"}, "runs/digits-random", {"search.strategy": "random"}),
    ({"strategy": "hierarchical"}, "runs/digits", {"search.strategy": "hierarchical"}),
    ({"data": "photos", "trials": 50}, "runs/photos", {"search.sampler": "tpe"}),
    ({"data": "photos", "strategy": "flat"}, "runs/photos-flat", {"search.sampler": ""}),
    ({"data": "photos"}, "runs/photos", {"search.pick": "smoothed-loss"}),
    (
        {"data": "photos", "set": ("score.metric=balanced",)},
        "runs/photos",
        {"search.pick": "smoothed"},
    ),
    ({"data": "photos", "set": ("search.pick=score",)}, "runs/photos", {"search.pick": "score"}),
    ({"sampler": "tpe"}, "runs/digits-tpe", {"search.sampler": "tpe"}),
    ({"objective": "both"}, "runs/digits-both", {"search.objective": "both"}),
    ({"objective": "flops"}, "runs/digits", {"search.objective": "flops"}),
    ({"refine": True}, "runs/digits-refined", {"refine.trials": 100, "stage2.trials": 100}),
    (
        {"plan": "tiny.toml", "refine": True, "objective": "latency", "trials": 9},
        "runs/tiny-refined-latency",
        {"stage1.trials": 9, "stage2.trials": 9, "refine.trials": 9},
    ),
    ({"stage": 1, "trials": 50}, "runs/digits", {"stage1.trials": 50, "stage2.trials": 200}),
    ({"stage": 2, "trials": 50}, "runs/digits", {"stage1.trials": 200, "stage2.trials": 50}),
    (
        {"plan": "tiny.toml", "stage": 3, "trials": 7, "refine": True},
        "runs/tiny-refined",
        {"stage2.trials": 6, "refine.trials": 7},
    ),
    ({"trials": 50}, "runs/digits", {"stage1.trials": 50, "stage2.trials": 50}),
    (
        {"strategy": "flat", "trials": 50},  # in all
        "runs/digits-flat",
        {"stage1.trials": 25, "stage2.trials": 25},
    ),
    (
        {"strategy": "random", "stage": 1, "trials": 50},
        "runs/digits-random",
        {"stage1.trials": 25, "stage2.trials": 25},
    ),
    ({"epochs": 7}, "runs/digits", {"stage2.training.epochs": 7, "retrain.training.epochs": 7}),
    (
        {"flops": "2.9M", "latency": "2.5ms", "seed": 3},
        "runs/digits",
        {"search.flops": 2_900_000, "search.latency": "2.5ms", "search.seed": 3},
    ),
    ({"flops": "40%"}, "runs/digits", {"net.d": 30, "stage2.d_k": (15, 30, 60)}),
    (
        {"preset": "digits", "params": "100K"},
        "runs/digits",
        {"net.d": 36, "search.params": 100_000},
    ),
    ({"plan": "tiny.toml", "flops": "60%"}, "runs/tiny", {"net.d": 6, "stage1.d_k": 6}),
    ({"data": "photos", "flops": "50%"}, "runs/photos", {"net.d": 30, "stage1.d_k": 30}),
    ({"data": "photos", "flops": "50%", "set": ["net.M=12"]}, "runs/photos", {"net.d": 18}),
    (
        {"set": ["stage1.training.lr=2e-3", "net.local=conv2d", "stage1.K=5", "stage2.K=[3,5]"]},
        "runs/digits",
        {"stage1.training.lr": 2e-3, "net.local": "conv2d", "stage2.K": (3, 5)},
    ),
    (
        {"data": "photos", "epochs": 3, "set": ["retrain.training.epochs=9"]},
        "runs/photos",
        {"stage1.training.epochs": 3, "retrain.training.epochs": 9},
    ),
    ({"init_from": "net"}, "runs/digits", {"net.d": load_preset("digits").net.d}),
    ({"skip_bad_images": True}, "runs/digits", {"data.skip_bad_images": True}),
    ({"run": "runs/begun"}, "runs/begun", {"search.seed": 5}),
    ({"run": "runs/begun", "data": "photos"}, "runs/begun", {"net.classes": 10}),
    ({"run": "runs/begun", "trials": 40, "stage": 1}, "runs/begun", {"stage1.trials": 40}),
    ({"run": "runs/begun", "preset": "digits"}, "runs/begun", {"search.seed": 0}),
    ({"run": "runs/begun", "rescore": True}, "runs/begun", {"search.seed": 5}),
    ({"run": "mine", "storage": "sqlite:///all.db"}, "mine", {"data.source": "digits"}),
    ({"workers": True, "lease": 5.0, "device": "cpu"}, "runs/digits", {"search.seed": 0}),
]
"""(what is asked, the folder, some of the plan's values)."""


@pytest.mark.parametrize(("asked", "folder", "values"), REQUESTS, ids=str)
def test_both_come_to_the_same(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, Any],
    folder: str,
    values: dict[str, object],
) -> None:
    def by_command() -> None:
        CliRunner().invoke(hnas, typed(asked), catch_exceptions=False)

    before = Path("runs/begun/plan.toml").read_bytes()
    by_python = begun_by(lambda: api.search(**asked), monkeypatch)
    Path("runs/begun/plan.toml").write_bytes(before)
    if folder != "runs/begun":
        shutil.rmtree(folder)
    assert begun_by(by_command, monkeypatch) == by_python
    assert by_python[0] == Path(folder)
    for name, value in values.items():
        found: object = by_python[1]
        for part in name.split("."):
            found = getattr(found, part)
        assert found == (str(here / "photos") if value == "photos" else value), name


def test_a_path_of_the_plan_holds_wherever_the_search_is_resumed(here: Path) -> None:
    assert decide(Request(init_from="net")).plan.stage1.init_from == str(here / "net")


def test_images_are_those_that_were_named_wherever_the_run_is_used(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = here / "other"
    for place in (other / "data/photos", other / "lab/photos", here / "data/photos"):
        shutil.copytree("photos", place)
    monkeypatch.setenv("HNAS_DATA", str(other / "lab"))
    for name in ("photos", "./photos", "photos/", str(here / "photos")):
        assert decide(Request(data=name)).plan.data.source == str(here / "photos")
    assert decide(Request(data="data/photos")).plan.data.source == str(here / "data/photos")
    run = begin(decide(Request(data="photos", run=here / "run")))
    monkeypatch.chdir(other)
    assert decide(Request(run=here / "run")).plan.data.source == str(here / "photos")
    assert decide(Request(data="photos")).plan.data.source == str(other / "lab/photos")
    monkeypatch.delenv("HNAS_DATA")
    assert decide(Request(data="photos")).plan.data.source == str(other / "data/photos")
    assert run.plan.data.source == str(here / "photos")


def test_a_folder_here_goes_before_the_images_that_hnas_brings(here: Path, tiny: Plan) -> None:
    assert decide(Request(data="digits")).plan == load_preset("digits")
    shutil.copytree("photos", "digits")
    decision = decide(Request(data="digits"))
    assert decision.plan.data.source == str(here / "digits") and decision.plan.net.classes == 3
    for asked in (Request(), Request(preset="digits")):  # they mean those that hnas brings
        assert decide(asked).plan.data.source == "digits"
    (here / "mine.toml").write_text(to_toml(tiny))
    asked = decide(Request(plan="mine.toml"))
    assert asked.plan.data.source == "digits"
    note = "'digits' in a plan are the images that hnas brings; not ./digits, here."
    assert asked.note == note
    narrow, also = decide(Request(plan="mine.toml", flops="60%")).note.splitlines()
    assert "net.d 12 -> 6" in narrow and also == note
    shutil.rmtree("digits")
    begin(decide(Request(run="digits")))  # a run of that name is not a folder of images
    assert decide(Request(data="digits")).plan == load_preset("digits")


@pytest.mark.parametrize("strategy", ["high-level", "flat", "random"])
@pytest.mark.parametrize("more", [{}, {"stage": 1}, {"plan": "tiny.toml", "refine": False}])
def test_the_only_stage_has_the_trials_that_are_asked_for(
    here: Path, strategy: str, more: dict[str, Any]
) -> None:
    found = decide(Request(strategy=strategy, trials=50, **more)).plan
    assert [stage.trials for stage in stages(found)] == [50]


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:///./a.db", "sqlite:///lab/../a.db"])
def test_a_storage_is_where_it_was_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    run = begin(decide(Request(run="mine", storage=url)))
    assert run.storage == run.about.storage == f"sqlite:///{here / 'a.db'}"
    (here / "other").mkdir()
    monkeypatch.chdir(here / "other")
    with pytest.raises(InputError, match=r"keeps its studies in sqlite:///.*/a.db: give that"):
        decide(Request(run="../mine", storage=url))
    assert decide(Request(run="../mine", storage=run.storage)).begun is not None


def test_a_path_of_bytes_that_are_no_text_is_refused_by_name(here: Path) -> None:
    name = os.fsdecode(b"photos\xff")
    shutil.copytree("photos", name)
    for asked in (Request(data=name), Request(data="photos", run=name)):
        with pytest.raises(InputError, match=r"photos.udcff' must be text in UTF-8.*rename it"):
            decide(asked)


def test_both_have_the_same_options() -> None:
    ours = {f.name for f in fields(Request)} - {"spell"}
    assert {p.name for p in command.params} - {"source", "yes"} == ours
    hints = get_type_hints(Request)
    found = get_type_hints(api.Asked)
    assert found.pop("data") is Any  # images too, which no shell can give
    assert found == {name: hints[name] for name in ours - {"data"}}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"preset": "digits", "plan": "x"}, "{preset} and {plan} exclude each other: give one"),
        ({"flops": "much"}, "{flops} must be a whole number of multiply-accumulates >= 1, or text"),
        ({"convention": "glit"}, "{convention=glit} says how {flops} is counted: give {flops} too"),
        ({"flops": "2M", "convention": "thop"}, "convention 'thop' is unknown; Known: exact, glit"),
        ({"latency": "soon"}, "{latency} must be a time with its unit, ns, us, ms or s, such as"),
        ({"flops": "1K"}, "{flops=1K}: stage1: no architecture of the space fits"),
        (
            {"flops": "much%"},
            "{flops} must be a whole number of multiply-accumulates >= 1, or text",
        ),
        ({"params": "few"}, "{params} must be a whole number of parameters >= 1, or text with K"),
        ({"params": "30"}, "{params=30}: stage1: no architecture of the space fits params 30: the"),
        ({"set": ["lr"]}, "{set} must be KEY=VALUE with a key of the plan, such as stage1.trai"),
        ({"set": ["stage1.trial=2"]}, "stage1.trial is not part of a plan; did you mean 'trials'?"),
        ({"set": ["stage1.K.x=2"]}, "stage1.K is no table of a plan, got 'stage1.K.x'"),
        ({"set": ["stage1.trials=few"]}, "stage1.trials must be a whole number, got 'few'"),
        ({"run": "runs/begun", "flops": "40%"}, "{flops=40%} is a share of the plan that a search"),
        ({"data": "photos", "flops": "1K"}, "{flops=1K}: stage1: no architecture of the space"),
        ({"plan": "code.toml"}, "the plan code.toml names code to run: data.source = "),
        ({"plan": "code.toml"}, "Look at the code, then give {allow_code}"),
        ({"stage": 3, "trials": 7}, "the search of runs/digits has no stage 3: its strategy 'hier"),
        ({"stage": 2, "strategy": "flat"}, "runs/digits-flat has no stage 2: its strategy 'flat'"),
        (
            {"strategy": "flat", "trials": 1},
            "trials must be >= 2, got 1: the one stage of 'flat' has those of all 2 stages of the ",
        ),
        ({"strategy": "flatt"}, "strategy 'flatt' is unknown; did you mean 'flat'? Known: "),
        ({"data": "phtoos"}, "data source 'phtoos' is unknown: "),
        ({"run": "runs/begun", "storage": "sqlite:///a.db"}, "keeps its studies in sqlite:///"),
        ({"run": "new", "storage": "sqlite:///no/a.db"}, "/no/a.db cannot be used: unable to open"),
    ],
    ids=str,
)
def test_both_refuse_the_same_in_their_own_words(
    here: Path, asked: dict[str, Any], message: str
) -> None:
    words = {f"{{{n}}}": n for n in ("preset", "plan", "flops", "params", "latency", "set")}
    python = {**words, "{flops=1K}": "flops='1K'", "{allow_code}": "allow_code=True"}
    python |= {"{convention=glit}": "convention='glit'"}
    python |= {"{flops=40%}": "flops='40%'", "{params=30}": "params='30'"}
    options = {name: f"--{word}" for name, word in words.items()}
    options |= {"{flops=1K}": "--flops 1K", "{allow_code}": "--allow-code"}
    options |= {"{convention=glit}": "--convention glit"}
    options |= {"{flops=40%}": "--flops 40%", "{params=30}": "--params 30"}
    before = sorted(here.rglob("*"))
    with pytest.raises(HnasError, match=re.escape(_filled(message, python))):
        api.search(**asked)
    refused = CliRunner().invoke(hnas, typed(asked), catch_exceptions=False)
    assert refused.exit_code == 2 and _filled(message, options) in refused.stderr
    assert sorted(here.rglob("*")) == before


def _filled(message: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        message = message.replace(name, word)
    return message


def test_an_option_is_written_as_its_asker_writes_it() -> None:
    assert (keyword("flops"), keyword("flops", "2M")) == ("flops", "flops='2M'")
    assert (as_option("init_from"), as_option("flops", "2M")) == ("--init-from", "--flops 2M")
    assert (keyword("refine", True), as_option("refine", True)) == ("refine=True", "--refine")


def test_a_plan_of_python_needs_a_folder(here: Path, tiny: Plan) -> None:
    assert decide(Request(plan=tiny, run="mine")).plan == tiny
    with pytest.raises(InputError, match=r"^a Plan needs run, the folder to keep its search in$"):
        folder_of(Request(plan=tiny))
    with pytest.raises(InputError, match=r"^stage must be 1, 2 or 3, got 4$"):
        Request(stage=4)


def test_the_plan_of_a_run_that_is_worked_on_is_left_alone(here: Path) -> None:
    was = Path("runs/begun/plan.toml").read_bytes()
    with open_run(Path("runs/begun")).hold():
        assert begin(decide(Request(run="runs/begun"))).plan.search.seed == 5
        with pytest.raises(BusyError, match="is held by another process"):
            begin(decide(Request(run="runs/begun", trials=40)))
    assert Path("runs/begun/plan.toml").read_bytes() == was


def test_classes_are_told_once(here: Path, tiny: Plan) -> None:
    asked = Request(plan="tiny.toml", data="photos")
    decision = decide(asked)
    assert decision.note == "photos has 3 classes: net.classes is 3."
    begin(decision)
    shutil.rmtree("photos")  # the same request again does not look at the images
    again = decide(asked)
    assert (again.plan, again.note) == (decision.plan, "")


def test_a_proposal_is_given_with_what_it_was_made_from(here: Path) -> None:
    decision = decide(Request(data="photos", trials=3, device="cpu"))
    assert decision.proposal is not None and decision.proposal.survey.images == 36
    assert decision.proposal.plan.stage1.trials == 100 and decision.plan.stage1.trials == 3
    assert not Path("runs/photos").exists()


def test_a_share_is_of_the_plan_that_a_search_begins_with(here: Path) -> None:
    """Resumed by the same command, whether it names the plan or not."""
    asked = Request(preset="digits", flops="40%")
    decision = decide(asked)
    assert decision.note == (
        "flops='40%': at most 1,192,742 MACs. An average distribution of the plan has 2,646,240 "
        "MACs, so net.d 48 -> 30, stage1.d_k 48 -> 30, stage2.d_k 24, 48, 96 -> 15, 30, 60."
    )
    run = begin(decision)
    assert run.about.asked == {"flops": "40%"}
    for again in (asked, replace(asked, preset=None), Request(run="runs/digits")):
        assert (decide(again).plan, begin(decide(again)).plan) == (decision.plan, decision.plan)
    wrong = (
        r"^flops='50%' is a share of the plan that .* runs/digits has begun with flops='40%'\. Use"
    )
    with pytest.raises(InputError, match=wrong):
        decide(Request(run="runs/digits", flops="50%"))


def test_values_may_be_of_any_type_in_python(here: Path) -> None:
    values = {"stage2.K": (3, 7), "search.flops": 2_900_000, "data.source": "photos"}
    plan = decide(Request(set=values)).plan
    assert (plan.stage2.K, plan.search.flops, plan.net.classes) == ((3, 7), 2_900_000, 3)
    assert decide(Request(preset="glit-tiny", set={"search.flops": ""})).plan.search.flops is None
