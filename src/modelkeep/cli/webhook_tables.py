"""How webhooks and deliveries look to people."""

from collections.abc import Iterable

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, tables, units

_STATES = {
    client.DeliveryState.DELIVERED: "green",
    client.DeliveryState.PENDING: "yellow",
    client.DeliveryState.FAILED: "bold red",
}


def webhooks(entries: Iterable[client.Webhook]) -> rich_table.Table:
    """One line for each webhook."""
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.cell(*_state(one)),
            tables.cell(one.url),
            tables.cell(_conditions(one.filter)),
            tables.age(one.last_success_at),
            tables.summary(one.description),
        )
        for one in entries
    ]
    headings = ("WEBHOOK", "STATE", "URL", "EVENTS", "DELIVERED", "DESCRIPTION")
    return grid.of(headings, rows, expendable=("DESCRIPTION", "DELIVERED"))


def deliveries(entries: Iterable[client.Delivery]) -> rich_table.Table:
    """One line for each delivery."""
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.cell(one.action),
            tables.cell(one.resource.partition("/")[2].partition("/")[2] or one.resource),
            tables.cell(one.state, _STATES.get(one.state, "")),
            tables.cell(f"{one.attempts:,}"),
            tables.age(one.created_at),
            tables.cell(one.error),
        )
        for one in entries
    ]
    headings = ("DELIVERY", "EVENT", "RESOURCE", "STATE", "TRIES", "CREATED", "ERROR")
    return grid.of(headings, rows, right={"TRIES"}, expendable=("CREATED", "RESOURCE"))


def issued(made: client.NewSecret) -> rich_console.Group:
    """A webhook with its new secret."""
    return rich_console.Group(
        shown(made.webhook), "", tables.pairs([("secret", made.secret)]), _ONCE
    )


_ONCE = "Give the secret to the receiver now: it is not shown again."


def shown(found: client.Webhook | client.DeliveryLog) -> rich_console.Group | rich_table.Table:
    """A webhook, or a delivery with its attempts."""
    if isinstance(found, client.DeliveryLog):
        return rich_console.Group(deliveries([found.delivery]), "", _attempts(found.attempts))
    state, style = _state(found)
    return tables.pairs(
        [
            ("webhook", tables.cell(found.ref, "bold")),
            ("url", found.url),
            ("events", _conditions(found.filter)),
            ("state", tables.cell(state, style)),
            ("reason", found.disabled_reason),
            ("failing since", _exact(found.failing_since)),
            ("delivered", _exact(found.last_success_at)),
            ("description", found.description),
        ]
    )


def _attempts(entries: Iterable[client.DeliveryAttempt]) -> rich_table.Table:
    rows = [
        (
            tables.cell(str(one.number)),
            tables.age(one.started_at),
            tables.cell(f"{one.duration_ms:,} ms"),
            tables.cell(str(one.status or "")),
            tables.cell(one.error),
            tables.summary(one.response),
        )
        for one in entries
    ]
    headings = ("TRY", "BEGUN", "TOOK", "STATUS", "ERROR", "ANSWER")
    return grid.of(headings, rows, right={"TRY", "TOOK"})


def _state(one: client.Webhook) -> tuple[str, str]:
    if not one.enabled:
        return "disabled", "bold red"
    return ("failing", "yellow") if one.failing_since else ("enabled", "green")


def _conditions(wanted: client.EventFilter) -> str:
    parts = [*wanted.actions, *(f"model={model}" for model in wanted.models)]
    parts += [f"resource={wanted.resource}"] if wanted.resource else []
    return ", ".join(parts) or "all"


def _exact(instant: object) -> str:
    return units.exact(instant) if instant else ""  # type: ignore[arg-type]
