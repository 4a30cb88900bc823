"""`modelkeep model ...`."""

from typing import Any

import click

from modelkeep import client
from modelkeep.cli import drawing, output, session, settings, values

_TIERS = ["low", "medium", "high", "critical", "none"]


@click.group()
def model() -> None:
    """Say who answers for a model, and how much harm it can do."""


@model.command("set")
@click.argument("name", metavar="MODEL")
@click.option("--owner", help="Who answers for it: a person or a team.")
@click.option("--description", help="What it is for.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="All its labels.")
@click.option("--risk", type=click.Choice(_TIERS), help="How much harm it can do if it is wrong.")
@click.option(
    "--revalidate-every",
    metavar="DAYS",
    help="How often versions that people rely on are evaluated: 90d; tier for the tier's.",
)
@output.option
@settings.connecting
@settings.pass_settings
def set_model(
    chosen: settings.Settings,
    /,
    *,
    name: str,
    owner: str | None,
    description: str | None,
    labels: tuple[str, ...],
    risk: str | None,
    revalidate_every: str | None,
    form: str,
) -> None:
    """Change what is given, and leave the rest as it is.

    Risk and revalidation take a permission of their own, and follow `modelkeep audit compliance`.
    """
    wanted: dict[str, Any] = {"owner": owner, "description": description}
    if labels:
        wanted["labels"] = values.pairs("--label", labels, str)
    if risk is not None:
        wanted["risk_tier"] = client.RiskTier("unspecified" if risk == "none" else risk)
    if revalidate_every is not None:
        everyday = revalidate_every == "tier"
        wanted["revalidation_days"] = (
            0 if everyday else values.days(revalidate_every, "--revalidate-every")
        )
    if all(value is None for value in wanted.values()):
        raise click.UsageError("Say what to change: --owner, --description, --label, --risk ...")

    async def work(registry: client.Registry) -> client.Model:
        return await registry.update_model(name, **wanted)

    changed = session.run(chosen, work)
    output.emit(changed, form, lambda: drawing.model(changed, [], []))
