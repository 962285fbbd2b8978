"""`hnas cost` and `hnas space`: the cost of an architecture, and the number of them."""

import json
from pathlib import Path

import click

from hnas.architecture.arch import FIELDS, Arch
from hnas.architecture.space import Frame, Space
from hnas.cli.screen import options
from hnas.cli.screen.render import about, arch_drawing, legend, table
from hnas.cost.conventions import CONVENTIONS, macs_by_part
from hnas.cost.flops import Cost, block_cost, cheapest, dearest, shared_cost
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
@options.plan_options
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
    help="Way to count MACs: exactly, as the authors' release of GLiT, or as thop.",
)
@options.json
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
    *blocks, shared, total = _costs(frame, arch, convention)
    sizes = arch.to_dict()["blocks"]
    shown = {
        **_kinds(frame),
        "convention": convention,
        **vars(total),
        "blocks": [size | vars(spent) for size, spent in zip(sizes, blocks, strict=True)],
        "shared": vars(shared),
    }
    click.echo(json.dumps(shown))


def cost_table(frame: Frame, arch: Arch, origin: str, convention: str = "exact") -> None:
    """Prints a drawing of the network, then sizes and cost of each block and the total."""
    head = "MACs" if convention == "exact" else f"MACs ({convention})"
    click.echo(f"{arch_drawing(arch)}   {legend([arch])}   ({origin}, {_made_of(frame)})")
    names = (*map(str, range(len(arch.blocks))), "shared", "total")
    sizes = [[getattr(block, name) for name in FIELDS] for block in arch.blocks]
    sizes += [[None] * len(FIELDS)] * 2
    rows = zip(names, sizes, _costs(frame, arch, convention), strict=True)
    table(
        ("block", *FIELDS, head, "params"),
        [(name, *size, spent.macs, spent.params) for name, size, spent in rows],
    )


def _kinds(frame: Frame) -> dict[str, str]:
    return {"local": frame.local, "stem": frame.stem, "pool": frame.pool}


def _made_of(frame: Frame) -> str:
    return "local head {local}, stem {stem}, pool {pool}".format_map(_kinds(frame))


def _costs(frame: Frame, arch: Arch, convention: str) -> list[Cost]:
    """The cost of each block, of all that networks share, and of the network."""
    macs = macs_by_part(frame, arch, convention)
    params = [block_cost(frame, block).params for block in arch.blocks]
    params.append(shared_cost(frame).params)
    return [*map(Cost, macs, params), Cost(sum(macs), sum(params))]


@click.command()
@options.plan_options
@options.json
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
    convention = plan.search.convention
    if as_json:
        budget = {"budget_macs": plan.budget(), "budget_convention": convention}
        click.echo(json.dumps({**_kinds(plan.net), **counts, **budget}))
        return
    macs = "MACs" if convention == "exact" else f"MACs ({convention})"
    click.echo(f"{origin}: budget {plan.budget():,} {macs}, {_made_of(plan.net)}")
    rows = []
    for name, numbers in counts.items():
        for what, number in numbers.items():
            words = what.replace("_", " ").replace("macs", "MACs")
            rows.append((name, words, number, about(number) if number >= 10**6 else None))
    table(("space", "", "exact", "about"), rows)


def _counts(space: Space) -> dict[str, int]:
    return {
        "index_tuples": space.index_tuples,
        "distinct": space.distinct,
        "smallest_macs": network_cost(space.frame, cheapest(space)).macs,
        "largest_macs": network_cost(space.frame, dearest(space)).macs,
    }
