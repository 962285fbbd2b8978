"""Notes of studies and elites for the dashboard, in Markdown."""

from collections.abc import Iterable, Iterator, Mapping

from hnas.architecture.arch import FIELDS
from hnas.studies.dashboard.read import Shown, ShownRun
from hnas.studies.figures.glyphs import LEGEND, drawn
from hnas.studies.figures.network import Picture
from hnas.studies.objective.costs import MEASURES
from hnas.studies.run.latency import read_costs
from hnas.studies.run.result import is_tie, standard_error
from hnas.studies.trials.record import Record

SHOWN = 20
"""Most trials of a front that a study's note lists, the most accurate."""
MARKS = {"l": ":---", "r": "---:"}
UP = {"maximize": "up", "minimize": "down"}


def study_note(shown: ShownRun, stage: Shown) -> str:
    """The note of a stage's study: what it searches, how far it is, its front, and links."""
    plan = shown.run.plan
    done = f"{stage.trials:,} of {stage.stage.trials:,} trials are done."
    values = ", ".join(f"{name} ({UP[direction]})" for name, direction in stage.objectives)
    paragraphs = [
        f"## Stage {stage.number} of the {plan.search.strategy} search `{shown.run.name}`",
        *_stages(shown, stage),
        stage.stage.about,
        f"Values: {values}. Accuracy is measured with weights inherited from the supernet; FLOPs "
        "are multiply-accumulates (MACs) of one image. Limits: "
        f"{read_costs(shown.run).words()}.",
        " ".join((done, *_handed_over(shown, stage))),
    ]
    if stage.front:
        paragraphs += _front(stage)
    return "\n\n".join(paragraphs) + "\n"


def _stages(shown: ShownRun, stage: Shown) -> Iterator[str]:
    """Links to all stages, if there are several."""
    if len(shown.stages) > 1:
        links = (f"**{_name(one)}**" if one is stage else _link(one) for one in shown.stages)
        yield "Stages: " + " → ".join(links)


def _name(stage: Shown) -> str:
    return f"stage {stage.number}, `{stage.name}`"


def _link(stage: Shown) -> str:
    return f"[{_name(stage)}]({stage.address})"


def _trial(stage: Shown, number: int) -> str:
    return f"[trial {number}]({stage.trial_address(number)})"


def _handed_over(shown: ShownRun, stage: Shown) -> Iterator[str]:
    """Sentences on the trial or front that a stage passed to another."""
    given = stage.marks.handoff
    for other in shown.stages:
        if other.name == _begun_with(stage):
            yield f"Stage {other.number} begins with this stage's front."
        elif stage.name == _begun_with(other):
            yield f"This stage begins with the front of stage {other.number}, scored again."
        if given is not None and other.name == given.to:
            yield f"Stage {other.number} continues from {_trial(stage, given.trial)}."
        elif given is not None and other.name == given.giver:
            trial = _trial(other, given.trial)
            yield f"This stage continues from {trial} of stage {other.number}."


def _begun_with(stage: Shown) -> str | None:
    """The study that begins with this one's front."""
    return stage.marks.front.to if stage.marks.front else None


def _hands_over(stage: Shown, record: Record) -> bool:
    """Whether a trial's architecture is in the front that a study handed over."""
    return stage.marks.front is not None and record.arch in stage.marks.front.archs


def _front(stage: Shown) -> Iterator[str]:
    best = stage.best[:SHOWN]
    timed = all(record.latency is not None for record in best)
    more = f", here the {SHOWN} most accurate" if len(stage.front) > SHOWN else ""
    yield f"### [The front]({stage.address}/trials?best=true): {len(stage.front)} trials{more}"
    numbers = ("trial", "accuracy", "MACs", *("ms",) * timed, "parameters")
    rows = (
        (
            f"[{record.number}]({stage.trial_address(record.number)})",
            f"{record.accuracy:.4f}",
            f"{record.macs:,}",
            *((f"{MEASURES['latency'].of(record):.4g}",) if timed else ()),
            f"{record.params:,}",
            drawn(record.arch),
        )
        for record in best
    )
    yield _table({**dict.fromkeys(numbers, "r"), "blocks": "l"}, rows)
    yield LEGEND


def elite_note(
    shown: ShownRun, stage: Shown, record: Record, picture: Picture, drawing: str
) -> str:
    """The note of a trial on the front; `drawing` is the address of its picture."""
    points = (
        _score(shown, stage, record),
        *_costs(shown, record),
        *_alone(shown, record),
        *_origin(shown, stage, record),
    )
    paragraphs = [
        f"## {'The winner: trial' if shown.is_winner(record) else 'Trial'} {record.number}, "
        f"on the front of stage {stage.number}",
        *_stages(shown, stage),
        f"![{drawn(record.arch)}]({drawing})",
        "\n".join(f"- {point}" for point in points),
        _blocks(picture),
        f"The whole front: [{len(stage.front)} trials]({stage.address}/trials?best=true).",
    ]
    return "\n\n".join(paragraphs) + "\n"


# Short lines: a trial's page is as wide as its longest attribute, and lines are not broken before.


def _score(shown: ShownRun, stage: Shown, record: Record) -> str:
    score = f"**{record.accuracy:.4f}**"
    if shown.images:
        error = standard_error(record.accuracy, shown.images)
        score += f" ± {error:.4f} on {shown.images:,} held-out images, inherited weights"
        best = stage.best[0]
        if record is not best and is_tie(record.accuracy, best.accuracy, shown.images):
            score += f"; a tie with the best, {_trial(stage, best.number)}, at 95%"
    return score


def _costs(shown: ShownRun, record: Record) -> Iterator[str]:
    limits = read_costs(shown.run)
    for measure in MEASURES.values():
        value, most = measure.of(record), limits.most(measure)
        if value is not None:
            share = "" if most is None else f", {value * measure.unit / most:.0%} of the budget"
            more = f"; {record.params:,} parameters" if measure.name == "macs" else ""
            yield f"**{measure.show(value)}**{share}{more}"


def _alone(shown: ShownRun, record: Record) -> Iterator[str]:
    accuracy = shown.trained(record)
    if accuracy is not None:
        yield f"trained alone: {accuracy:.4f} on held-out images"
    if shown.is_winner(record):
        assert shown.result is not None
        winner, images = shown.result.winner, shown.result.test_images
        yield f"the winner of the search: {winner.test_accuracy:.4f} on {images:,} test images"


def _origin(shown: ShownRun, stage: Shown, record: Record) -> Iterator[str]:
    given = stage.marks.handoff
    for other in shown.stages:
        if given is not None and other.name == given.giver:
            trial = _trial(other, given.trial)
            yield f"has the global and local groups of {trial} of stage {other.number}"
        elif given is not None and (other.name, record.number) == (given.to, given.trial):
            yield f"stage {other.number} continues from this trial"
        if other.name == _begun_with(stage) and _hands_over(stage, record):
            yield f"stage {other.number} begins with this network, scored again"
        elif stage.name == _begun_with(other) and _hands_over(other, record):
            yield f"comes from the front of stage {other.number}, scored again"


def _blocks(picture: Picture) -> str:
    total = sum(picture.macs)
    rows = []
    for number, (block, macs) in enumerate(zip(picture.arch.blocks, picture.macs, strict=False), 1):
        sizes = (getattr(block, name) for name in FIELDS)
        texts = ("" if size is None else str(size) for size in sizes)
        rows.append((str(number), block.kind, *texts, f"{macs / total:.0%}"))
    heads = {"block": "r", "kind": "l"} | {f"`{name}`": "r" for name in FIELDS}
    return _table({**heads, "of the MACs": "r"}, rows)


def _table(heads: Mapping[str, str], rows: Iterable[Iterable[str]]) -> str:
    """A table with the columns' heads and their alignment (l, r). The dashboard leaves no space
    between columns, so each cell begins with an em space."""
    marks = "|".join(MARKS[way] for way in heads.values())
    head, *body = ("|".join(f" \u2003{cell} " for cell in line) for line in (heads, *rows))
    return "\n".join(f"|{line}|" for line in (head, marks, *body))
