"""`modelkeep show`."""

from typing import Any

import click

from modelkeep import client
from modelkeep.cli import drawing, output, picking, session, settings


@click.command()
@click.argument("ref")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, ref: str, form: str) -> None:
    """Show a namespace, a model or a version.

    REF is acme, acme/voice, or acme/voice@SELECTOR. A full version is shown in whatever state it
    is; any other selector finds sealed versions only.
    """

    async def work(registry: client.Registry) -> tuple[dict[str, Any], Any]:
        target = client.parse_ref(ref)
        if target.selector:
            return await _version(registry, ref)
        if target.model:
            return await _model(registry, ref)
        return await _namespace(registry, ref)

    document, drawn = session.run(chosen, work)
    output.emit(document, form, lambda: drawn)


async def _version(registry: client.Registry, ref: str) -> tuple[dict[str, Any], Any]:
    version = await picking.version(registry, ref)
    files: list[client.File] = []
    signatures: list[client.Signature] | None = []
    if version.state is not client.VersionState.DRAFT:
        files = [file async for file in registry.list_files(version.ref, show_facts=True)]
        signatures = await _signatures(registry, version.ref)
    document = {**output.plain(version), "signatures": signatures, "files": files}
    return document, drawing.version(version, files, signatures)


async def _signatures(registry: client.Registry, ref: str) -> list[client.Signature] | None:
    """A version's signatures; None from a server that is too old to know of any."""
    try:
        return [one async for one in registry.list_signatures(ref)]
    except client.RegistryError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        return None


async def _model(registry: client.Registry, ref: str) -> tuple[dict[str, Any], Any]:
    model = await registry.get_model(ref)
    versions = [entry async for entry in registry.list_versions(ref)]
    aliases = [entry async for entry in registry.list_aliases(ref)]
    document = {**output.plain(model), "aliases": aliases, "versions": versions}
    return document, drawing.model(model, versions, aliases)


async def _namespace(registry: client.Registry, ref: str) -> tuple[dict[str, Any], Any]:
    namespace = await registry.get_namespace(ref)
    models = [entry async for entry in registry.list_models(ref)]
    document = {**output.plain(namespace), "models": models}
    return document, drawing.namespace(namespace, models)
