"""`modelkeep prompt ...`."""

import json
from pathlib import Path
from typing import Any

import click
import yaml

from modelkeep import client
from modelkeep.cli import evaluation_files, output, picking, session, settings, values

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOST_BYTES = 16 * 1024 * 1024


class NoPrompt(click.ClickException):
    """The version is no prompt; exit code 2, as for any wrong use."""

    exit_code = 2


@click.group()
def prompt() -> None:
    """Fill in the variables of prompts."""


@prompt.command()
@click.argument("ref")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="A variable's value.")
@click.option(
    "--vars", "path", type=_FILE, metavar="FILE", help="Values as JSON or YAML; --var wins."
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="How to print the result.",
)
@settings.connecting
@settings.pass_settings
def render(
    chosen: settings.Settings, /, *, ref: str, given: tuple[str, ...], path: Path | None, form: str
) -> None:
    """Print the messages of prompt REF with its variables filled in.

    A variable that has no value and a value that has no variable are errors, which name them.
    Values are put in as they are, here and not at the server. With -o json there are model,
    parameters, tools and response schema as well: what a program needs to call the model.
    """
    filled = {**(_read(path) if path else {}), **values.pairs("--var", given, str)}

    async def work(registry: client.Registry) -> tuple[client.Version, dict[str, Any]]:
        version = await picking.version(registry, ref)
        if not isinstance(version.spec, client.PromptSpec):
            raise NoPrompt(f"{version.ref} is no prompt: it has no messages.")
        return version, _document(version, version.spec, filled)

    _, document = session.run(chosen, work)
    if form == "text":
        click.echo("\n\n".join(_shown(message) for message in document["messages"]))
    else:
        output.emit(document, form, lambda: None)


def _read(path: Path) -> dict[str, str]:
    """The values of a file: a mapping of names to texts, numbers or truth values."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise evaluation_files.BadFile(f"{path} has more than 16 MiB.")
        document = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as failure:
        raise evaluation_files.BadFile(f"{path} is neither JSON nor YAML: {failure}.") from failure
    if not isinstance(document, dict):
        raise evaluation_files.BadFile(f"{path} is no mapping of names to values.")
    return {_name(path, name): _value(path, name, value) for name, value in document.items()}


def _name(path: Path, name: object) -> str:
    if not isinstance(name, str):
        raise evaluation_files.BadFile(f"{path}: {name!r} is not a name; quote it.")
    return name


def _value(path: Path, name: object, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise evaluation_files.BadFile(f"{path}: {name} is not a text; quote it.")


def _document(
    version: client.Version, spec: client.PromptSpec, filled: dict[str, str]
) -> dict[str, Any]:
    sampling = output.plain(spec.sampling)
    tools = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": _schema(tool.parameters_schema),
        }
        for tool in spec.tools
    ]
    return {
        "ref": version.ref,
        "digest": version.manifest_digest,
        "provider": spec.provider,
        "model": spec.hosted_model,
        "messages": output.plain(client.render_prompt(spec, filled)),
        "parameters": {name: value for name, value in sampling.items() if value not in (None, [])},
        "tools": tools,
        "response_schema": _schema(spec.response_schema),
    }


def _schema(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as failure:
        raise client.BadAnswer(f"The server sent a schema that is not JSON: {failure}.") from None


def _shown(message: dict[str, str]) -> str:
    return f"[{message['role']}]\n{message['content']}"
