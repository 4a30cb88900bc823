"""`modelkeep transitions ls|show`, `approve`, `reject` and `cancel`."""

from collections.abc import Awaitable, Callable

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings, transition_drawing

_STATES = [state.value for state in client.TransitionState if state.value != "unspecified"]
_ID_CHARS = 16
Said = Callable[[client.Registry, str], Awaitable[client.Transition]]


async def named(registry: client.Registry, text: str, stage: str = "") -> str:
    """The transition that is meant: by its id, or as the only open one of a version."""
    head, slash, key = text.rpartition("/")
    if "/transitions/" in text or (slash and "@" in head and len(key) == _ID_CHARS):
        return text
    version = await picking.exact(registry, text)
    return (await registry.open_transition(version, stage=stage)).ref


@click.group()
def transitions() -> None:
    """See which moves were asked for, and how far.

    ID is what `transitions ls` shows: acme/voice@1.2.0/0123456789abcdef. A version stands for its
    only open transition.
    """


@transitions.command("ls")
@click.argument("where", metavar="NAMESPACE[/MODEL[@VERSION]]")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Only in this state."
)
@click.option("--to", "stage", default="", metavar="STAGE", help="Only to this stage.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def list_transitions(
    chosen: settings.Settings,
    /,
    *,
    where: str,
    states: tuple[str, ...],
    stage: str,
    limit: int,
    form: str,
) -> None:
    """List transitions, the last one first."""
    wanted = [client.TransitionState(state) for state in states]

    async def work(registry: client.Registry) -> list[client.Transition]:
        taken: list[client.Transition] = []
        async for one in registry.list_transitions(where, states=wanted, stage=stage):
            taken.append(one)
            if len(taken) == limit:
                break
        return taken

    found = session.run(chosen, work)
    output.emit(found, form, lambda: transition_drawing.transitions(found))


@transitions.command("show")
@click.argument("name", metavar="ID|REF")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, /, *, name: str, form: str) -> None:
    """Show who asked, who said what, and what became of the gates, on what evidence."""

    async def work(registry: client.Registry) -> client.Transition:
        return await registry.get_transition(await named(registry, name))

    found = session.run(chosen, work)
    output.emit(found, form, lambda: transition_drawing.shown(found))


@click.command()
@click.argument("name", metavar="ID|REF")
@click.option("--comment", default="", metavar="TEXT", help="For people.")
@output.option
@settings.connecting
@settings.pass_settings
def approve(chosen: settings.Settings, /, *, name: str, comment: str, form: str) -> None:
    """Approve a move that somebody else asked for.

    It takes an earlier rejection of yours back. Whoever asked for it commits it with the same
    `modelkeep promote` as before.
    """

    async def said(registry: client.Registry, transition: str) -> client.Transition:
        return await registry.approve_transition(transition, comment=comment)

    _say(chosen, name, said, form)


@click.command()
@click.argument("name", metavar="ID|REF")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@output.option
@settings.connecting
@settings.pass_settings
def reject(chosen: settings.Settings, /, *, name: str, reason: str, form: str) -> None:
    """Reject a move that somebody else asked for.

    It is blocked until you approve it.
    """

    async def said(registry: client.Registry, transition: str) -> client.Transition:
        return await registry.reject_transition(transition, reason=reason)

    _say(chosen, name, said, form)


@click.command()
@click.argument("name", metavar="ID|REF")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@output.option
@settings.connecting
@settings.pass_settings
def cancel(chosen: settings.Settings, /, *, name: str, reason: str, form: str) -> None:
    """Give up a move that was asked for."""

    async def said(registry: client.Registry, transition: str) -> client.Transition:
        return await registry.cancel_transition(transition, reason=reason)

    _say(chosen, name, said, form)


def _say(chosen: settings.Settings, name: str, said: Said, form: str) -> None:
    async def work(registry: client.Registry) -> client.Transition:
        return await said(registry, await named(registry, name))

    now = session.run(chosen, work)
    output.emit(now, form, lambda: transition_drawing.promoted(now))
