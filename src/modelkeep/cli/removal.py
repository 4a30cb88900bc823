"""`modelkeep rm`, `modelkeep restore`, `modelkeep purge` and `modelkeep mv`."""

import contextlib
import sys

import click

from modelkeep import client
from modelkeep.cli import output, picking, progress, session, settings, units


@click.command()
@click.argument("ref")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output.option
@settings.connecting
@settings.pass_settings
def rm(chosen: settings.Settings, ref: str, yes: bool, form: str) -> None:
    """Delete a version or a model; it can be restored.

    REF is acme/voice@1.2.0, or acme/voice for a model whose versions are all deleted. It is
    refused while something stands on the version: a stage, an alias, a version made from it.
    """
    target = session.run(chosen, lambda registry: _target(registry, ref))
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {target}? `modelkeep restore` brings it back.", abort=True, err=True)

    async def work(registry: client.Registry) -> client.Version | client.Model:
        if "@" in target:
            return await registry.delete_version(target)
        return await registry.delete_model(target)

    deleted = session.run(chosen, work)
    back = f"`modelkeep restore {target}` brings it back"
    if isinstance(deleted, client.Version) and deleted.purge_at is not None:
        back += f" until {units.exact(deleted.purge_at)}"
    output.emit(deleted, form, lambda: f"[bold]{target}[/] deleted; {back}")


@click.command()
@click.argument("ref")
@output.option
@settings.connecting
@settings.pass_settings
def restore(chosen: settings.Settings, ref: str, form: str) -> None:
    """Bring back what was deleted.

    REF is acme/voice@1.2.0 for a version, acme/voice for a model.
    """

    async def work(registry: client.Registry) -> client.Version | client.Model:
        if client.parse_ref(ref).selector:
            return await registry.restore_version(ref)
        return await registry.restore_model(ref)

    restored = session.run(chosen, work)
    output.emit(restored, form, lambda: f"[bold]{restored.ref}[/] restored")


@click.command()
@click.argument("ref")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output.option
@settings.connecting
@settings.pass_settings
def purge(chosen: settings.Settings, ref: str, yes: bool, form: str) -> None:
    """Drop a deleted version's content for good.

    REF is acme/voice@1.2.0. Its files and all it says about itself go; its name, number, digest and
    history stay. `modelkeep gc` then frees the bytes that nothing else has.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Purge {ref}? Nothing brings it back.", abort=True, err=True)
    purged = session.run(chosen, lambda registry: registry.purge_version(ref))
    output.emit(purged, form, lambda: f"[bold]{purged.ref}[/] purged")


@click.command()
@click.argument("model")
@click.argument("destination")
@output.option
@settings.connecting
@settings.pass_settings
def mv(chosen: settings.Settings, model: str, destination: str, form: str) -> None:
    """Give a model another name, in another namespace too.

    MODEL and DESTINATION are acme/voice and acme/speech, or platform/voice. Its versions, aliases
    and history come along, and the old name goes on to mean it: nothing that uses it breaks.

    To another namespace the server copies the bytes first, within the store; interrupted, it goes
    on where it was when the same command is run again. There, who may not read the model does not
    find it by its old name any more. Drafts, open transitions, running deployments and roles on the
    model hold it where it is.
    """

    async def work(registry: client.Registry) -> client.Model:
        with contextlib.closing(progress.display()) as display:
            return await registry.move_model(model, destination, listener=display.listener)

    moved = session.run(chosen, work)
    output.emit(moved, form, lambda: f"[bold]{model}[/] is [bold]{moved.ref}[/] now")


async def _target(registry: client.Registry, ref: str) -> str:
    if client.parse_ref(ref).selector:
        return await picking.exact(registry, ref)
    return ref
