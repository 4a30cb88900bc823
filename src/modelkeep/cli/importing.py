"""`modelkeep import`: from a bundle, or what `import hf-cache` and `import mlflow` name."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import exchange_tables, output, progress, session, settings

_BUNDLE = "bundle"
_Work = Callable[[client.Registry, client.Progress], Awaitable[client.ImportReport]]


class _Sources(click.Group):
    """A group whose first word may also be a bundle's path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [_BUNDLE, *args]
        return super().parse_args(ctx, args)


def _told(chosen: settings.Settings, form: str, work: _Work) -> None:
    """Run an import and tell of it; the exit code is 1 if anything differs."""

    async def connected(registry: client.Registry) -> client.ImportReport:
        with contextlib.closing(progress.display()) as display:
            return await work(registry, display.listener)

    report = session.run(chosen, connected)
    output.emit(exchange_tables.document(report), form, lambda: exchange_tables.imported(report))
    if not report.is_ok:
        raise click.exceptions.Exit(1)


@click.group("import", cls=_Sources, subcommand_metavar="FILE | hf-cache | mlflow [OPTIONS]")
def import_() -> None:
    """Bring models in from elsewhere.

    `modelkeep import FILE` reads a bundle that `modelkeep export` wrote. What the registry has
    already is left as it is; an import that was cut goes on when you run it again. At the end
    all is compared with the source, and the exit code is 1 if anything differs.
    """


@import_.command(_BUNDLE)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--into", default="", metavar="NAMESPACE[/MODEL]", help="Where to, if elsewhere.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@output.option
@settings.connecting
@settings.pass_settings
def bundle(chosen: settings.Settings, file: Path, into: str, dry_run: bool, form: str) -> None:
    """Bring what a bundle holds into the registry: `modelkeep import FILE` for short."""

    async def work(registry: client.Registry, listener: client.Progress) -> client.ImportReport:
        return await registry.import_bundle(file, into=into, is_dry_run=dry_run, listener=listener)

    _told(chosen, form, work)


@import_.command("hf-cache")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--repo", "repositories", multiple=True, metavar="ORG/NAME", help="Only this one.")
@click.option("--into", required=True, metavar="NAMESPACE", help="Where to.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@output.option
@settings.connecting
@settings.pass_settings
def hf_cache(
    chosen: settings.Settings,
    /,
    *,
    directory: Path,
    repositories: Sequence[str],
    into: str,
    dry_run: bool,
    form: str,
) -> None:
    """Bring the models of a Hugging Face cache in, each snapshot as a version."""

    async def work(registry: client.Registry, listener: client.Progress) -> client.ImportReport:
        return await registry.import_hf_cache(
            directory, into, repositories=repositories, is_dry_run=dry_run, listener=listener
        )

    _told(chosen, form, work)


@import_.command("mlflow")
@click.option("--uri", required=True, metavar="http://HOST:PORT", help="The MLflow server.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this one.")
@click.option("--into", required=True, metavar="NAMESPACE", help="Where to.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@output.option
@settings.connecting
@settings.pass_settings
def mlflow(
    chosen: settings.Settings,
    /,
    *,
    uri: str,
    models: Sequence[str],
    into: str,
    dry_run: bool,
    form: str,
) -> None:
    """Bring the registered models of an MLflow server in, with their files."""

    async def work(registry: client.Registry, listener: client.Progress) -> client.ImportReport:
        return await registry.import_mlflow(
            uri, into, models=models, is_dry_run=dry_run, listener=listener
        )

    _told(chosen, form, work)
