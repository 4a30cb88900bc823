"""`modelkeep promote`."""

import contextlib
from dataclasses import dataclass

import click

from modelkeep import client
from modelkeep.cli import (
    failures,
    output,
    picking,
    safe_text,
    session,
    settings,
    transition_drawing,
)

WAITING = 5
"""Exit code of a promotion that was asked for and waits for approvals."""
_State = client.TransitionState


@dataclass(frozen=True, slots=True)
class Promotion:
    """How far it came: the transition, and the version that made room or ''."""

    transition: client.Transition
    displaced_version: str = ""


@click.command()
@click.argument("ref")
@click.option(
    "--to", "stage", type=click.Choice(["staging", "production"]), required=True, help="Where to."
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@click.option("--wait", is_flag=True, help="Wait for approvals, then commit.")
@click.option("--request-only", is_flag=True, help="Ask for it, and commit nothing.")
@output.option
@settings.connecting
@settings.pass_settings
def promote(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    stage: str,
    reason: str,
    wait: bool,
    request_only: bool,
    form: str,
) -> None:
    """Move a version up, as the rules want it.

    It asks for the move, which others approve, and commits it once they have.
    What was asked for already is gone on with, so the same command commits once it is approved.
    Exit code 0 if REF is in the stage (with --request-only: if it was asked for), 5 if it waits for
    approvals, 4 if a gate is not met, or it was rejected, cancelled, or is over.
    """
    if wait and request_only:
        raise click.UsageError("--wait and --request-only exclude each other.")

    async def work(registry: client.Registry) -> Promotion:
        version = await picking.exact(registry, ref)
        asked = await registry.ensure_transition(version, stage, reason=reason)
        if request_only:
            return Promotion(asked)
        if wait and asked.state is _State.PENDING:
            click.echo(safe_text.printable(transition_drawing.waiting(asked)), err=True)
            asked = await registry.wait_for_transition(asked.name)
        return await _committed(registry, asked)

    done = session.run(chosen, work)
    output.emit(done, form, lambda: transition_drawing.promoted(done.transition))
    code = _exit_code(done.transition.state, request_only=request_only)
    if code == WAITING and form == "table":
        click.echo(safe_text.printable(transition_drawing.waiting(done.transition)), err=True)
    if code:
        raise click.exceptions.Exit(code)


async def _committed(registry: client.Registry, asked: client.Transition) -> Promotion:
    """The transition, committed if all approvals are there."""
    if asked.state is not _State.APPROVED:
        return Promotion(asked)
    with contextlib.suppress(_CommittedMeanwhile):
        return await _commit(registry, asked)
    return Promotion(await registry.get_transition(asked.name))


class _CommittedMeanwhile(Exception):
    """Somebody else committed it."""


async def _commit(registry: client.Registry, asked: client.Transition) -> Promotion:
    try:
        done = await registry.commit_transition(asked.name)
    except client.Refused as refused:
        if refused.reason == "TRANSITION_COMMITTED":
            raise _CommittedMeanwhile from refused
        raise
    return Promotion(done.transition, done.displaced_version)


def _exit_code(state: client.TransitionState, *, request_only: bool) -> int:
    if state is _State.COMMITTED or (request_only and state in {_State.PENDING, _State.APPROVED}):
        return 0
    return WAITING if state is _State.PENDING else failures.REFUSED
