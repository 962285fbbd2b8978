"""The documents: what they point at is there."""

from __future__ import annotations

import pkgutil
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from hnas import __version__
from hnas.cli.main import COMMANDS, load
from tests.support.newcomer import STEPS
from tests.support.rooms import draw, read
from tests.test_layers import ROOMS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


def test_there_are_documents() -> None:
    assert {"README.md", "docs/index.md"} < set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(root: Path, name: str) -> None:
    document = root / name
    links = re.findall(r"\]\(([^)#]+)", document.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "docs/cli.md"])
def test_commands_exist(root: Path, name: str) -> None:
    text = (root / name).read_text("utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    shell = re.findall(r"(?:^|[`$ /])(hnas|make) ([a-z]+)", code, re.MULTILINE)
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    known = {"hnas": set(COMMANDS), "make": targets}
    assert [(tool, word) for tool, word in shell if word not in known[tool]] == []


def typed(text: str) -> list[str]:
    """The commands in a page's blocks of code, and those between backquotes that have options."""
    blocks = "".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = blocks.replace("\\\n", " ").splitlines()
    inline = re.findall(r"(?<!`)`((?:hnas|python -m) [^`\n]*-[^`\n]*)`(?!`)", text)
    found = [re.sub(r"^(\$ )?([A-Z_]+=\S+ )*", "", line.strip()) for line in [*lines, *inline]]
    return [line for line in found if line.startswith(("hnas ", "python -m benchmarks."))]


def wrong(words: list[str], command: click.Command) -> list[str]:
    """What of the words after a command's name it would not take."""
    options = {o: p for p in command.params for o in (*p.opts, *p.secondary_opts) if o[0] == "-"}
    named = iter(words)
    found, others = [], 0
    for word in named:
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            others += 1
        elif name in options:
            flag = getattr(options[name], "is_flag", False)
            if not equals and not flag:
                next(named, None)
        elif name not in ("-h", "--help"):
            found.append(name)
    taken = [p.nargs for p in command.params if isinstance(p, click.Argument)]
    if -1 not in taken and others > sum(taken):
        found.append(f"{others} arguments of {sum(taken)}")
    return found


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "docs/cli.md"])
def test_commands_are_taken_as_they_stand(root: Path, name: str) -> None:
    """Every option that a page types is one of its command, and so many arguments are."""
    refused = []
    for line in typed((root / name).read_text("utf-8")):
        words = shlex.split(re.split(r" (?:\||>|&&?|;) ?| #", line)[0].replace("...", "x"))
        if words[0] == "python":
            files = (f"{words[2].replace('.', '/')}.py", "benchmarks/common.py")
            source = "".join((root / file).read_text("utf-8") for file in files)
            asked = {word.split("=")[0] for word in words if word.startswith("--")}
            missing = [option for option in asked if not re.search(f'"(--)?{option[2:]}"', source)]
        else:
            if words[1] not in COMMANDS:  # hnas --help; whether words are commands is tested above
                continue
            command, rest = load(words[1]), words[2:]
            if isinstance(command, click.Group):
                command, rest = command.commands[rest[0]], rest[1:]
            missing = wrong(rest, command)
        refused += [f"{line}: {', '.join(missing)}"] if missing else []
    assert refused == []


def test_a_page_names_every_command(root: Path) -> None:
    text = (root / "docs/using.md").read_text("utf-8")
    assert {name for name in COMMANDS if f"`hnas {name}" not in text} == set()


def test_the_newcomers_page_has_every_step_with_its_seconds(root: Path) -> None:
    """`make newcomer` has run the steps as they are."""
    text = (root / "docs/digits.md").read_text("utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    assert parts[1::2] == [step.title for step in STEPS]
    for step, part in zip(STEPS, parts[2::2], strict=True):
        assert f"\n\n{step.why}\n\n```\n{step.typed}\n```\n" in part
        assert ("```text\n" in part) == (step.shown > 0)
        assert re.search(rf"^\| {step.title} \| [\d,]+ \| [\d,]+ \|$", parts[0], re.MULTILINE)
    assert "/tmp" not in text


def test_the_index_names_every_page(root: Path) -> None:
    text = (root / "docs/index.md").read_text("utf-8")
    pages = {path.name for path in root.glob("docs/*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in text} == set()


def test_the_rooms_and_their_picture_are_up_to_date(root: Path) -> None:
    floors = read((root / "docs/architecture.md").read_text("utf-8"))
    drawn = (root / "docs/rooms.svg").read_text("utf-8")
    assert floors == {
        floor: {room: tuple(known.split()) for room, known in rooms.items()}
        for floor, rooms in ROOMS.items()
    }
    assert drawn == draw(floors), "draw it again: python -m tests.support.rooms"


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_code_that_is_named_is_there(root: Path, name: str) -> None:
    """Files by their path, or by their name within `tests` as in the table of CONTRIBUTING."""
    text = (root / name).read_text("utf-8")
    files = re.findall(r"`((?:hnas|studies|cli|tests|benchmarks|docs)/[\w./]+\.\w+)`", text)
    tests = re.findall(r"`(test_\w+\.py)`", text)
    missing = [file for file in files if not (root / file).exists()]
    missing += [file for file in tests if not list(root.glob(f"tests/**/{file}"))]
    missing += [at for at in re.findall(r"`(hnas(?:\.[a-z_]\w*)+)`", text) if find(at) is None]
    assert missing == []


def find(name: str) -> object | None:
    """What a dotted name leads to: a module, or what a module holds."""
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return None


def test_the_metadata_say_what_citation_and_changelog_say(root: Path) -> None:
    about = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    cited = (root / "CITATION.cff").read_text("utf-8")
    assert about["version"] == __version__
    assert f"keywords: [{', '.join(about['keywords'])}]" in cited
    assert [f'- name: "{one["name"]}"' in cited for one in about["authors"]] == [True]
    assert all(url in cited for url in about["urls"].values())
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.11"} < {*about["classifiers"]}
    versions = re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0].rstrip(",") == __version__


def test_the_citation_is_of_this_version(root: Path) -> None:
    text = (root / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in text
    assert "https://arxiv.org/abs/2107.02960" in text
