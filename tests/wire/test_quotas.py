"""Quotas and usage over the wire, and a caller who opens ten thousand uploads."""

import asyncio
import dataclasses

import asyncpg
import grpc
import psutil
import pytest
from google.rpc import error_details_pb2, status_pb2
from support import wire, wire_uploads

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2
from modelkeep.v1 import registry_service_pb2 as pb

ACME = "namespaces/acme"
MANY, BY_WIRE = 10_000, 200
QUOTAS = ("stored_bytes_quota", "logical_bytes_quota", "open_uploads_quota")
OPEN_MANY = """
INSERT INTO upload (upload_id, namespace_id, digest, size_bytes, part_size_bytes, state,
    storage_key, creator, expires_at)
SELECT md5(n::text), 1, sha256(n::text::bytea), 1000, 16777216, 'active', 'blobs/' || md5(n::text),
    'anonymous', now() + interval '7 days' FROM generate_series(1, $1::int) n"""


@pytest.fixture(autouse=True)
async def _acme(stubs: wire.Stubs) -> None:
    await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="acme"))


async def update(stubs: wire.Stubs, *, etag: str = "", **changed: int) -> pb.Namespace:
    answer = await stubs.registry.UpdateNamespace(
        pb.UpdateNamespaceRequest(
            namespace=pb.Namespace(name=ACME, etag=etag, **changed),
            update_mask={"paths": list(changed)},
        )
    )
    return answer.namespace


async def usage(stubs: wire.Stubs) -> pb.NamespaceUsage:
    return (await stubs.registry.GetNamespaceUsage(pb.GetNamespaceUsageRequest(name=ACME))).usage


def details_of(error: grpc.aio.AioRpcError) -> dict[str, object]:
    packed = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    found: dict[str, object] = {}
    for detail in status_pb2.Status.FromString(packed).details:  # type: ignore[arg-type]
        name = detail.type_url.rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name).FromString(detail.value)
    return found


async def test_quotas_are_fields_of_a_namespace_like_any_other(
    stubs: wire.Stubs, config: configuration.Config
) -> None:
    first = await update(stubs, stored_bytes_quota=10, open_uploads_quota=2)
    assert [getattr(first, quota) for quota in QUOTAS] == [10, 0, 2]
    stale = await wire.failing(update(stubs, etag="1", stored_bytes_quota=99))
    assert stale.reason == "STALE_ETAG"
    second = await update(stubs, etag=first.etag, stored_bytes_quota=0, logical_bytes_quota=7)
    assert [getattr(second, quota) for quota in QUOTAS] == [0, 7, 2]
    connection = await asyncpg.connect(config.database_url)
    told = await connection.fetch("SELECT before, after FROM audit_event ORDER BY seq DESC LIMIT 1")
    await connection.close()
    assert told[0]["before"] == '{"logical_bytes_quota":0,"stored_bytes_quota":10}'
    assert told[0]["after"] == '{"logical_bytes_quota":7,"stored_bytes_quota":0}'
    created = await stubs.registry.CreateNamespace(
        pb.CreateNamespaceRequest(
            namespace_id="other", namespace=pb.Namespace(open_uploads_quota=3)
        )
    )
    assert created.namespace.open_uploads_quota == 3
    listed = (await stubs.registry.ListNamespaces(pb.ListNamespacesRequest())).namespaces
    assert [one.open_uploads_quota for one in listed] == [2, 3]


async def test_a_new_namespace_has_the_quotas_of_the_configuration_unless_it_states_some(
    config: configuration.Config,
) -> None:
    config = dataclasses.replace(config, new_namespace_stored_gib=3, new_namespace_open_uploads=2)
    async with app.running(config) as address, grpc.aio.insecure_channel(address) as channel:
        stubs = wire.Stubs.over(channel)
        created = await stubs.registry.CreateNamespace(
            pb.CreateNamespaceRequest(
                namespace_id="new", namespace=pb.Namespace(open_uploads_quota=9)
            )
        )
        assert [getattr(created.namespace, quota) for quota in QUOTAS] == [3 << 30, 0, 9]


@pytest.mark.parametrize("quota", QUOTAS)
async def test_a_quota_below_zero_is_none(stubs: wire.Stubs, quota: str) -> None:
    failure = await wire.failing(update(stubs, **{quota: -1}))
    assert failure.fields == [f"namespace.{quota}"]


async def test_usage_tells_what_is_taken_of_what_may_be(stubs: wire.Stubs) -> None:
    await update(stubs, stored_bytes_quota=100, logical_bytes_quota=200, open_uploads_quota=9)
    await wire_uploads.push(stubs, ACME, b"1234")
    await wire_uploads.start(stubs, ACME, b"56789")
    wanted = pb.NamespaceUsage(
        name=ACME,
        stored_bytes=4,
        reserved_bytes=5,
        stored_bytes_quota=100,
        logical_bytes_quota=200,
        open_uploads=1,
        open_uploads_quota=9,
    )
    assert await usage(stubs) == wanted
    recount = await stubs.registry.RecountNamespaceUsage(
        pb.RecountNamespaceUsageRequest(name=ACME, request_id="r")
    )
    assert recount.usage == recount.previous == wanted
    nowhere = pb.GetNamespaceUsageRequest(name="namespaces/no")
    failure = await wire.failing(stubs.registry.GetNamespaceUsage(nowhere))
    assert failure.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("quota", "limit", "longest_s"), [("stored_bytes", 5, 60), ("open_uploads", 1, 5)]
)
async def test_a_refusal_tells_people_and_programs_what_is_full_and_when_to_come_again(
    stubs: wire.Stubs, quota: str, limit: int, longest_s: int
) -> None:
    await wire_uploads.start(stubs, ACME, b"1234")
    await update(stubs, **{f"{quota}_quota": limit})
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await wire_uploads.start(stubs, ACME, b"56")
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    failure, details = wire.failure_of(error.value), details_of(error.value)
    used, asked = ("4", "2") if quota == "stored_bytes" else ("1", "1")
    assert failure.reason == "QUOTA_EXCEEDED"
    assert failure.metadata == {
        "namespace": ACME,
        "quota": quota,
        "limit": str(limit),
        "used": used,
        "asked": asked,
    }
    (violation,) = details["QuotaFailure"].violations  # type: ignore[attr-defined]
    assert (violation.subject, violation.quota_metric) == (ACME, quota)
    assert (violation.quota_value, violation.description) == (limit, failure.message)
    assert 0 < details["RetryInfo"].retry_delay.seconds <= longest_s  # type: ignore[attr-defined]
    assert "modelkeep quota set acme" in failure.message


async def test_finalize_refuses_what_the_versions_may_not_have(stubs: wire.Stubs) -> None:
    model = await stubs.registry.CreateModel(
        pb.CreateModelRequest(parent=ACME, model_id="m", model=pb.Model(kind=pb.MODEL_KIND_PROMPT))
    )
    await stubs.ready(model.model.name, "1.0.0")
    taken = (await usage(stubs)).logical_bytes
    assert taken > 0
    await update(stubs, logical_bytes_quota=taken)
    failure = await wire.failing(stubs.ready(model.model.name, "1.1.0"))
    assert failure.metadata["quota"] == "logical_bytes"
    draft = await stubs.registry.GetVersion(
        pb.GetVersionRequest(name=f"{model.model.name}/versions/1.1.0")
    )
    assert draft.version.state == pb.VERSION_STATE_DRAFT
    assert (await usage(stubs)).logical_bytes == taken


async def open_by_wire(stubs: wire.Stubs, numbers: range) -> list[artifact_service_pb2.Upload]:
    return await asyncio.gather(
        *(wire_uploads.start(stubs, ACME, b"by wire %d" % n) for n in numbers)
    )


@pytest.fixture
async def crowded(stubs: wire.Stubs, _acme: None, config: configuration.Config) -> wire.Stubs:
    connection = await asyncpg.connect(config.database_url)
    await connection.execute(OPEN_MANY, MANY - BY_WIRE)
    await connection.close()
    return stubs


async def test_ten_thousand_open_uploads_cost_the_others_nothing(crowded: wire.Stubs) -> None:
    before = psutil.Process().memory_info().rss
    opened = await open_by_wire(crowded, range(BY_WIRE))
    assert (await usage(crowded)).open_uploads == MANY
    for upload in opened[:50]:
        await wire_uploads.get(crowded, upload.name)
        await wire_uploads.start(crowded, ACME, b"by wire 0")
    names, token = set(), ""
    for _ in range(MANY // 1000):
        page = await crowded.artifact.ListUploads(
            artifact_service_pb2.ListUploadsRequest(parent=ACME, page_size=1000, page_token=token)
        )
        names |= {upload.name for upload in page.uploads}
        token = page.next_page_token
    assert (len(names), token) == (MANY, "")
    # Server and client are in this process; what is open has no place in its memory.
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024


async def test_with_a_quota_the_limit_is_where_it_ends(crowded: wire.Stubs) -> None:
    await update(crowded, open_uploads_quota=MANY - BY_WIRE + 50)
    opened = await asyncio.gather(
        *(wire_uploads.start(crowded, ACME, b"by wire %d" % n) for n in range(BY_WIRE)),
        return_exceptions=True,
    )
    refused = [one for one in opened if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) == BY_WIRE - 50
    assert (await usage(crowded)).open_uploads == MANY - BY_WIRE + 50
