"""`modelkeep pull`."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import allocator, output, progress, session, settings, units, values, ways


@click.command()
@click.argument("ref")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--at", "at", metavar="TIME", help="What REF meant then (ISO 8601, UTC).")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that match one.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not the files that match one.")
@ways.option
@output.option
@settings.connecting
@settings.pass_settings
def pull(
    chosen: settings.Settings,
    /,
    ref: str,
    directory: Path,
    *,
    at: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    via: str,
    form: str,
) -> None:
    """Pull a version into a folder, verified.

    Every byte is checked against the version's manifest before a file gets its name. Files that
    are there and right are not fetched, and a pull that was cut goes on where it stopped when you
    run it again.

    --include and --exclude take patterns as in .gitignore and may be repeated: '*.onnx' matches at
    any depth, '/config.json' at the top, 'docs/' a folder with all that is in it. A file is pulled
    if an --include matches, or there is none, and no --exclude does.
    """
    as_of = values.instant(at) if at else None
    allocator.tune()

    async def work(registry: client.Registry) -> client.PullResult:
        with contextlib.closing(progress.display()) as display:
            return await registry.pull(
                ref,
                directory,
                as_of=as_of,
                include=include,
                exclude=exclude,
                via=client.Via(via),
                listener=display.listener,
            )

    pulled = session.run(chosen, work)
    output.emit(_document(pulled), form, lambda: _sentence(pulled))


def _document(pulled: client.PullResult) -> dict[str, object]:
    return {
        "version": pulled.version.version,
        "files": pulled.files,
        "total_bytes": pulled.total_bytes,
        "fetched_bytes": pulled.fetched_bytes,
        "left_out": pulled.left_out,
        "direct_bytes": pulled.direct_bytes,
        "seconds": round(pulled.seconds, 3),
    }


def _sentence(pulled: client.PullResult) -> str:
    content = f"{units.count(pulled.files, 'file')}, {units.size(pulled.total_bytes)}"
    fetched = (
        f"fetched {units.size(pulled.fetched_bytes)} in {units.span(pulled.seconds)}"
        if pulled.fetched_bytes
        else "all there already"
    )
    if not pulled.left_out:
        return f"[bold]{pulled.version.ref}[/] verified: {content}; {fetched}"
    left_out = units.count(pulled.left_out, "file")
    return (
        f"[bold]{pulled.version.ref}[/] verified in part: {content}; {fetched}; {left_out} left out"
    )
