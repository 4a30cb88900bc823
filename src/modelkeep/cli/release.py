"""From the options of `push` to what is said about the new version."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import values

EPILOG = """\b
Parameters are typed: 8 and 0.5 are numbers, true and false are booleans, all
else is text; quotes make anything text: --param 'seed="42"'.

\b
Examples:
  modelkeep push ./model acme/voice@1.2.0 --param lr=0.001 --metric auc=0.93
  modelkeep push lora.safetensors acme/voice-de@0.1.0 --kind adapter \\
      --base acme/voice@production --base-relation adapter
  modelkeep push --prompt triage.yaml acme/triage@3.0.0
"""


def draft(
    prompt: Path | None,
    *,
    params: Sequence[str],
    metrics: Sequence[str],
    labels: Sequence[str],
    datasets: Sequence[str],
    source_commit: str,
    source_repository: str,
    base: str | None,
    base_relation: str | None,
    card: Path | None,
    description: str,
    framework: str,
    task: str,
) -> client.Draft:
    """The draft those options describe.

    Raises:
        click.UsageError: an option is malformed or does not go with --prompt.
    """
    for_files = {"--param": params, "--base": base, "--framework": framework, "--task": task}
    model = _model_spec(params, base, base_relation, framework, task)
    return client.Draft(
        spec=_prompt_spec(prompt, for_files) if prompt else model,
        datasets=values.datasets(datasets),
        metrics=values.pairs("--metric", metrics, values.figure),
        source=client.Source(repository=source_repository, commit=source_commit),
        labels=values.pairs("--label", labels, str),
        description=description,
        card=_text_of(card) if card else "",
    )


async def with_resolved_base(registry: client.Registry, said: client.Draft) -> client.Draft:
    """The draft with its base as one exact version, as `--base acme/voice@production` means now."""
    if not isinstance(said.spec, client.ModelSpec) or said.spec.base is None:
        return said
    base = said.spec.base
    if not base.version:
        return said
    found = await registry.resolve(base.version)
    spec = dataclasses.replace(said.spec, base=dataclasses.replace(base, version=found.name))
    return dataclasses.replace(said, spec=spec)


def _model_spec(
    params: Sequence[str], base: str | None, relation: str | None, framework: str, task: str
) -> client.ModelSpec:
    name, _, framework_version = framework.partition("@")
    return client.ModelSpec(
        framework=name,
        framework_version=framework_version,
        task=task,
        parameters=values.pairs("--param", params, values.typed),
        base=_base(base, relation),
    )


def _base(base: str | None, relation: str | None) -> client.BaseModel | None:
    if base is None:
        if relation is not None:
            raise click.UsageError("--base-relation needs --base.")
        return None
    made = client.BaseRelation(relation or client.BaseRelation.UNSPECIFIED)
    if "://" in base:
        return client.BaseModel(uri=base, relation=made)
    return client.BaseModel(version=base, relation=made)


def _prompt_spec(prompt: Path, for_files: Mapping[str, object]) -> client.PromptSpec:
    for option, given in for_files.items():
        if given:
            raise click.UsageError(f"{option} does not go with --prompt; the YAML file says it.")
    try:
        return client.read_prompt_file(prompt)
    except client.InvalidRequest as failure:
        raise click.UsageError(failure.message) from failure


def _text_of(card: Path) -> str:
    try:
        return card.read_text(encoding="utf-8")
    except UnicodeDecodeError as failure:
        raise click.BadParameter(f"{card} is not UTF-8 text.", param_hint="--card") from failure
