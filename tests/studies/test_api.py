"""hnas from Python: the same runs as the command line's, and a notebook that runs."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data.sources import given
from hnas.data.sources.load import load as load_images
from hnas.errors import BusyError, InputError, MismatchError, StateError
from hnas.exchange.export import load
from hnas.studies.api import Found, open_run, search
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset, to_toml
from hnas.studies.run.folder import begin_run
from hnas.studies.search.events import Listener, Stop, TrialEvent
from tests.support.notebook import MADE_OF, fingerprint


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Both stages and retraining in two seconds."""
    plan = override(load_preset("digits"), trials=6, epochs=1)
    net = replace(plan.net, M=2, d=12)
    s1 = replace(plan.stage1, d_k=12, population=3)
    s2 = replace(plan.stage2, d_k=(6, 12), population=3)
    return replace(plan, net=net, stage1=s1, stage2=s2, retrain=replace(plan.retrain, top=2))


@pytest.fixture(scope="module")
def found(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return search(plan=plan, run=tmp_path_factory.mktemp("runs") / "mine", device="cpu")


def test_a_search_ends_with_its_answer(found: Found, plan: Plan) -> None:
    assert found.plan == plan and found.status.finished
    assert found.result is not None and found.result.winner.test_accuracy is not None
    assert [len(found.trials(stage)) for stage in (1, 2)] == [6, 6]
    assert found.front(2) == found.status.stages[1].front
    assert len(found.study(1).trials) == 6
    assert any((found.run.folder / "artifacts").iterdir())  # drawings for the dashboard


def test_the_same_again_computes_nothing(found: Found, plan: Plan) -> None:
    class Loud(Listener):
        def trial(self, stage: int, event: object) -> None:
            raise AssertionError("a trial was scored")

    before = (found.run.folder / "result.json").read_bytes()
    again = search(plan=plan, run=found.run.folder, device="cpu", listener=Loud())
    assert again == found == open_run(found.run.folder)
    assert search(run=found.run.folder, device="cpu", listener=Loud()) == found
    assert (found.run.folder / "result.json").read_bytes() == before


def test_stage_by_stage_ends_as_all_at_once(found: Found, plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    first = search(plan=plan, run=folder, stage=1, device="cpu")
    assert [len(first.trials(stage)) for stage in (1, 2)] == [6, 0]
    assert first.result is None
    text = repr(first)
    assert text.startswith(f"Found({folder}, not finished: stage 1, best of 6 trials 0.")
    assert text.endswith("MACs)")
    with pytest.raises(StateError, match=r"has no result yet\. Finish it: hnas search --run "):
        first.network(device="cpu")
    with first.run.hold(), pytest.raises(BusyError, match=r"use another run$"):
        search(run=folder, device="cpu")
    with first.run.hold():  # as a search in another process
        assert open_run(folder).trials(1) == first.trials(1) and repr(open_run(folder)) == text
    last = search(run=folder, device="cpu")
    timeless = [[replace(r, seconds=0) for r in each.trials(2)] for each in (last, found)]
    assert timeless[0] == timeless[1] and last.result == found.result


def test_the_winner_is_taken_away(found: Found, tmp_path: Path) -> None:
    files = found.export(tmp_path / "net", device="cpu")
    assert [path.name for path in files] == ["net.safetensors", "net.json", "net.py"]
    assert found.result is not None
    assert load(tmp_path / "net").model.arch == found.result.winner.arch
    assert found.network("cpu").classes == tuple("0123456789")
    (tmp_path / "other.py").write_text("mine")
    with pytest.raises(InputError, match=r"^to .*: .*\.py is there, .* force=True to replace it$"):
        found.export(tmp_path / "other", device="cpu")


def test_it_shows_itself(found: Found) -> None:
    page = found._repr_html_()
    assert re.search(r"<td>winner</td><td>0\.\d{4} \(test\)</td>", page)
    assert "<p>The winner</p><svg" in page and page.endswith("</svg>\n")
    assert repr(found).startswith(f"Found({found.run.folder}, finished: winner 0.")


def test_the_winner_predicts_files_folders_and_arrays(found: Found, tmp_path: Path) -> None:
    images = load_images("digits", image=8, channels=1).train.pixels[:3, 0].numpy()
    files = []
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        files.append(tmp_path / f"{i}.png")
    by_file = found.predict(files, device="cpu")
    assert [name in set("0123456789") for name, _ in by_file] == [True] * 3
    [(name, probability)] = found.predict(str(files[0]), device="cpu")
    assert (name, probability) == (by_file[0][0], pytest.approx(by_file[0][1]))
    for others in (tmp_path, images, torch.from_numpy(images)[:, None] / 255):
        assert [name for name, _ in found.predict(others, device="cpu")] == [n for n, _ in by_file]
    with pytest.raises(InputError, match="not a readable image"):
        found.predict(tmp_path / "none.png", device="cpu")
    with pytest.raises(InputError, match="must be numbers NCHW"):
        found.predict(np.zeros(3), device="cpu")


def test_its_report_speed_and_ranking(found: Found, tmp_path: Path) -> None:
    path = found.report(tmp_path / "r.md")
    assert path.read_text("utf-8").startswith("# ")
    with pytest.raises(InputError, match=r"must be one of html, md, json, got 'pdf'"):
        found.report("r.pdf")
    speeds = found.latency("cpu", rounds=2)
    assert list(speeds) == ["winner", "all-global"]
    assert all(0 < each.lowest <= each.median for each in speeds.values())
    with pytest.raises(InputError, match="architectures must be >= 4, got 1"):
        found.rank(architectures=1, device="cpu")


def test_words_for_a_person(found: Found) -> None:
    record = found.front(2)[0]
    assert repr(record).startswith(f"Record(trial {record.number}, score 0.")
    assert repr(record.arch) in repr(record)
    assert re.fullmatch(
        r"Arch\([■◧□]{2} G=\S+ L=\S+ d_k=\S+ d_z=\S+ E=\S+ K=\S+\)", repr(record.arch)
    )
    assert repr(found.status).startswith(f"Status({found.run.folder}, finished; stage 1: 6 of 6 tr")
    result = found.result
    assert result is not None
    assert re.fullmatch(
        r"Result\(\d+ test images: winner [\d.]+ at [\d,]+ MACs, "
        r"all-global [\d.]+ at [\d,]+ MACs\)",
        repr(result),
    )


def test_a_callback_can_stop_a_search_that_goes_on_when_called_again(
    found: Found, plan: Plan, tmp_path: Path
) -> None:
    seen: list[int] = []

    def stop(at: Found, event: object) -> None:
        if isinstance(event, TrialEvent):
            seen.append(len(at.trials(1)))
            if event.done == 1:
                raise Stop

    asked: dict[str, Any] = {"plan": plan, "run": tmp_path / "mine", "stage": 1, "device": "cpu"}
    stopped = search(callbacks=[stop], **asked)
    assert 1 <= len(stopped.trials(1)) < 6 and stopped.result is None
    again = search(**asked)
    timeless = [[replace(r, seconds=0) for r in each.trials(1)] for each in (again, found)]
    assert timeless[0] == timeless[1]


def test_a_name_is_no_markup(plan: Plan, tmp_path: Path) -> None:
    begun = search(plan=plan, run=tmp_path / "<b>", stage=1, device="cpu")
    assert "&lt;b&gt;</b><table>" in begun._repr_html_()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"preset": "digits", "plan": "x"}, "preset and plan exclude each other"),
        ({"preset": "digit"}, "there is no preset 'digit'; did you mean 'digits'?"),
        ({"plan": load_preset("digits")}, "a Plan needs run, the folder"),
        ({"data": "nowhere"}, "data source 'nowhere' is unknown"),
    ],
)
def test_a_mistake_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        search(**asked, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_file_is_not_trusted_with_code(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(to_toml(override(plan, data="no_such_module:load")))
    message = (
        f"the plan {file} names code to run: data.source = 'no_such_module:load'. A plan may "
        "not run code unasked. Look at the code, then give allow_code=True"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        search(plan=file, run=tmp_path / "run", device="cpu")
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(InputError, match="there is no module 'no_such_module'"):
        search(plan=file, run=tmp_path / "run", device="cpu", allow_code=True)


@pytest.mark.parametrize("ask", [Found.trials, Found.front, Found.study])
def test_errors_of_a_run_name_pythons_arguments(plan: Plan, tmp_path: Path, ask: Any) -> None:
    begun = open_run(begin_run(tmp_path / "mine", plan).folder)
    with pytest.raises(InputError, match=r"has 2\. Leave stage out, or begin another run$"):
        ask(begun, 3)


def test_another_plan_is_refused(found: Found) -> None:
    with pytest.raises(MismatchError, match=r"search\.seed"):
        search(run=found.run.folder, seed=7, device="cpu")


def test_a_plan_is_proposed_for_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = search(data="digits", epochs=1, trials=2, stage=1, device="cpu")
    assert begun.run.folder == Path("runs/digits")
    assert begun.plan.net == load_preset("digits").net


def cells(book: dict[str, Any]) -> list[str]:
    return ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]


def test_the_notebook_runs(
    root: Path,
    tmp_path: Path,
    found: Found,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its code cells one after the other, without the weight of a real kernel, on a tiny run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hnas.cli.python.search", lambda **asked: found)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setitem(sys.modules, "digits_net", None)  # takes away what the notebook imports
    monkeypatch.delitem(sys.modules, "digits_net")
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells(json.loads((root / "docs/example.ipynb").read_text("utf-8"))):
        exec(compile(cell, "docs/example.ipynb", "exec"), names)
    assert found.result is not None and found.result.winner.test_accuracy is not None
    shown = capsys.readouterr().out
    right = round(found.result.winner.test_accuracy * 359)
    assert f"{right} of 359 test images are right\n" in shown  # as the search itself says
    assert "6 trials, [" in shown and "digits_net.py\n" in shown


def test_the_notebook_keeps_what_its_cells_gave(root: Path) -> None:
    """`make notebook` has run it as it is, and the network is right."""
    book = json.loads((root / "docs/example.ipynb").read_text("utf-8"))
    assert book["metadata"][MADE_OF] == fingerprint(book), "run `make notebook`"
    given = [cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(given) and not [o for out in given for o in out if o["output_type"] == "error"]
    said = re.search(r"(\d+) of (\d+) test images are right", json.dumps(given))
    assert said is not None and int(said[1]) / int(said[2]) > 0.98


def test_the_examples_of_the_document_run(
    root: Path, tmp_path: Path, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hnas.cli.python.search", lambda **asked: found)
    monkeypatch.setattr("hnas.studies.api.open_run", lambda folder: found)
    text = (root / "docs/api.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
    for name in re.findall(r"`found\.(\w+)", text):
        assert hasattr(found, name)


def test_images_given_as_arrays(plan: Plan, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.random((60, 8, 8)), np.arange(60) % 10
    asked: dict[str, Any] = {"plan": plan, "run": tmp_path / "r", "stage": 1, "device": "cpu"}
    first = search(data=(images, labels), **asked)
    assert len(first.trials(1)) == 6
    assert search(data=(images.copy(), labels.tolist()), **asked).trials(1) == first.trials(1)
    images[0, 0, 0] = 1 - images[0, 0, 0]
    with pytest.raises(MismatchError, match=r"not those that .* 1 image is new"):
        search(data=(images, labels), **asked)
    given._given.clear()  # as in another process
    with pytest.raises(InputError, match=r"give the same again: hnas\.search\(data=\.\.\., run="):
        search(run=tmp_path / "r", stage=2, device="cpu")
