"""`modelkeep push`."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich import markup

from modelkeep import client
from modelkeep.cli import (
    allocator,
    output,
    progress,
    release,
    safe_text,
    session,
    settings,
    units,
    ways,
)

_KINDS = ("model", "adapter", "pipeline")
_RELATIONS = tuple(str(relation) for relation in client.BaseRelation)[1:]


@click.command(epilog=release.EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="[PATH] REF")
@click.option(
    "--prompt",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Push this prompt configuration (YAML) instead of files.",
)
@click.option(
    "--bump",
    type=click.Choice([str(bump) for bump in client.Bump]),
    help="Let the server choose the version: the highest release with this number raised.",
)
@click.option(
    "--allow-same", is_flag=True, help="With --bump: make a version even if nothing changed."
)
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter, typed.")
@click.option("--metric", "metrics", multiple=True, metavar="K=V", help="A figure you report.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="A label.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME@REVISION", help="Trained with.")
@click.option("--source-commit", default="", metavar="COMMIT", help="The code that made it.")
@click.option("--source-repository", default="", metavar="URI", help="Where that code is.")
@click.option("--base", metavar="REF|URI", help="What it was made from.")
@click.option("--base-relation", type=click.Choice(_RELATIONS), help="What was done to the base.")
@click.option(
    "--card",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Model card, a Markdown file.",
)
@click.option("--description", default="", metavar="TEXT", help="One paragraph.")
@click.option("--kind", type=click.Choice(_KINDS), help="What the model is; model if it is new.")
@click.option("--framework", default="", metavar="NAME[@VERSION]", help="For example onnx@1.19.")
@click.option("--task", default="", metavar="TEXT", help="What the model does.")
@click.option(
    "--streams",
    type=click.IntRange(1),
    default=client.DEFAULT_STREAMS,
    show_default=True,
    metavar="N",
    help="Send a large file in N streams at once.",
)
@ways.option
@output.option
@settings.connecting
@settings.pass_settings
def push(
    chosen: settings.Settings,
    /,
    *,
    words: Sequence[str],
    prompt: Path | None,
    kind: str | None,
    bump: str | None,
    allow_same: bool,
    streams: int,
    via: str,
    form: str,
    **said: Any,
) -> None:
    """Push a folder, a file or a prompt as a version.

    REF names the version to make, for example acme/voice@1.2.0; or, with --bump, the model only.
    Its namespace and model are created if need be. Only bytes the registry does not hold are
    sent, and a push that was cut goes on where it stopped when you run it again.

    With --bump, what the latest release has already is not pushed a second time: the same files
    with the same parameters, figures, datasets and source make no new version.
    """
    path, ref = _targets(words, prompt)
    draft = release.draft(prompt, **said)
    allocator.tune()

    async def work(registry: client.Registry) -> client.PushResult:
        _check_bump(client.parse_ref(ref), bump, allow_same)
        with contextlib.closing(progress.display()) as display:
            return await registry.push(
                path,
                ref,
                await release.with_resolved_base(registry, draft),
                kind=client.ModelKind(kind) if kind else None,
                bump=client.Bump(bump) if bump else None,
                allow_same=allow_same,
                streams=streams,
                via=client.Via(via),
                listener=display.listener,
            )

    pushed = session.run(chosen, work)
    output.emit(_document(pushed), form, lambda: _sentence(pushed, is_bump=bump is not None))


def _check_bump(named: client.Ref, bump: str | None, allow_same: bool) -> None:
    if bump is None and allow_same:
        raise click.UsageError("--allow-same goes with --bump.")
    if bump is not None and named.selector:
        raise click.UsageError(
            f"With --bump, name the model only: {named.namespace}/{named.model}."
        )
    if bump is None and named.model and not named.selector:
        raise click.UsageError(
            f"Name the version, for example {named}@1.2.0, or let the server choose it:"
            " --bump major, minor or patch."
        )


def _targets(words: Sequence[str], prompt: Path | None) -> tuple[Path | None, str]:
    if prompt is not None:
        if len(words) != 1:
            raise click.UsageError("Write: modelkeep push --prompt FILE REF.")
        return None, words[0]
    if len(words) != len(("PATH", "REF")):
        raise click.UsageError("Write: modelkeep push PATH REF, REF as acme/voice@1.0.0.")
    return Path(words[0]), words[1]


def _document(pushed: client.PushResult) -> dict[str, object]:
    return {
        "version": pushed.version.version,
        "files": pushed.files,
        "total_bytes": pushed.total_bytes,
        "sent_bytes": pushed.sent_bytes,
        "direct_bytes": pushed.direct_bytes,
        "seconds": round(pushed.seconds, 3),
        "state": pushed.version.state,
        "warnings": pushed.version.warnings,
        "is_new": pushed.is_new,
    }


def _sentence(pushed: client.PushResult, *, is_bump: bool) -> str:
    if is_bump and not pushed.is_new and not pushed.sent_bytes:
        return (
            f"unchanged: [bold]{pushed.version.ref}[/] has this content already; nothing was"
            " made (--allow-same makes a version all the same)"
        )
    content = f"{units.count(pushed.files, 'file')}, {units.size(pushed.total_bytes)}"
    sent = f"sent {units.size(pushed.sent_bytes)} in {units.span(pushed.seconds)}"
    if not pushed.is_new:
        sent = sent if pushed.sent_bytes else "nothing was sent"
        return f"[bold]{pushed.version.ref}[/] is there already, the same {content}; {sent}"
    return (
        f"[bold]{pushed.version.ref}[/] pushed: {content}; {sent}\n"
        f"[dim]{pushed.version.manifest_digest}[/]{_marks(pushed.version)}"
    )


def _marks(version: client.Version) -> str:
    """A line for each warning, and one if the version was set aside."""
    lines = [f"[yellow]warning:[/] {_plain(one.description)}" for one in version.warnings]
    if version.state is client.VersionState.QUARANTINED:
        lines.append(
            "[bold red]quarantined:[/] nothing leads to it until somebody runs "
            f"`modelkeep release {version.ref} --reason TEXT`"
        )
    return "".join(f"\n{line}" for line in lines)


def _plain(description: str) -> str:
    """The text as it is: file names may hold what moves a terminal or reads as markup."""
    return markup.escape(safe_text.printable(description))
