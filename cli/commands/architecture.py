"""`hnas cost` and `hnas space`: the cost of an architecture, and the number of them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hnas.architecture.arch import FIELDS, Arch
from hnas.architecture.space import Frame, Space
from hnas.cli.screen.options import json_option, plan_options
from hnas.cli.screen.render import about, arch_drawing, console, legend, table
from hnas.cost.conventions import CONVENTIONS, macs_by_part
from hnas.cost.flops import block_cost, cheapest, dearest, shared_cost
from hnas.cost.flops import cost as network_cost
from hnas.errors import InputError
from hnas.studies.plan.plan import Plan


def read_arch(value: str, frame: Frame, origin: str) -> Arch:
    """The architecture that `--arch` names: `all-global`, JSON, or a file of JSON.

    Raises InputError if it cannot be read or does not fit the frame of the plan from `origin`.
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
    help="The architecture: a file, or text such as "
    '{"blocks": [{"G": 3, "L": 0, "d_k": 48, "d_z": 4}, ...]}.',
)
@click.option(
    "--convention",
    type=click.Choice(CONVENTIONS),
    default="exact",
    show_default=True,
    help="Way to count MACs: exactly, as the authors' release of GLiT, or as thop.",
)
@json_option
def cost(plan: Plan, origin: str, value: str, convention: str, as_json: bool) -> None:
    """Count the MACs and parameters of an architecture.

    MACs are multiply-accumulates of one image, which vision papers call FLOPs. The table has them
    and the parameters for each block and in all, in the network of a preset or plan.

    --convention glit counts the first pointwise convolution of a local head once, though its GLU
    doubles it. --convention thop runs thop, which counts nothing for the products of attention and
    4 for each number of a norm.

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
    """Prints a drawing of the network, then sizes and cost of each block and the total."""
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
@json_option
def space(plan: Plan, origin: str, as_json: bool) -> None:
    """Count the architectures that a search chooses from.

    The table has, for stage 1 and for the whole space, the paper's count of index tuples, the
    number of distinct architectures among them, and the fewest and most multiply-accumulates (MACs)
    of one image.

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
