"""`modelkeep policy` and `modelkeep release`."""

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings

_POLICIES = [policy.value for policy in client.PicklePolicy][1:]


@click.command()
@click.argument("namespace")
@click.option(
    "--pickles",
    type=click.Choice(_POLICIES),
    help="What becomes of new versions with files that are pickles.",
)
@output.option
@settings.connecting
@settings.pass_settings
def policy(chosen: settings.Settings, namespace: str, pickles: str | None, form: str) -> None:
    """Show or set what is done about pickles.

    Loading a pickle runs whatever its maker wants. allow: nothing; warn: the version is marked;
    quarantine: the version is set aside until somebody releases it.
    """

    async def work(registry: client.Registry) -> client.Namespace:
        if pickles is None:
            return await registry.get_namespace(namespace)
        wanted = client.PicklePolicy(pickles)
        return await registry.update_namespace(namespace, pickle_policy=wanted)

    found = session.run(chosen, work)
    document = {"name": found.name, "pickle_policy": found.pickle_policy}
    output.emit(document, form, lambda: f"[bold]{found.ref}[/] pickles: {found.pickle_policy}")


@click.command()
@click.argument("ref")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit log.")
@output.option
@settings.connecting
@settings.pass_settings
def release(chosen: settings.Settings, ref: str, reason: str, form: str) -> None:
    """Make a quarantined version ready again.

    REF is a full version, acme/voice@1.2.0. Look at why it was set aside first: modelkeep show
    tells.
    """

    async def work(registry: client.Registry) -> client.Version:
        return await registry.release_version(await picking.exact(registry, ref), reason=reason)

    found = session.run(chosen, work)
    document = {"name": found.name, "version": found.version, "state": found.state}
    output.emit(document, form, lambda: f"[bold]{found.ref}[/] is {found.state} again")
