"""Rendering prompts: values for variables in, messages out; nothing in them is ever executed.

It happens here and not at the server, so that the values, which may be about people, stay here.
"""

import re
from collections.abc import Iterable, Mapping

from modelkeep.client import errors, specs

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,127})\s*\}\}")


def render_prompt(
    spec: specs.PromptSpec, values: Mapping[str, str]
) -> tuple[specs.PromptMessage, ...]:
    """The prompt's messages with each `{{name}}` replaced by its value.

    A value is put in as it is: what looks like a variable in it stays text.

    Raises:
        InvalidRequest: a variable has no value, or there is no such variable; names all of them.
    """
    missing = [name for name in spec.variables if name not in values]
    unknown = [name for name in values if name not in spec.variables]
    if missing or unknown:
        raise errors.InvalidRequest(_faults(missing, unknown, spec), reason="BAD_PROMPT_VARIABLES")
    return tuple(
        specs.PromptMessage(
            message.role, _PLACEHOLDER.sub(lambda found: values[found[1]], message.content)
        )
        for message in spec.messages
    )


def _faults(missing: Iterable[str], unknown: Iterable[str], spec: specs.PromptSpec) -> str:
    sentences = []
    if missing:
        sentences.append(f"The prompt needs a value for {_listed(missing)}.")
    if unknown:
        known = f"it has {_listed(spec.variables)}" if spec.variables else "it has none"
        sentences.append(f"The prompt has no variable {_listed(unknown)}; {known}.")
    return " ".join(sentences)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
