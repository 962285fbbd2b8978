"""Notes of studies and elites for the dashboard, in Markdown."""

from collections.abc import Iterable, Iterator, Mapping

from hnas.architecture.arch import FIELDS
from hnas.studies.figures.glyphs import drawn, legend
from hnas.studies.figures.network import Picture
from hnas.studies.objective.costs import MEASURES, metrics
from hnas.studies.run.latency import read_costs
from hnas.studies.run.status import Status, scoring_images
from hnas.studies.run.studies import StageStudy
from hnas.studies.run.ties import standard_error, tied
from hnas.studies.trials.record import Record

SHOWN = 20
"""Most trials of a front that a study's note lists, the most accurate."""
MARKS = {"l": ":---", "r": "---:"}


def study_note(status: Status, stage: StageStudy) -> str:
    """The note of a stage's study: what it searches, how far it is, its front, and links."""
    plan = status.run.plan
    done = f"{stage.trials:,} of {stage.asked.trials:,} trials are done."
    up, *down = metrics(plan.search.objective)
    values = ", ".join((f"{up} (up)", *(f"{name} (down)" for name in down)))
    paragraphs = [
        f"## Stage {stage.number} of the {plan.search.strategy} search `{status.run.name}`",
        *_stages(status, stage),
        stage.asked.about,
        f"Values: {values}. Accuracy is measured with weights inherited from the supernet; FLOPs "
        "are multiply-accumulates (MACs) of one image. Limits: "
        f"{read_costs(status.run).words()}.",
        " ".join((done, *_handed_over(status, stage))),
        *_answer(status),
    ]
    if stage.front:
        paragraphs += _front(stage)
    return "\n\n".join(paragraphs) + "\n"


def _stages(status: Status, stage: StageStudy) -> Iterator[str]:
    """Links to all stages, if there are several."""
    if len(status.begun) > 1:
        links = (f"**{_name(one)}**" if one is stage else _link(one) for one in status.begun)
        yield "Stages: " + " → ".join(links)


def _name(stage: StageStudy) -> str:
    return f"stage {stage.number}, `{stage.name}`"


def _link(stage: StageStudy) -> str:
    return f"[{_name(stage)}]({_address(stage)})"


def _address(stage: StageStudy) -> str:
    """Of its page, as the dashboard's own."""
    return f"/dashboard/studies/{stage.study_id}"


def _trial(stage: StageStudy, number: int, name: str = "trial {}") -> str:
    """A link to the page of a trial, by its number."""
    return f"[{name.format(number)}]({_address(stage)}/trials?numbers={number})"


def _handed_over(status: Status, stage: StageStudy) -> Iterator[str]:
    """Sentences on the trial or front that a stage passed to another."""
    given = stage.marks.handoff
    for other in status.begun:
        if other.name == _begun_with(stage):
            yield f"Stage {other.number} begins with this stage's front."
        elif stage.name == _begun_with(other):
            yield f"This stage begins with the front of stage {other.number}, scored again."
        if given is not None and other.name == given.to:
            yield f"Stage {other.number} continues from {_trial(stage, given.trial)}."
        elif given is not None and other.name == given.giver:
            trial = _trial(other, given.trial)
            yield f"This stage continues from {trial} of stage {other.number}."


def winner_of(status: Status, stage: StageStudy) -> Record | None:
    """The trial of the search's winner, if it is one of this stage: the last."""
    if status.result is None or stage.number != len(status.stages):
        return None
    arch = status.result.winner.arch
    return next((record for record in stage.records if record.arch == arch), None)


def _answer(status: Status) -> Iterator[str]:
    """A sentence on the winner, with a link to its trial."""
    last = status.stages[-1]
    if status.result is not None and (record := winner_of(status, last)) is not None:
        accuracy, images = status.result.winner.test_accuracy, status.result.test_images
        yield (
            f"**The winner** is {_trial(last, record.number)} of stage {last.number}, "
            f"{drawn(record.arch)}: {accuracy:.4f} on {images:,} test images."
        )


def _begun_with(stage: StageStudy) -> str | None:
    """The study that begins with this one's front."""
    return stage.marks.front.to if stage.marks.front else None


def _hands_over(stage: StageStudy, record: Record) -> bool:
    """Whether a trial's architecture is in the front that a study handed over."""
    return stage.marks.front is not None and record.arch in stage.marks.front.archs


def _front(stage: StageStudy) -> Iterator[str]:
    best = sorted(stage.front, key=lambda record: -record.accuracy)[:SHOWN]
    timed = all(record.latency is not None for record in best)
    more = f", here the {SHOWN} most accurate" if len(stage.front) > SHOWN else ""
    yield f"### [The front]({_address(stage)}/trials?best=true): {len(stage.front)} trials{more}"
    numbers = ("trial", "accuracy", "MACs", *("ms",) * timed, "parameters")
    rows = (
        (
            _trial(stage, record.number, "{}"),
            f"{record.accuracy:.4f}",
            f"{record.macs:,}",
            *((f"{MEASURES['latency'].of(record):.4g}",) if timed else ()),
            f"{record.params:,}",
            drawn(record.arch),
        )
        for record in best
    )
    yield _table({**dict.fromkeys(numbers, "r"), "blocks": "l"}, rows)
    yield legend(record.arch for record in best)


def elite_note(
    status: Status, stage: StageStudy, record: Record, picture: Picture, drawing: str
) -> str:
    """The note of a trial on the front, or of the winner; `drawing` is the address of its
    picture."""
    points = (
        _score(status, stage, record),
        *_costs(status, record),
        *_alone(status, record),
        *_origin(status, stage, record),
    )
    paragraphs = [
        f"## {'The winner: trial' if _is_winner(status, record) else 'Trial'} {record.number}, "
        f"{'' if record in stage.front else 'not '}on the front of stage {stage.number}",
        *_stages(status, stage),
        f"![{drawn(record.arch)}]({drawing})",
        "\n".join(f"- {point}" for point in points),
        _blocks(picture),
        f"The whole front: [{len(stage.front)} trials]({_address(stage)}/trials?best=true).",
    ]
    return "\n\n".join(paragraphs) + "\n"


# Short lines: a trial's page is as wide as its longest attribute, and lines are not broken before.


def _score(status: Status, stage: StageStudy, record: Record) -> str:
    score = f"**{record.accuracy:.4f}**"
    if images := scoring_images(status.run):
        error = standard_error(record.accuracy, images, record.error)
        score += f" ± {error:.4f} on {images:,} held-out images, inherited weights"
        best = stage.best
        if best and record is not best and tied(record, best, images):
            score += f"; a tie with the best, {_trial(stage, best.number)}, at 95%"
    return score


def _costs(status: Status, record: Record) -> Iterator[str]:
    limits = read_costs(status.run)
    for measure in MEASURES.values():
        value, most = measure.of(record), limits.most(measure)
        if value is not None:
            share = "" if most is None else f", {value * measure.unit / most:.0%} of the budget"
            more = f"; {record.params:,} parameters" if measure.name == "macs" else ""
            yield f"**{measure.show(value)}**{share}{more}"


def _alone(status: Status, record: Record) -> Iterator[str]:
    if (result := status.result) is None:
        return
    for network in result.candidates:
        if network.arch == record.arch:
            yield f"trained alone: {network.accuracy:.4f} on held-out images"
    if _is_winner(status, record):
        accuracy = result.winner.test_accuracy
        yield f"the winner of the search: {accuracy:.4f} on {result.test_images:,} test images"


def _is_winner(status: Status, record: Record) -> bool:
    return status.result is not None and status.result.winner.arch == record.arch


def _origin(status: Status, stage: StageStudy, record: Record) -> Iterator[str]:
    given = stage.marks.handoff
    for other in status.begun:
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
