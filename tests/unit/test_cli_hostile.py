"""Whatever a server says, no verb lets it move the cursor, change colours or turn text round."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.text import Text
from support import hostile_registry

from modelkeep import client
from modelkeep.cli import main, safe_console, safe_text
from modelkeep.client import patience

LOCAL = {"dev", "serve", "migrate", "doctor", "import", "watch", "login", "logout", "completion"}
"""Verbs that ask no server, or that never end."""
MORE = {
    ("push",): ["{tmp}/content", "a/b@1.0.0"],
    ("eval", "push"): ["a/b@1.0.0", "{tmp}/none.json"],
    ("eval", "show"): [hostile_registry.NAMES["Evaluation"]],
    ("quota", "set"): ["a", "--stored", "1GiB"],
    ("model", "set"): ["a/b", "--description", "x"],
    ("env", "update"): ["a/x", "--description", "x"],
    ("regress",): ["a/b@1.0.0", "--dataset", "x"],
    ("sign",): ["a/b@1.0.0", "--key", "{tmp}/content"],
    ("trust", "add"): ["a", "x", "--key", "{tmp}/content"],
}
"""What some verbs are given beyond what must be."""
AS_IT_IS = {
    *{("cat",), ("sheet",), ("prompt", "render")},
    *{("audit", "export"), ("audit", "checkpoints")},
}
"""Verbs that write out, for files and programs, exactly what there is."""
WORDS = {
    "REF": "a/b@1.0.0",
    "REF...": "a/b@1.0.0 a/b@1.1.0",
    "MODEL": "a/b",
    "NAMESPACE": "a",
    "NAMESPACE[/MODEL]": "a/b",
    "[NAMESPACE[/MODEL]]": "a/b",
    "DESTINATION": "a/c",
    "NODE": "a/b@1.0.0",
    "SOURCE": "dataset:x@1",
    "TARGET": "a/b@1.0.0",
    "ID": hostile_registry.NAMES["Webhook"],
    "ID|DELIVERY": hostile_registry.NAMES["Webhook"],
    "DELIVERY": hostile_registry.NAMES["Delivery"],
    "NAME": hostile_registry.NAMES["Upload"],
    "DIR": "{tmp}/dir",
    "FILE": "{tmp}/file.zip",
    "PATH": "model.bin",
    "STAGE": "staging",
    "[FILTER]": "",
    "[RESULTS.json]": "",
    "url": "https://example.com/",
    "dataset": "x",
}


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path and path[0] in LOCAL:
        return
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from verbs(found, (*path, name))
    else:
        yield path


def command_of(path: tuple[str, ...]) -> click.Command:
    found: click.Command = main.modelkeep
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    return found


def typed(path: tuple[str, ...], tmp: Path) -> list[str]:
    if path in MORE:
        return [*path, *(word.format(tmp=tmp) for word in MORE[path])]
    words: list[str] = [*path]
    for parameter in command_of(path).params:
        word = WORDS.get(parameter.human_readable_name, "x").format(tmp=tmp)
        if isinstance(parameter.type, click.Choice):
            word = str(parameter.type.choices[0])
        if isinstance(parameter, click.Argument):
            words += word.split()
        elif parameter.required:
            words += [parameter.opts[0], word]
    return words


VERBS = list(verbs(main.modelkeep))


def harmful(shown: str) -> list[str]:
    return [char for char in shown if not char.isprintable() and char not in "\n\t"]


@pytest.fixture(scope="module")
def endpoints() -> Iterator[dict[str, str]]:
    """Servers that do everything badly, each in its own way."""
    with (
        hostile_registry.serving() as names,
        hostile_registry.serving(names=False) as nothing,
        hostile_registry.serving(failing=True) as failing,
        hostile_registry.serving(odd="instants") as instants,
        hostile_registry.serving(odd="words") as words,
    ):
        yield {
            "names": names,
            "nothing": nothing,
            "failing": failing,
            "instants": instants,
            "words": words,
        }


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Some verbs write a file that -o names."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_self: object, failure: client.RegistryError) -> None:
        raise failure

    monkeypatch.setattr(patience.Patience, "after", at_once)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("server", "form"),
    [
        *(("names", form) for form in ("table", "json", "yaml")),
        *(("nothing", form) for form in ("table", "json")),
        *((server, "table") for server in ("failing", "instants", "words")),
    ],
)
@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_what_is_shown_is_printable(
    endpoints: dict[str, str],
    path: tuple[str, ...],
    server: str,
    form: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "content").write_text("x")
    words = typed(path, tmp_path)
    offered = {name for one in command_of(path).params for name in one.opts}
    if "-o" in offered and form != "table":
        words += ["-o", form]
    elif form != "table":
        return
    run = CliRunner().invoke(
        main.modelkeep, ["--endpoint", endpoints[server], "-v", *words], input="y\n"
    )
    assert run.exception is None or isinstance(run.exception, SystemExit), (words, run.exc_info)
    shown = run.stderr if path in AS_IT_IS else run.output
    assert not harmful(shown), (words, shown)


@pytest.mark.parametrize(
    ("server", "words", "said"),
    [
        ("names", "audit export a", "What the server sent is no line of an audit export"),
        ("names", "prompt render a/b@1.0.0", "The server sent a schema that is not JSON"),
        ("instants", "show a/b@1.0.0", "The server answered with an instant that no calendar has"),
        ("words", "role ls a", "The server answered with a Role that this client does not know"),
    ],
)
def test_an_answer_that_cannot_be_read_is_one_clear_line(
    endpoints: dict[str, str], server: str, words: str, said: str
) -> None:
    run = CliRunner().invoke(main.modelkeep, ["--endpoint", endpoints[server], *words.split()])
    assert (run.exit_code, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"error: {said}")


def test_most_verbs_show_something() -> None:
    """Else the walk would prove little."""
    assert len(VERBS) > 40


def test_a_terminal_gets_our_styles_and_nothing_else() -> None:
    shown = io.StringIO()
    console = safe_console.Console(
        file=shown, force_terminal=True, color_system="standard", width=400
    )
    evil = hostile_registry.EVIL
    for drawing in (evil, f"[bold]{evil}[/]", "[link=https://example.com]x[/link]", Text(evil)):
        console.print(drawing)
    console.print("[bold]fine[/]")
    assert "\x1b[1mfine\x1b[0m" in shown.getvalue()
    assert not harmful(re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()))
    assert "]8;" not in shown.getvalue()
    assert "\x1b[31m" not in shown.getvalue()


def test_json_means_the_same_when_it_is_harmless() -> None:
    text = safe_text.escaped(json.dumps({hostile_registry.EVIL: "\U000e0001é"}, ensure_ascii=False))
    assert not harmful(text)
    assert "é" in text
    assert json.loads(text) == {hostile_registry.EVIL: "\U000e0001é"}
