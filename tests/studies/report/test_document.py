"""What is said: the answer first, only what is so, and nothing twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hnas.studies.figures.glyphs import drawn
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.studies.report.classes import by_class, class_section
from hnas.studies.report.document import document
from hnas.studies.report.gather import Report, answer, gather
from hnas.studies.report.page import Section
from hnas.studies.run.confusion import Confusion
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.interval import Interval
from hnas.studies.run.ranking import Agreement, Ranking
from hnas.studies.run.result import TrainedNetwork, read_result
from tests.support import fake_runs


def sections(report: Report) -> dict[str, Section]:
    return {section.title: section for section in document(report).sections}


def test_a_finished_search_in_its_order(report: Report) -> None:
    assert list(sections(report)) == [
        "The answer",
        "The winner",
        "Accuracy against cost",
        "The search",
        "How they were trained",
        "What the score depends on",
        "What the best have in common",
        "Whether scores can be trusted",
        "What it cost",
        "How to repeat it",
    ]


def test_the_answer_is_the_result_s(report: Report) -> None:
    found, result = sections(report)["The answer"], report.status.result
    assert result is not None
    assert found.text[0] == (
        "The winner is right on 90.0% (95% interval 85.1 to 93.4) of 200 test images, with "
        f"{result.winner.macs:,} MACs and {result.winner.params:,} parameters."
    )
    assert found.text[2] == "The winner is 10.0 points better (95% interval +3.0 to +17.0)."
    (table,) = found.tables
    assert table.rows[0][:4] == ("winner", drawn(result.winner.arch), "0.9000", "0.8506 to 0.9343")


@pytest.mark.parametrize(
    ("winner", "words"),
    [
        (
            0.81,
            "1.0 points better (95% interval -6.8 to +8.8); these test images cannot tell",
        ),
        (0.8, "The two are equally good, to a tenth of a point (95% interval -7.8 to +7.8); these"),
        (0.7997, "The two are equally good, to a tenth of a point"),
        (0.6, "20.0 points worse (95% interval -28.5 to -11.1)."),
    ],
)
def test_a_result_that_is_no_success_is_said(report: Report, winner: float, words: str) -> None:
    result = report.status.result
    assert result is not None
    measured = dataclasses.replace(result.winner, test_accuracy=winner)
    found = answer(dataclasses.replace(result, winner=measured))
    assert words in sections(dataclasses.replace(report, answer=found))["The answer"].text[2]


def test_a_simple_model_that_wins_is_said(tmp_path: Path, tiny: Plan) -> None:
    for accuracy, words in ((0.99, "is better than the winner: 0.9900"), (0.6, "(1-NN | *raw*).")):
        run = begin_run(tmp_path / f"{accuracy}", tiny)
        fake_runs.finish(run, simple=accuracy)
        found = sections(fake_runs.report(run))["The answer"]
        assert any(words in text for text in found.text)
        assert found.tables[1].rows[0][:3] == ("1-NN | *raw*", "k = 1", f"{accuracy:.4f}")


@pytest.mark.parametrize("classes", [10, 31])
def test_classes_and_what_is_confused(finished_run: Run, classes: int) -> None:
    whole = read_result(finished_run)
    assert whole is not None
    shown, given = [i % classes for i in range(200)], [i * i % classes for i in range(200)]
    names = tuple(f"${i}_x" for i in range(classes))  # matplotlib takes it for mathematics
    result = dataclasses.replace(
        whole,
        winner=_of(whole.winner, classes, Confusion.of(shown, given, classes)),
        all_global=_of(whole.all_global, classes, Confusion.of(shown, shown, classes)),
        inputs=dataclasses.replace(whole.inputs, classes=names),
    )
    found = class_section(result)
    assert found is not None
    first, mistakes = found.tables
    rows = by_class(result)
    assert [row["class"] for row in rows] == list(names)
    assert sum(row["images"] for row in rows) == sum(row["all_global"] for row in rows) == 200
    assert sum(row["winner"] for row in rows) == sum(
        a == b for a, b in zip(shown, given, strict=True)
    )
    assert len(first.rows) == min(classes, 30) and len(mistakes.rows) == {10: 6, 31: 10}[classes]
    shares = [float(row[3]) for row in first.rows]
    assert shares == sorted(shares)
    assert bool(found.drawings) == (classes == 10) == (not found.text)
    for drawing in found.drawings:
        assert "<svg" in drawing.svg and "$9_x" in drawing.svg


def _of(network: TrainedNetwork, classes: int, confusion: Confusion) -> TrainedNetwork:
    frame = dataclasses.replace(network.frame, classes=classes)
    return dataclasses.replace(network, frame=frame, confusion=confusion)


def test_every_table_has_as_many_cells_as_columns(report: Report, begun: Report) -> None:
    for one in (report, begun):
        for section in document(one).sections:
            for table in section.tables:
                assert {len(row) for row in table.rows} == {len(table.columns)}, section.title


def test_a_search_that_has_begun_says_what_is_missing_first(begun: Report) -> None:
    first = document(begun).sections[0]
    assert first.title == "No answer yet"
    assert first.text == begun.missing
    assert "too few trials" in sections(begun)["What the score depends on"].text[0]


def test_only_a_plan(tmp_path: Path, tiny: Plan) -> None:
    titles = list(sections(gather(begin_run(tmp_path / "run", tiny))))
    assert titles == ["No answer yet", "Whether scores can be trusted", "How to repeat it"]


def test_imagenet_stands_among_published_networks(tmp_path: Path) -> None:
    found = sections(gather(begin_run(tmp_path / "run", load_preset("glit-tiny"))))
    (table,) = found["Among published networks"].tables
    assert ("DeiT-Ti", "72.2", "5.7M", "1.26G", "224") in table.rows


def test_a_ranking_is_put_in_words(report: Report) -> None:
    assert "Not measured" in sections(report)["Whether scores can be trusted"].text[0]
    tau = Interval(value=0.61, low=0.4, high=0.75)
    measured = Ranking(
        stage=2,
        epochs=80,
        images=40,
        ranked=(),
        agreement=Agreement(
            architectures=30,
            seeds=4,
            **dict.fromkeys(("tau", "spearman", "pearson", "tau_top"), tau),
            **dict.fromkeys(("tau_others", "reference", "difference", "regret")),
        ),
        environment={},
    )
    found = sections(dataclasses.replace(report, rankings=(measured,)))
    section = found["Whether scores can be trusted"]
    assert "Kendall's tau 0.61 (95% interval 0.40 to 0.75;" in section.text[0]
    assert len(section.drawings) == 1


def test_a_strategy_of_one_stage(tmp_path: Path, tiny: Plan) -> None:
    run: Run = begin_run(tmp_path / "run", override(tiny, strategy="flat"))
    fake_runs.finish(run)
    found = sections(fake_runs.report(run))
    assert found["Accuracy against cost"].text[0].startswith("flat: ")
    assert any("PED-ANOVA" in note for note in found["What the score depends on"].notes)
