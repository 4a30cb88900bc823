"""The audit log at work: long chains, secrets that must not be in it, the command line."""

import asyncio
import base64
import dataclasses
import json
import logging
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
import structlog
from support import chains, receiver, services, wire

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.domain import errors, redaction
from modelkeep.service import denials
from modelkeep.storage import database

MANY = 100_000
COLUMNS = ["namespace_id", "seq", "occurred_at", "actor", "client", "request_id", "action"]
COLUMNS += ["resource", "before", "after", "prev_hash", "hash"]


async def fill(url: str, namespace: str, events: int) -> None:
    """Give a namespace a chain of so many events."""
    made, previous = [], links.FIRST_HASH
    for sequence in range(1, events + 1):
        link = chains.written(sequence, previous, namespace=namespace)
        previous = link.hash
        made.append(chains.fields_of(link))
    connection = await asyncpg.connect(url)
    namespace_id = await connection.fetchval(
        "INSERT INTO namespace (name, description, labels, creator) VALUES ($1, '', '{}', 'x') "
        "RETURNING namespace_id",
        namespace,
    )
    rows = [(namespace_id, number, chains.instant_of(at), *rest) for number, at, *rest in made]
    await connection.copy_records_to_table("audit_event", records=rows, columns=COLUMNS)
    await connection.execute(
        "INSERT INTO event_counter (namespace_id, last_seq, last_hash) VALUES ($1, $2, $3)",
        namespace_id,
        events,
        previous,
    )
    await connection.close()


async def proved(registry: client.Registry, chain: str) -> int:
    """Have a chain verified by the server and, exported, here; the number of events."""
    (verdict,) = [one async for one in registry.verify_audit(chain)]
    assert verdict.is_intact, verdict
    walking = client.AuditFileWalk()
    async for line in registry.export_audit(chain):
        walking.take(line.encode())
    offline = walking.finish()
    assert offline.is_intact, offline
    assert offline.sequence == verdict.sequence
    return verdict.sequence


@pytest.mark.slow
async def test_a_hundred_thousand_events_are_verified(config: configuration.Config) -> None:
    await fill(config.database_url, "long", MANY)
    async with app.running(config) as endpoint, client.connect(endpoint) as registry:
        assert await proved(registry, "long") == MANY


async def test_memory_does_not_grow_with_the_chain(config: configuration.Config) -> None:
    peaks_bytes = []
    lengths = {"short": 2_000, "long": 8_000}
    for namespace, events in lengths.items():
        await fill(config.database_url, namespace, events)
    async with app.running(config) as endpoint, client.connect(endpoint) as registry:
        for namespace in ("short", *lengths):  # once before, so that everything is loaded
            tracemalloc.start()
            await proved(registry, namespace)
            peaks_bytes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks_bytes[2] < 1.3 * peaks_bytes[1]


SECRETS = {
    "path": "https://93.184.216.34/services/PLANTED-PATH",
    "query": "https://93.184.216.34/?key=PLANTED-QUERY",
    "changed": "https://93.184.216.34/PLANTED-CHANGED",
}


async def test_secrets_are_in_no_event_and_no_log(
    config: configuration.Config, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    config = dataclasses.replace(
        receiver.configured(config),
        audit_signing_key=configuration.SecretKeys((chains.SEED,)),
    )
    told: list[str] = []
    async with app.running(config) as endpoint, client.connect(endpoint) as registry:
        await registry.create_namespace("acme")
        for url in (SECRETS["path"], SECRETS["query"]):
            made = await registry.create_webhook("acme", url)
            told.append(made.secret.removeprefix("whsec_"))
        told.append((await registry.rotate_webhook_secret(made.webhook.ref)).secret[6:])
        await registry.update_webhook(made.webhook.ref, url=SECRETS["changed"])
        await registry.delete_webhook(made.webhook.ref)
        exported = [line async for line in registry.export_audit("acme")]
    keys = map(_base64, (chains.SEED, config.secret_key[0]))
    planted = [*told, "PLANTED", config.s3_secret_key, *keys]
    connection = await asyncpg.connect(config.database_url)
    rows = [
        dict(row)
        for table in ("audit_event", "event_log")
        for row in await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 - a constant
    ]
    await connection.close()
    shown = repr(rows) + "".join(exported) + caplog.text + "".join(capsys.readouterr())
    assert "webhook.secret_rotated" in shown
    assert "https://93.184.216.34/[redacted]" in shown
    assert [secret for secret in planted if secret in shown] == []
    assert repr(config).find(_base64(chains.SEED)) < 0


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_fields_that_are_secret_by_name_are_left_out_whoever_records_them() -> None:
    fields = {"secret": "s", "token": {"a": 1}, "password": None, "url": "https://h/", "x": "y"}
    assert redaction.redacted(fields) == {
        "secret": "[redacted]",
        "token": "[redacted]",
        "password": None,
        "url": "https://h/",
        "x": "y",
    }
    assert redaction.redacted({"url": "https://u:p@h:1/a?b"}) == {"url": "https://h:1/[redacted]"}


async def test_denied_attempts_that_were_only_counted_are_written_at_the_end(
    database_url: str,
) -> None:
    db = await database.Database.open(database_url, 4)
    kept = denials.Denials(db)
    caller = callers.Caller("mallory", "1.2.3.4:5 x", "r")
    refused = errors.PermissionDenied("no", action="model.create", resource="namespaces/acme")
    for _ in range(25):
        await kept.note(caller, refused)
    await kept.close()
    await db.close()
    payloads = await services.fetch_value(
        database_url, "SELECT array_agg(after::text ORDER BY seq) FROM audit_event"
    )
    assert len(payloads) == 11
    assert json.loads(payloads[-1]) == {
        "action": "model.create",
        "more_attempts": 15,
        "outcome": "denied",
    }


async def test_a_denial_is_answered_even_if_it_cannot_be_written(database_url: str) -> None:
    db = await database.Database.open(database_url, 1)
    kept = denials.Denials(db)
    await db.close()
    with structlog.testing.capture_logs() as logs:
        await kept.note(
            callers.Caller("mallory", "c", "r"),
            errors.PermissionDenied("no", action="model.create", resource=""),
        )
    assert [line["event"] for line in logs] == ["audit.denial_lost"]


@dataclasses.dataclass
class Ended:
    exit_code: int
    stdout: str
    output: str


async def verb(*arguments: str) -> Ended:
    """Run `modelkeep audit ...` as a process."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "modelkeep", "audit", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await running.communicate()
    return Ended(running.returncode or 0, stdout.decode(), (stdout + stderr).decode())


async def test_the_command_line_lists_proves_and_exports(
    config: configuration.Config, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        config,
        audit_signing_key=configuration.SecretKeys((chains.SEED,)),
        audit_checkpoint_interval_s=0.05,
    )
    async with (
        app.running(config) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        stubs = wire.Stubs.over(channel)
        version = await stubs.ready(await stubs.new_model())
        namespace = version.name.split("/")[1]
        here = ("--endpoint", endpoint)

        listed = await verb("log", namespace, "--model", "m@1.0.0", *here)
        assert listed.exit_code == 0, listed.output
        assert "version.finalized" in listed.output
        assert "namespace.created" not in listed.output
        as_json = await verb("log", namespace, "--action", "model.*", "-o", "json", *here)
        assert [event["sequence"] for event in json.loads(as_json.stdout)] == [2]
        async with asyncio.timeout(20):
            while not (kept := await verb("checkpoints", namespace, *here)).stdout:
                pass
        verified = await verb("verify", namespace, *here)
        assert verified.exit_code == 0, verified.output
        assert "intact" in verified.output
        assert (await verb("verify", "--all", *here)).exit_code == 0
        key = json.loads((await verb("keys", "-o", "json", *here)).stdout)[0]["public_key"]
        exported = await verb("export", namespace, *here)
        file, checkpoints = tmp_path / "audit.jsonl", tmp_path / "kept.jsonl"
        file.write_text(exported.stdout)
        checkpoints.write_text(kept.stdout)
        offline = ("verify", "--file", str(file), "--key", key, "--checkpoints", str(checkpoints))
        assert (await verb(*offline)).exit_code == 0
        both = await verb("verify", namespace, *offline[3:], *here)
        assert both.exit_code == 0, both.output
        later = await verb("export", namespace, "--since", "2", *here)
        assert len(later.stdout.splitlines()) < len(exported.stdout.splitlines())
        await services.execute(
            config.database_url,
            "ALTER TABLE audit_event DISABLE TRIGGER ALL; "
            "UPDATE audit_event SET actor = 'eve' WHERE seq = 2",
        )
        broken = await verb("verify", namespace, *here)
        assert broken.exit_code == 1
        assert f"the chain of {namespace} is broken at event 2 (changed)" in broken.output
    file.write_text(exported.stdout.replace("anonymous", "somebody", 1))
    tampered = await verb(*offline)
    assert tampered.exit_code == 1
    assert "is broken at event 1 (changed)" in tampered.output
    assert (await verb("verify")).exit_code == 2
    assert (await verb("verify", "--file", str(file), "--key", "x")).exit_code == 2
