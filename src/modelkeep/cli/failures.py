"""Failures in words for a person, and the exit code of each."""

from typing import IO, Any

import click

from modelkeep import client
from modelkeep.cli import references, safe_text, settings

USAGE = 2
NOT_FOUND = 3
REFUSED = 4
INTERRUPTED = 130


class Failure(click.ClickException):
    """A registry error as the command line shows it: one sentence; details with -v."""

    def __init__(self, error: client.RegistryError, chosen: settings.Settings) -> None:
        super().__init__(_sentence(error, chosen.endpoint))
        self._error = error
        self._verbose = chosen.verbose

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        del file
        report(self.message)
        if self._verbose:
            for line in _details(self._error):
                click.secho(f"  {safe_text.printable(line)}", err=True, dim=True)


class NotFoundFailure(Failure):
    """What was named does not exist."""

    exit_code = NOT_FOUND


class RefusedFailure(Failure):
    """A rule forbids it."""

    exit_code = REFUSED


class UsageFailure(Failure):
    """What was typed is malformed."""

    exit_code = USAGE


def from_error(error: client.RegistryError, chosen: settings.Settings) -> Failure:
    """The failure, with its exit code, of that error."""
    match error:
        case client.NotFound():
            return NotFoundFailure(error, chosen)
        case client.Refused():
            return RefusedFailure(error, chosen)
        case client.InvalidRequest():
            return UsageFailure(error, chosen)
        case _:
            return Failure(error, chosen)


def report(sentence: str) -> None:
    """Write an error's sentence to standard error."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(safe_text.printable(sentence), err=True)


def _sentence(error: client.RegistryError, endpoint: str) -> str:
    if isinstance(error, client.TimedOut):
        return (
            f"The server at {endpoint} did not answer in time; whether the change was made is not"
            " known. Look with `modelkeep show`, or run the command again."
        )
    if isinstance(error, client.Unavailable) and _never_answered(error):
        return (
            f"No server answers at {endpoint}. Start one with `modelkeep dev`, or name another"
            " with --endpoint or MODELKEEP_ENDPOINT."
        )
    if error.code == "UNIMPLEMENTED":
        return (
            f"The server at {endpoint} does not offer this call; `modelkeep version` tells whether"
            " it is as new as this client."
        )
    if error.reason == "GATES_FAILED":
        return references.shown_in(_listed(error))
    return _ended(references.shown_in(error.message))


def _listed(error: client.RegistryError) -> str:
    """The sentence with each gate that is not met on a line of its own."""
    sentences = [violation.description for violation in error.violations]
    head = error.message.removesuffix("; ".join(sentences)).rstrip()
    if not sentences or head == error.message:
        return _ended(error.message)
    return "\n".join([head, *(f"  - {_ended(sentence)}" for sentence in sentences)])


def _never_answered(error: client.RegistryError) -> bool:
    # Our server gives every error a reason of its own; without one, gRPC itself is speaking.
    return error.reason == error.code and not error.request_id


def _ended(sentence: str) -> str:
    return sentence if sentence.rstrip().endswith((".", "!", "?")) else f"{sentence.rstrip()}."


def _details(error: client.RegistryError) -> list[str]:
    lines = [f"code: {error.code}", f"reason: {error.reason}"]
    lines += [f"{violation.field}: {violation.description}" for violation in error.violations]
    lines += [f"{key}: {value}" for key, value in sorted(error.metadata.items())]
    lines.append(f"request id: {error.request_id or 'none, the server did not answer'}")
    return [*lines, f"message: {error.message}"]
