"""`modelkeep version`."""

import click

import modelkeep
from modelkeep import client
from modelkeep.cli import output, session, settings, tables

_WAIT_S = 3.0


@click.command()
@output.option
@settings.connecting
@settings.pass_settings
def version(chosen: settings.Settings, form: str) -> None:
    """Tell the versions of client and server."""
    server = session.run(chosen, _server_version)
    document = {"client": modelkeep.__version__, "server": server, "endpoint": chosen.endpoint}
    rows = [
        ("client", modelkeep.__version__),
        ("server", f"{server or 'not reachable'} at {chosen.endpoint}"),
    ]
    output.emit(document, form, lambda: tables.pairs(rows))


async def _server_version(registry: client.Registry) -> str | None:
    try:
        return (await registry.capabilities(timeout_s=_WAIT_S)).server_version
    except client.Unavailable:
        return None
    except client.RegistryError:
        # It answers, but not this: a server of another kind, or with the registry service alone.
        return "unknown version"
