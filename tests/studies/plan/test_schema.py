"""The JSON schema of plans, by a validator of the few words that it uses."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hnas.cli.main import hnas
from hnas.errors import InputError
from hnas.studies.plan.change import with_values
from hnas.studies.plan.schema import EXAMPLES, WORDS, schema
from hnas.studies.plan.text import commented
from hnas.studies.plan.toml import PRESETS, load_preset, preset_text

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
}


def wrong(value: Any, rule: dict[str, Any], at: str = "") -> list[str]:
    """What of a value breaks a schema, by name."""
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    allowed = tuple(kind for name in kinds for kind in KINDS[name])
    if type(value) not in allowed:
        return [f"{at}: {value!r} is none of {kinds}"]
    if "enum" in rule and value not in rule["enum"]:
        return [f"{at}: {value!r} is none of {rule['enum']}"]
    if isinstance(value, list):
        return [error for one in value for error in wrong(one, rule["items"], at)]
    if not isinstance(value, dict):
        return []
    errors = [f"{at}.{name} is missing" for name in rule["required"] if name not in value]
    for name, one in value.items():
        known = rule["properties"].get(name)
        errors += (
            [f"{at}.{name} is unknown"] if known is None else wrong(one, known, f"{at}.{name}")
        )
    return errors


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_as_it_is_written_and_with_all_defaults(name: str) -> None:
    for text in (preset_text(name), commented(load_preset(name))):
        assert wrong(tomllib.loads(text), schema()) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("batch = 128", "batsh = 128"), ".stage1.training.batsh is unknown"),
        (("epochs = 60", 'epochs = "60"'), ".stage1.training.epochs: '60' is none of ['integer']"),
        (("channels = 1\n", ""), ".net.channels is missing"),
        (('pool = "mean"', 'pool = "max"'), ".net.pool: 'max' is none of ['class', 'mean']"),
        (("d_k = [24, 48, 96]", "d_k = 24"), ".stage2.d_k: 24 is none of ['array']"),
    ],
)
def test_a_mistake_does_not_fit(change: tuple[str, str], error: str) -> None:
    text = preset_text("digits")
    assert change[0] in text
    assert wrong(tomllib.loads(text.replace(*change, 1)), schema()) == [error]


def keys(rule: dict[str, Any], at: str = "") -> dict[str, dict[str, Any]]:
    """All keys of a plan with their rules."""
    found = {}
    for name, one in rule["properties"].items():
        found |= keys(one, f"{at}{name}.") if "properties" in one else {f"{at}{name}": one}
    return found


OPEN = {"search.sampler", "stage1.sampler", "stage2.sampler", "score.metric", "search.latency"}
"""Keys that take other words besides: `module:function`, a time."""


def test_words_are_those_that_a_plan_takes() -> None:
    """A plan that refuses a word names those that it takes."""
    known, digits = keys(schema()), load_preset("digits")
    for key, rule in known.items():
        if rule["type"] != "string" or key in OPEN:
            continue
        try:
            with_values(digits, {key: "nonsense"})
        except InputError as error:
            told = re.split(r"must be|Known:", str(error))[1].split(", got")[0]
            words = set(re.findall(r"[a-z][\w-]*", told)) - {"one", "of", "or"}
            assert set(rule.get("enum", ())) == words, f"{key}: {error}"
        else:
            assert "enum" not in rule, key
    ends = {".".join(key.split(".")[-2:]) for key in known}
    assert ends >= {*WORDS, *EXAMPLES}


def test_keys_say_what_they_mean_and_their_default() -> None:
    known = keys(schema())
    assert known["stage1.training.lr"]["description"].startswith("Peak learning rate")
    assert known["stage2.training.lr"]["default"] == 1e-3
    assert known["search.flops"]["type"] == ["integer", "string"]
    undescribed = {key for key, rule in known.items() if "description" not in rule}
    assert {key.split(".")[0] for key in undescribed} <= {"stage2", "handoff"}, undescribed


def test_one_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(hnas, ["init", "--schema"], catch_exceptions=False)
    assert result.stdout == (
        "Wrote plan.schema.json. First line of a plan beside it: #:schema ./plan.schema.json\n"
    )
    assert json.loads(Path("plan.schema.json").read_text("utf-8")) == schema()
    assert [path.name for path in tmp_path.iterdir()] == ["plan.schema.json"]
    assert CliRunner().invoke(hnas, ["init", "--schema"]).exit_code == 2
