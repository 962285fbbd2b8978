"""`hnas cost` and `hnas space`: what architectures cost, and how many there are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hnas.architecture.arch import FIELDS, Arch
from hnas.architecture.space import Frame, Space
from hnas.cli.screen.options import plan_options
from hnas.cli.screen.render import about, arch_drawing, console, legend, table
from hnas.cost.conventions import CONVENTIONS, macs_by_part
from hnas.cost.flops import block_cost, cheapest, dearest, shared_cost
from hnas.cost.flops import cost as network_cost
from hnas.errors import InputError
from hnas.studies.plan.plan import Plan


def read_arch(value: str, frame: Frame, origin: str) -> Arch:
    """The architecture that `--arch` names: `all-global`, JSON, or a file of JSON.

    Raises InputError where it cannot be read or does not fit the frame of the plan from `origin`.
    """
    if value == "all-global":
        return frame.all_global()
    text = value
    if not value.lstrip().startswith("{"):
        try:
            text = Path(value).read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(
                f"--arch takes a file, JSON text or all-global; {value!r} cannot be read: {reason}"
            ) from None
    try:
        arch = Arch.from_json(text)
        frame.check_arch(arch)
    except InputError as error:
        raise InputError(f"--arch with the {origin}: {error}") from None
    return arch


@click.command()
@plan_options
@click.option(
    "--arch",
    "value",
    required=True,
    metavar="FILE|JSON|all-global",
    help='A file, or text such as {"blocks": [{"G": 3, "L": 0, "d_k": 48, "d_z": 4}, ...]}.',
)
@click.option(
    "--convention",
    type=click.Choice(CONVENTIONS),
    default="exact",
    help="Of MACs: exact, as the authors' release of GLiT counts, or as thop does [exact].",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def cost(plan: Plan, origin: str, value: str, convention: str, as_json: bool) -> None:
    """Count what an architecture costs.

    Multiply-accumulates of one image (what vision papers call FLOPs) and parameters, for each
    block and in all, in the network of a preset or plan.

    By --convention glit a local head's first pointwise convolution counts once, though its GLU
    doubles it; by thop, which is run, attention's products count nothing and norms 4 a number.

    \b
    Examples:
      hnas cost --arch all-global
      hnas cost --preset glit-tiny --arch docs/glit-tiny.json --convention glit
    """
    frame = plan.net
    arch = read_arch(value, frame, origin)
    if not as_json:
        cost_table(frame, arch, origin, convention)
        return
    macs = macs_by_part(frame, arch, convention)
    rows = [
        {**row, "macs": count, "params": block_cost(frame, block).params}
        for row, block, count in zip(arch.to_dict()["blocks"], arch.blocks, macs[:-1], strict=True)
    ]
    shown = {
        "local": frame.local,
        "convention": convention,
        "macs": sum(macs),
        "params": network_cost(frame, arch).params,
        "blocks": rows,
        "shared": {"macs": macs[-1], "params": shared_cost(frame).params},
    }
    click.echo(json.dumps(shown))


def cost_table(frame: Frame, arch: Arch, origin: str, convention: str = "exact") -> None:
    """Prints what each block is and costs, and the network in all, under a drawing of it."""
    macs = macs_by_part(frame, arch, convention)
    head = "MACs" if convention == "exact" else f"MACs ({convention})"
    unused = (None,) * len(FIELDS)
    about_it = f"({origin}, local head {frame.local})"
    console().print(f"{arch_drawing(arch)}   {legend()}   {about_it}", markup=False)
    table(
        ("block", *FIELDS, head, "params"),
        [
            *(
                (
                    f"{i}",
                    *(getattr(block, name) for name in FIELDS),
                    macs[i],
                    block_cost(frame, block).params,
                )
                for i, block in enumerate(arch.blocks)
            ),
            ("shared", *unused, macs[-1], shared_cost(frame).params),
            ("total", *unused, sum(macs), network_cost(frame, arch).params),
        ],
    )


@click.command()
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def space(plan: Plan, origin: str, as_json: bool) -> None:
    """Count the architectures of a search.

    For stage 1 and for the whole space: the paper's count of index tuples, how many of them are
    distinct architectures, and the fewest and most multiply-accumulates of one image.

    \b
    Examples:
      hnas space
      hnas space --preset glit-tiny --json
    """
    counts = {"stage1": _counts(plan.space1()), "whole": _counts(plan.space2())}
    if as_json:
        click.echo(json.dumps({"local": plan.net.local, **counts, "budget_macs": plan.budget()}))
        return
    budget = f"budget {plan.budget():,} MACs, local head {plan.net.local}"
    console().print(f"{origin}: {budget}", markup=False)
    table(
        ("space", "", "exact", "about"),
        [
            (
                name,
                what.replace("_", " ").replace("macs", "MACs"),
                number,
                about(number) if number >= 10**6 else None,
            )
            for name, numbers in counts.items()
            for what, number in numbers.items()
        ],
    )


def _counts(space: Space) -> dict[str, int]:
    return {
        "index_tuples": space.index_tuples,
        "distinct": space.distinct,
        "smallest_macs": network_cost(space.frame, cheapest(space)).macs,
        "largest_macs": network_cost(space.frame, dearest(space)).macs,
    }
