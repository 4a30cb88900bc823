"""Reading what a server answered: what no server of ours answers is an error that says so."""

import enum
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf import timestamp_pb2

from modelkeep.client import errors

_MOST_SHOWN = 200
_Enum = TypeVar("_Enum", bound=enum.StrEnum)


def instant(stamp: timestamp_pb2.Timestamp) -> datetime:
    """The instant, in UTC, of a stamp; raises BadAnswer if the calendar has none such."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as failure:
        raise bad("an instant that no calendar has", failure) from None


def word(numbered: Any, number: int, prefix: str) -> str:
    """The word of a number of an enum of the contract, such as `admin` of ROLE_ADMIN.

    Args:
        numbered: the enum.
        number: as the server sent it.
        prefix: what all names of the enum begin with.

    Raises:
        BadAnswer: this client knows no such number.
    """
    names: dict[int, str] = {known: name for name, known in numbered.items()}
    if number not in names:
        raise _unknown(numbered, str(number))
    return names[number].removeprefix(prefix).lower()


def member(kind: type[_Enum], numbered: Any, number: int, prefix: str) -> _Enum:
    """As `word`, the member of `kind` that the word names; raises BadAnswer if none does."""
    name = word(numbered, number, prefix)
    try:
        return kind(name)
    except ValueError:
        raise _unknown(numbered, name) from None


def _unknown(numbered: Any, what: str) -> errors.BadAnswer:
    return errors.BadAnswer(
        f"The server answered with a {numbered.DESCRIPTOR.name} that this client does not know"
        f" ({what}); `modelkeep version` tells whether it is as new as the server."
    )


def bad(what: str, failure: Exception) -> errors.BadAnswer:
    """The error for an answer that cannot be read, as what failed there says it."""
    return errors.BadAnswer(f"The server answered with {what}: {str(failure)[:_MOST_SHOWN]}.")
