"""The examples for continuous integration are YAML, and each of their commands can be typed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from modelkeep.cli import main

CI = Path(__file__).parents[2] / "docs" / "ci"
EXAMPLES = sorted(CI.glob("*.yml"))
VALUES = {
    "MODEL": "acme/chatbot",
    "REF": "acme/chatbot@1.3.0",
    "DATASET": "satisfaction@2026-10",
    "GITHUB_SHA": "0123abc",
    "CI_COMMIT_SHA": "0123abc",
    "GITHUB_STEP_SUMMARY": "summary.md",
    "GITHUB_ENV": "env",
}
_ENDS = {"|", "&&", ";", ">", ">>"}
WANTED = {"push", "regress", "gates check", "promote"}


def scripts(document: Any) -> Iterator[str]:
    """Every shell script of a workflow, whoever's it is."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in {"run", "script", "before_script"}:
                yield from [value] if isinstance(value, str) else value
            else:
                yield from scripts(value)
    elif isinstance(document, list):
        for entry in document:
            yield from scripts(entry)


def commands(path: Path) -> list[list[str]]:
    """The words of every `modelkeep` command, variables filled in."""
    found = []
    for script in scripts(yaml.safe_load(path.read_text())):
        for line in script.replace("\\\n", " ").splitlines():
            if not line.strip().startswith("modelkeep "):
                continue
            filled = re.sub(r"\$\{?(\w+)\}?", lambda one: VALUES[one[1]], line)
            words = shlex.split(filled)[1:]
            end = next((n for n, word in enumerate(words) if word in _ENDS), len(words))
            found.append(words[:end])
    return found


def parse(words: list[str]) -> str:
    """Read the words as the command line would, and do nothing; which verb they are."""
    command: click.Command = main.modelkeep
    parent: click.Context | None = None
    verb: list[str] = []
    rest = list(words)
    while isinstance(command, click.Group):
        parent = click.Context(command, parent=parent, info_name=rest[0])
        name, found, rest = command.resolve_command(parent, rest)
        assert found is not None
        verb.append(str(name))
        command = found
    command.make_context(verb[-1], rest, parent=parent)
    return " ".join(verb)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_command_of_an_example_can_be_typed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("prompt.yaml", "results.json"):
        (tmp_path / name).write_text("{}")
    verbs = [parse(words) for words in commands(path)]
    assert set(verbs) >= WANTED
    assert verbs.index("push") < verbs.index("gates check") < len(verbs) - 1
    assert verbs[-1] == "promote"


def test_both_examples_name_no_host_of_anybody() -> None:
    assert len(EXAMPLES) == 2
    for path in EXAMPLES:
        hosts = re.findall(r"https?://([^/:\s]+)", path.read_text())
        assert set(hosts) == {"registry.example.com"}


def test_an_option_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["recommend", "acme/chatbot", "--frm", "production"])
