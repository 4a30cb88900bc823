"""`modelkeep webhook ...`."""

import click

from modelkeep import client
from modelkeep.cli import filtering, output, safe_text, session, settings, webhook_tables

_SHOWN_DELIVERIES = 100


@click.group()
def webhook() -> None:
    """Have events posted to a URL, signed.

    ID is what `webhook ls` shows: acme/0123456789abcdef. DELIVERY is what `webhook deliveries`
    shows: that, and the event's sequence behind a slash.
    """


@webhook.command("create")
@click.argument("namespace")
@click.option("--url", required=True, metavar="URL", help="Where to: https://HOST/PATH.")
@filtering.options
@click.option("--description", default="", metavar="TEXT", help="For people.")
@output.option
@settings.connecting
@settings.pass_settings
def create(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    namespace: str,
    url: str,
    wanted: client.EventFilter,
    description: str,
    form: str,
) -> None:
    """Post what happens in NAMESPACE to a URL, from now on; prints the secret, once."""

    async def work(registry: client.Registry) -> client.NewSecret:
        return await registry.create_webhook(namespace, url, wanted, description=description)

    made = session.run(chosen, work)
    output.emit(made, form, lambda: webhook_tables.issued(made))


@webhook.command("ls")
@click.argument("namespace")
@output.option
@settings.connecting
@settings.pass_settings
def list_webhooks(chosen: settings.Settings, namespace: str, form: str) -> None:
    """List the webhooks of NAMESPACE."""

    async def work(registry: client.Registry) -> list[client.Webhook]:
        return [entry async for entry in registry.list_webhooks(namespace)]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: webhook_tables.webhooks(entries))


@webhook.command("show")
@click.argument("name", metavar="ID|DELIVERY")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, name: str, form: str) -> None:
    """Show a webhook, or a delivery with the attempts at it."""

    async def work(registry: client.Registry) -> client.Webhook | client.DeliveryLog:
        if client.is_delivery_name(name):
            return await registry.get_delivery(name)
        return await registry.get_webhook(name)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: webhook_tables.shown(found))


@webhook.command("rm")
@click.argument("name", metavar="ID")
@settings.connecting
@settings.pass_settings
def remove(chosen: settings.Settings, name: str) -> None:
    """Delete a webhook and its log of deliveries; what is pending is not delivered."""

    async def work(registry: client.Registry) -> None:
        await registry.delete_webhook(name)

    session.run(chosen, work)
    click.echo(safe_text.printable(f"{name} removed"))


@webhook.command("enable")
@click.argument("name", metavar="ID")
@output.option
@settings.connecting
@settings.pass_settings
def enable(chosen: settings.Settings, name: str, form: str) -> None:
    """Deliver again, from where it stopped."""
    _switch(chosen, name, form, enabled=True)


@webhook.command("disable")
@click.argument("name", metavar="ID")
@output.option
@settings.connecting
@settings.pass_settings
def disable(chosen: settings.Settings, name: str, form: str) -> None:
    """Deliver nothing until it is enabled again."""
    _switch(chosen, name, form, enabled=False)


@webhook.command("rotate-secret")
@click.argument("name", metavar="ID")
@output.option
@settings.connecting
@settings.pass_settings
def rotate_secret(chosen: settings.Settings, name: str, form: str) -> None:
    """Make a new secret and print it, once; for 24 hours the old one signs, too."""

    async def work(registry: client.Registry) -> client.NewSecret:
        return await registry.rotate_webhook_secret(name)

    made = session.run(chosen, work)
    output.emit(made, form, lambda: webhook_tables.issued(made))


@webhook.command("deliveries")
@click.argument("name", metavar="ID")
@click.option("--failed", is_flag=True, help="Only those that were given up.")
@click.option("--limit", default=_SHOWN_DELIVERIES, show_default=True, help="How many at most.")
@output.option
@settings.connecting
@settings.pass_settings
def list_deliveries(
    chosen: settings.Settings, name: str, failed: bool, limit: int, form: str
) -> None:
    """List what became of events, the newest first."""
    states = (client.DeliveryState.FAILED,) if failed else ()

    async def work(registry: client.Registry) -> list[client.Delivery]:
        found = []
        async for entry in registry.list_deliveries(name, states=states):
            found.append(entry)
            if len(found) >= limit:
                break
        return found

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: webhook_tables.deliveries(entries))


@webhook.command("redeliver")
@click.argument("name", metavar="DELIVERY")
@output.option
@settings.connecting
@settings.pass_settings
def redeliver(chosen: settings.Settings, name: str, form: str) -> None:
    """Deliver an event again, or now if it is pending."""

    async def work(registry: client.Registry) -> client.Delivery:
        return await registry.redeliver(name)

    entry = session.run(chosen, work)
    output.emit(entry, form, lambda: f"[bold]{entry.ref}[/] is {entry.state}")


def _switch(chosen: settings.Settings, name: str, form: str, *, enabled: bool) -> None:
    async def work(registry: client.Registry) -> client.Webhook:
        return await registry.update_webhook(name, enabled=enabled)

    changed = session.run(chosen, work)
    state = "enabled" if changed.enabled else "disabled"
    output.emit(changed, form, lambda: f"[bold]{changed.ref}[/] is {state}")
