"""A model card: what an exported network is, how good, how large, and how to use it, as Markdown
with the head that model hubs read."""

from pathlib import Path

from hnas import __version__
from hnas.persist.words import few
from hnas.settings import METRICS
from hnas.studies.figures.glyphs import drawn, legend
from hnas.studies.run.folder import Run
from hnas.studies.run.result import finished_result

SHOWN = 20
"""Most classes that are named."""


def card(run: Run, name: str) -> str:
    """The card of a finished run's winner, whose files are called `name`. Raises StateError if the
    search is not finished."""
    result, plan = finished_result(run), run.plan
    winner, inputs, data = result.winner, result.inputs, Path(plan.data.source).name
    metric = METRICS.get(result.metric, result.metric)
    colour = "colour" if inputs.channels == 3 else "grey"
    rows = [
        f"| {what} | {one.test_accuracy or 0.0:.4f} ± {result.standard_error(one) or 0.0:.4f} | "
        f"{one.macs:,} | {one.params:,} |"
        for what, one in (("this network", winner), ("all-global (a ViT)", result.all_global))
    ]
    simple = [
        f"| {one.name.replace('|', '/')} | {one.test_accuracy:.4f} | | |"
        for one in sorted(result.baselines, key=lambda one: -one.test_accuracy)[:1]
    ]
    lines = [
        "---",
        "library_name: pytorch",
        "pipeline_tag: image-classification",
        "tags: [image-classification, neural-architecture-search, glit, hnas]",
        "---",
        "",
        f"# {name}",
        "",
        f"A Global-Local image Transformer (GLiT, arXiv 2107.02960) for {len(inputs.classes)} "
        f"classes of {colour} images, {inputs.image} x {inputs.image} pixels: "
        f"{few(inputs.classes, SHOWN)}.",
        "",
        f"Its architecture was found by hnas {__version__} on the images of {data}. "
        f"{len(winner.arch.blocks)} blocks: {drawn(winner.arch)}. {legend([winner.arch])}",
        "",
        f"| on {result.test_images:,} test images | {metric} | MACs | parameters |",
        "|---|---|---|---|",
        *rows,
        *simple,
        "",
        result.verdict(),
        "",
        "## Use",
        "",
        "```python",
        *_imported(name),
        "",
        "model = load()",
        'logits = model(model.normalise(model.open("photo.jpg")[None]))',
        "print(model.classes[logits.argmax()])",
        "```",
        "",
        "## Limits",
        "",
        "Test images come from the same source as training images: on others expect less. Images "
        "that show none of the classes get one of them all the same.",
    ]
    return "\n".join(lines) + "\n"


def _imported(name: str) -> tuple[str, ...]:
    """The lines of Python that import `load`; `my-net.py` is no name of an import statement."""
    if name.isidentifier():
        return (f"from {name} import load",)
    return ("from importlib import import_module", "", f'load = import_module("{name}").load')
