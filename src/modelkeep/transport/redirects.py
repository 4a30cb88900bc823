"""Requests by a name that a model had: asked again by the name that it has today.

Only a call that found nothing is looked at, so names that are right cost nothing.
"""

import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator
from typing import Any, Protocol

from google.protobuf import message

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, names

_NAME = re.compile(r"(namespaces/([^/]+)/models/([^/]+))(/.*)?", re.DOTALL)
_REF = re.compile(r"(([^/@]+)/([^/@]+))(@.*)?", re.DOTALL)
_REF_FIELDS = frozenset({"ref", "from_ref", "to_ref"})
_NAME_FIELDS = frozenset(
    {
        "name",
        "parent",
        "version",
        "model",
        "alias",
        "deployment",
        "node",
        "link",
        "source",
        "target",
        "policy",
        "supersedes",
    }
)
"""Fields that name things; what people write is not rewritten."""


class Directory(Protocol):
    """Knows what models were called."""

    async def find_moved(
        self, caller: callers.Caller, wanted: Collection[names.ModelName]
    ) -> dict[names.ModelName, names.ModelName]:
        """Today's names of those models that were called so, as far as the caller may know."""


async def answer(
    directory: Directory, call: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any
) -> Any:
    """The call's answer, by today's name if there is nothing by the one that was sent."""
    try:
        return await call(request, context)
    except errors.Hidden:
        raise  # not even today's name may be known
    except errors.NotFound:
        moved = await _moved(directory, request)
        if moved is None:
            raise
    return await call(moved, context)


async def answers(
    directory: Directory,
    call: Callable[[Any, Any], AsyncGenerator[Any, None]],
    request: Any,
    context: Any,
) -> AsyncGenerator[Any, None]:
    """As `answer`, for a stream of answers; one that has begun is left alone."""
    began = False
    try:
        async with contextlib.aclosing(call(request, context)) as responses:
            async for response in responses:
                began = True
                yield response
    except errors.Hidden:
        raise
    except errors.NotFound:
        moved = None if began else await _moved(directory, request)
        if moved is None:
            raise
    else:
        return
    async with contextlib.aclosing(call(moved, context)) as responses:
        async for response in responses:
            yield response


async def _moved(directory: Directory, request: Any) -> Any:
    """The request by today's names, or None if it names nothing that was called otherwise."""
    if not isinstance(request, message.Message):
        return None
    wanted = {model for *_, model, _ in _mentions(request)}
    found = await directory.find_moved(callers.current(), wanted) if wanted else {}
    if not found:
        return None
    again = type(request)()
    again.CopyFrom(request)
    for owner, field, pattern, model, rest in list(_mentions(again)):
        if model in found:
            today = found[model]
            short = f"{today.namespace}/{today.model}"
            setattr(owner, field, (str(today) if pattern is _NAME else short) + rest)
    return again


def _mentions(
    owner: Any,
) -> Iterator[tuple[Any, str, re.Pattern[str], names.ModelName, str]]:
    """Fields that name a model, or something in one: owner, field, form, model, what follows."""
    for field, value in owner.ListFields():
        if field.is_repeated or field.name not in _NAME_FIELDS | _REF_FIELDS:
            continue
        if field.type == field.TYPE_MESSAGE:
            yield from _mentions(value)
        elif field.type == field.TYPE_STRING:
            pattern = _REF if field.name in _REF_FIELDS else _NAME
            found = pattern.fullmatch(value)
            if found is not None:
                model = _model(found[2], found[3])
                if model is not None:
                    yield owner, field.name, pattern, model, found[4] or ""


def _model(namespace: str, model: str) -> names.ModelName | None:
    try:
        return names.ModelName(namespace, model)
    except errors.InvalidArgument:
        return None
