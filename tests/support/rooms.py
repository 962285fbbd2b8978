"""Draw docs/rooms.svg from the tables of rooms in docs/architecture.md:

python -m tests.support.rooms

A room stands to the right of the rooms that it imports. An arrow that follows from others is
left out of the picture; the line that is printed for each floor counts it.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
Rooms = dict[str, tuple[str, ...]]
"""For each room of a floor the rooms of this floor that it may import."""

WIDTH, HEIGHT, ACROSS, DOWN, LEFT, HEAD = 90, 26, 110, 40, 12, 30
FILLS = {"cli": "#e6e0f3", "studies": "#fbe3cf", "hnas": "#d3e6f5"}
KNOWS = {"cli": "click, rich", "studies": "Optuna", "hnas": "torch, numpy"}


def read(text: str) -> dict[str, Rooms]:
    """The floors of the page, highest first, with their rooms."""
    tables = text.partition("<!-- rooms -->")[2].partition("<!-- /rooms -->")[0]
    floors: dict[str, Rooms] = {}
    for line in tables.splitlines():
        if heading := re.match(r"### `(\w+)/`", line):
            floors[heading[1]] = {}
        elif row := re.match(r"\| `(\w+)` \|.*\| ([\w ,]*?) *\|$", line):
            floors[[*floors][-1]][row[1]] = tuple(re.findall(r"\w+", row[2]))
    return floors


def below(rooms: Rooms, room: str) -> set[str]:
    """All rooms that a room stands on."""
    return {other for one in rooms[room] for other in (one, *below(rooms, one))}


def arrows(rooms: Rooms) -> list[tuple[str, str]]:
    """Who imports whom, without the arrows that follow from others."""
    return [
        (room, one)
        for room, known in rooms.items()
        for one in known
        if not any(one in below(rooms, other) for other in known)
    ]


def places(rooms: Rooms) -> dict[str, tuple[int, int]]:
    """Column and row of each room: one column right of the last that it imports."""
    column: dict[str, int] = {}
    for room in sorted(rooms, key=lambda room: len(below(rooms, room))):
        column[room] = max((column[one] + 1 for one in rooms[room]), default=0)
    found: dict[str, tuple[int, int]] = {}
    for room in rooms:
        found[room] = (column[room], [at[0] for at in found.values()].count(column[room]))
    return found


def draw(floors: dict[str, Rooms]) -> str:
    """The picture: a band a floor, the floor that imports the others on top."""
    parts, top, right = [], 0, 0
    for floor, rooms in floors.items():
        at = {
            room: (LEFT + ACROSS * x, top + HEAD + DOWN * y)
            for room, (x, y) in places(rooms).items()
        }
        bottom = max(y for _, y in at.values()) + DOWN
        right = max(right, *(x + WIDTH + LEFT for x, _ in at.values()))
        parts.append(
            f'<rect y="{top}" width="100%" height="{bottom - top}" fill="{FILLS[floor]}"/>'
        )
        words = f'<tspan font-weight="bold">{floor}/</tspan> knows {KNOWS[floor]}'
        parts.append(f'<text x="{LEFT}" y="{top + 19}">{words}</text>')
        parts.extend(_line(at[room], at[one]) for room, one in arrows(rooms))
        parts.extend(_box(room, *place) for room, place in at.items())
        top = bottom + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {top - 8}" '
            f'width="{right}" font-family="sans-serif" font-size="13">',
            '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>',
            *parts,
            "</svg>\n",
        ]
    )


def _line(room: tuple[int, int], imported: tuple[int, int]) -> str:
    """An arrow; past other rooms it runs between two rows."""
    x, y, to_x, to_y = room[0], room[1] + 13, imported[0] + WIDTH, imported[1] + 13
    between = max(room[1], imported[1]) - 7 if x - to_x > ACROSS else None
    middle = f" {x - 6} {between} {to_x + 10} {between}" if between else ""
    style = 'fill="none" stroke="#000" marker-end="url(#tip)"'
    return f'<path d="M{x} {y}{middle} {to_x + 1} {to_y}" {style}/>'


def _box(room: str, x: int, y: int) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="#fff" '
        f'stroke="#444"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + 17}" text-anchor="middle">{room}</text>'
    )


if __name__ == "__main__":
    page = (DOCS / "architecture.md").read_text("utf-8")
    floors = read(page)
    (DOCS / "rooms.svg").write_text(draw(floors), "utf-8")
    for floor, rooms in floors.items():
        deep = 1 + max(column for column, _ in places(rooms).values())
        print(f"{floor}: {len(rooms)} rooms, {deep} deep, {sum(map(len, rooms.values()))} arrows")
