"""Reading a prompt/LLM configuration from a YAML file.

provider: vllm
model: qwen2.5-7b-instruct
messages:
  - {role: system, content: "You sort tickets of {{company}}."}
  - {role: user, content: "{{ticket}}"}
parameters: {temperature: 0.2, top_p: 0.9, max_tokens: 512, stop: ["END"], seed: 7}
tools:
  - {name: look_up, description: "Find a ticket.", parameters: {type: object}}
response_schema: {type: object}
variables: [company, ticket]     # taken from the messages if left out
"""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelkeep.client import errors, specs

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TOP = (
    "provider",
    "model",
    "messages",
    "parameters",
    "tools",
    "response_schema",
    "variables",
)
_SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed")
_MESSAGE = ("role", "content")
_TOOL = ("name", "description", "parameters")


def read_prompt_file(path: Path | str) -> specs.PromptSpec:
    """The prompt configuration in that YAML file.

    Raises:
        InvalidRequest: it is not one; the message names the key, and the nearest known one if
            the key is not known.
        OSError: it cannot be read.
    """
    return parse(Path(path).read_bytes(), str(path))


def parse(text: bytes | str, origin: str) -> specs.PromptSpec:
    """The prompt configuration in a YAML text; `origin` names it in errors."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as failure:
        raise _bad(origin, f"it is not YAML: {failure}") from failure
    return _Reader(origin).prompt(document)


class _Reader:
    """Checks shape and words; formats and limits are the server's to check."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def prompt(self, document: object) -> specs.PromptSpec:
        top = self._mapping(document, "the file", _TOP, required=("provider", "model", "messages"))
        messages = self._messages(top["messages"])
        return specs.PromptSpec(
            provider=self._text(top["provider"], "provider"),
            hosted_model=self._text(top["model"], "model"),
            messages=messages,
            variables=self._variables(top.get("variables"), messages),
            sampling=self._sampling(top.get("parameters")),
            tools=self._tools(top.get("tools")),
            response_schema=self._schema(top.get("response_schema"), "response_schema"),
        )

    def _messages(self, value: object) -> tuple[specs.PromptMessage, ...]:
        messages = []
        for place, entry in self._entries(value, "messages"):
            message = self._mapping(entry, place, _MESSAGE, required=_MESSAGE)
            role = self._text(message["role"], f"{place}.role")
            content = self._text(message["content"], f"{place}.content")
            messages.append(specs.PromptMessage(role, content))
        return tuple(messages)

    def _variables(
        self, value: object, messages: Collection[specs.PromptMessage]
    ) -> tuple[str, ...]:
        if value is None:
            found = (_VARIABLE.findall(message.content) for message in messages)
            return tuple(dict.fromkeys(name for names in found for name in names))
        return tuple(self._text(entry, place) for place, entry in self._entries(value, "variables"))

    def _sampling(self, value: object) -> specs.Sampling:
        if value is None:
            return specs.Sampling()
        given = self._mapping(value, "parameters", _SAMPLING)
        stop = given.get("stop") or []
        stops = [stop] if isinstance(stop, str) else stop
        return specs.Sampling(
            temperature=self._number(given, "temperature"),
            top_p=self._number(given, "top_p"),
            max_tokens=self._whole(given, "max_tokens"),
            stop=tuple(
                self._text(entry, place) for place, entry in self._entries(stops, "parameters.stop")
            ),
            seed=self._whole(given, "seed"),
        )

    def _tools(self, value: object) -> tuple[specs.PromptTool, ...]:
        if value is None:
            return ()
        tools = []
        for place, entry in self._entries(value, "tools"):
            tool = self._mapping(entry, place, _TOOL, required=("name",))
            name = self._text(tool["name"], f"{place}.name")
            description = self._text(tool.get("description") or "", f"{place}.description")
            schema = self._schema(tool.get("parameters"), f"{place}.parameters")
            tools.append(specs.PromptTool(name, description, schema))
        return tuple(tools)

    def _schema(self, value: object, place: str) -> str:
        """JSON text of a schema that may be written as YAML or as JSON text."""
        if value is None or isinstance(value, str):
            return value or ""
        if not isinstance(value, Mapping):
            raise _bad(self._origin, f"{place} must be a JSON Schema")
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _mapping(
        self, value: object, place: str, known: tuple[str, ...], required: tuple[str, ...] = ()
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise _bad(self._origin, f"{place} must have the keys {', '.join(known)}")
        for key in value:
            if key not in known:
                raise _bad(self._origin, _unknown(place, key, known))
        for key in required:
            if value.get(key) is None:
                raise _bad(self._origin, f"{place} lacks the key {key!r}")
        return value

    def _entries(self, value: object, place: str) -> list[tuple[str, object]]:
        if not isinstance(value, list):
            raise _bad(self._origin, f"{place} must be a list")
        return [(f"{place}[{index}]", entry) for index, entry in enumerate(value)]

    def _text(self, value: object, place: str) -> str:
        if not isinstance(value, str):
            raise _bad(self._origin, f"{place} must be text, not {value!r}; quote it")
        return value

    def _number(self, given: Mapping[str, Any], key: str) -> float | None:
        value = given.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad(self._origin, f"parameters.{key} must be a number, not {value!r}")
        return float(value)

    def _whole(self, given: Mapping[str, Any], key: str) -> int | None:
        value = given.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise _bad(self._origin, f"parameters.{key} must be a whole number, not {value!r}")
        return value


def _unknown(place: str, key: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
    return f"{place} has the unknown key {key!r}; did you mean {near[0]!r}?"


def _bad(origin: str, fault: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"{origin} is not a prompt configuration: {fault}.", reason="BAD_PROMPT_FILE"
    )
