"""CreateTransferUrls and ConfirmParts: bytes that go past the server, and what it makes of them."""

import asyncio
import dataclasses
import datetime
import logging
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import google_crc32c
import grpc
import pytest
import urllib3
from support import services, wire, wire_uploads

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

MIB = 1 << 20
PART = 16 * MIB
PARENT = "namespaces/acme"
CODES = grpc.StatusCode
CONTENT = os.urandom(PART + 5)


@pytest.fixture
def config(config: configuration.Config) -> configuration.Config:
    return dataclasses.replace(
        config,
        s3_public_endpoint=configuration.HostAndPort(config.s3_endpoint),
        s3_public_secure=False,
    )


@pytest.fixture
async def stubs(endpoint: str) -> AsyncIterator[wire.Stubs]:
    async with grpc.aio.insecure_channel(endpoint) as channel:
        made = wire.Stubs.over(channel)
        await made.registry.CreateNamespace(registry_pb.CreateNamespaceRequest(namespace_id="acme"))
        yield made


def part_of(number: int, content: bytes = CONTENT) -> bytes:
    return content[(number - 1) * PART : number * PART]


async def urls_for(
    stubs: wire.Stubs, upload: str, *numbers: int, content: bytes = CONTENT
) -> pb.CreateTransferUrlsResponse:
    """URLs for these parts, bound to what they are in `content`."""
    parts = [
        pb.PartToSend(number=number, crc32c=google_crc32c.value(part_of(number, content)))
        for number in numbers
    ]
    return await stubs.artifact.CreateTransferUrls(
        pb.CreateTransferUrlsRequest(name=upload, parts=parts)
    )


def send(url: pb.TransferUrl, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        url.method, url.url, body=body, headers=dict(url.headers), retries=False, timeout=30
    )


def put(urls: pb.CreateTransferUrlsResponse, content: bytes = CONTENT) -> list[pb.SentPart]:
    """Put every part by its URL; what there is to confirm."""
    sent = []
    for url in urls.urls:
        answer = send(url, part_of(url.part_number, content))
        assert answer.status == 200, answer.data
        sent.append(
            pb.SentPart(number=url.part_number, crc32c=url.crc32c, etag=answer.headers["etag"])
        )
    return sent


async def confirm(
    stubs: wire.Stubs, upload: str, stream: int, sent: Sequence[pb.SentPart]
) -> pb.Upload:
    request = pb.ConfirmPartsRequest(name=upload, stream=stream, sent_parts=sent)
    return (await stubs.artifact.ConfirmParts(request)).upload


async def push(
    stubs: wire.Stubs, content: bytes = CONTENT
) -> tuple[pb.Upload, list[pb.TransferUrl]]:
    """Send a blob past the server; the committed upload, and the URLs that were used."""
    upload = await wire_uploads.start(stubs, PARENT, content)
    count = -(-len(content) // PART)
    urls = await urls_for(stubs, upload.name, *range(1, count + 1), content=content)
    await confirm(stubs, upload.name, urls.stream, put(urls, content))
    done = await wire_uploads.complete(stubs, upload.name)
    while done.state == pb.UPLOAD_STATE_VERIFYING:
        done = await wire_uploads.get(stubs, upload.name)
    assert done.state == pb.UPLOAD_STATE_COMMITTED
    return done, list(urls.urls)


async def is_committed(stubs: wire.Stubs, upload: str) -> bool:
    """Whether an upload completes; if not, it is for its bytes."""
    try:
        await wire_uploads.complete(stubs, upload)
    except grpc.aio.AioRpcError as refused:
        if refused.code() is not CODES.DATA_LOSS:
            raise
        return False
    return True


async def drained(call: Any) -> None:
    """Read a stream to its end."""
    while await call.read() is not grpc.aio.EOF:
        pass


def blob_name(content: bytes = CONTENT) -> str:
    return f"{PARENT}/blobs/{wire_uploads.digest_of(content)}"


async def test_capabilities_tell_that_urls_are_given_out(stubs: wire.Stubs) -> None:
    told = await stubs.artifact.GetCapabilities(pb.GetCapabilitiesRequest())
    assert (told.direct_transfer, told.max_transfer_urls) == (True, 64)


@pytest.mark.parametrize("size_bytes", [1, PART, PART + 5, 2 * PART])
async def test_what_was_put_by_urls_is_read_by_urls(stubs: wire.Stubs, size_bytes: int) -> None:
    content = os.urandom(size_bytes)
    await push(stubs, content)
    answer = await stubs.artifact.CreateTransferUrls(
        pb.CreateTransferUrlsRequest(name=blob_name(content))
    )
    assert answer.blob.size_bytes == size_bytes
    got = b""
    for url in answer.urls:
        piece = send(url).data
        assert google_crc32c.value(piece) == url.crc32c
        assert (url.range.start, url.range.end) == (len(got), len(got) + len(piece))
        got += piece
    assert got == content
    assert (await wire_uploads.read(stubs, blob_name(content)))[0] == content


async def test_a_range_of_a_blob_has_urls_that_end_at_its_parts(stubs: wire.Stubs) -> None:
    await push(stubs)
    request = pb.CreateTransferUrlsRequest(name=blob_name(), offset=PART - 3, limit=7)
    first, second = (await stubs.artifact.CreateTransferUrls(request)).urls
    assert send(first).data + send(second).data == CONTENT[PART - 3 : PART + 4]
    assert not first.HasField("crc32c")


async def test_a_url_is_good_for_its_range_only(stubs: wire.Stubs) -> None:
    await push(stubs)
    request = pb.CreateTransferUrlsRequest(name=blob_name(), limit=10)
    (url,) = (await stubs.artifact.CreateTransferUrls(request)).urls
    url.headers["range"] = "bytes=0-99"
    assert send(url).status == 403
    del url.headers["range"]
    assert send(url).status in (400, 403)


async def test_the_store_refuses_other_bytes_and_other_sizes(stubs: wire.Stubs) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    (url,) = (await urls_for(stubs, upload.name, 2)).urls
    assert url.headers["content-length"] == "5"
    assert send(url, b"wrong").status == 400
    url.headers["content-length"] = "6"
    assert send(url, b"longer").status == 403
    url.headers["content-length"] = "5"
    del url.headers["x-amz-checksum-crc32c"]
    assert send(url, b"wrong").status in (400, 403)
    assert not (await wire_uploads.get(stubs, upload.name)).persisted_ranges


async def test_a_part_that_was_never_sent_is_not_believed(stubs: wire.Stubs) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    never = pb.SentPart(number=1, etag="0" * 32)
    failure = await wire.failing(confirm(stubs, upload.name, 1, [never]))
    assert failure.reason == "PART_NOT_STORED"
    urls = await urls_for(stubs, upload.name, 1, 2)
    failure = await wire.failing(confirm(stubs, upload.name, urls.stream, [never]))
    assert (failure.code, failure.reason) == (CODES.FAILED_PRECONDITION, "PART_NOT_STORED")
    assert failure.metadata["part"] == "1"


async def test_a_part_is_not_recorded_with_a_tag_that_is_not_its_own(stubs: wire.Stubs) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    urls = await urls_for(stubs, upload.name, 1, 2)
    sent = put(urls)
    swapped = [
        pb.SentPart(number=1, crc32c=sent[0].crc32c, etag=sent[1].etag),
        pb.SentPart(number=2, crc32c=sent[1].crc32c, etag=sent[0].etag),
    ]
    failure = await wire.failing(confirm(stubs, upload.name, urls.stream, swapped))
    assert failure.reason == "PART_NOT_STORED"
    assert not (await wire_uploads.get(stubs, upload.name)).persisted_ranges
    confirmed = await confirm(stubs, upload.name, urls.stream, sent)
    assert confirmed.persisted_ranges[0].end == len(CONTENT)
    again = await confirm(stubs, upload.name, urls.stream, sent)
    assert again.persisted_ranges == confirmed.persisted_ranges


async def test_bytes_that_are_not_the_declared_ones_are_never_committed(stubs: wire.Stubs) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    other = os.urandom(len(CONTENT))
    urls = await urls_for(stubs, upload.name, 1, 2, content=other)
    await confirm(stubs, upload.name, urls.stream, put(urls, other))
    failure = await wire.failing(wire_uploads.complete(stubs, upload.name))
    assert (failure.code, failure.reason) == (CODES.DATA_LOSS, "DIGEST_MISMATCH")
    assert (await wire.failing(wire_uploads.read(stubs, blob_name()))).code == CODES.NOT_FOUND


async def test_a_checksum_that_a_client_makes_up_is_not_kept(stubs: wire.Stubs) -> None:
    """Else a reader would later be told that sound bytes are damaged."""
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    urls = await urls_for(stubs, upload.name, 1, 2)
    sent = put(urls)
    for part in sent:
        part.crc32c ^= 1
    await confirm(stubs, upload.name, urls.stream, sent)
    if await is_committed(stubs, upload.name):  # a store may refuse to complete it so
        assert (await wire_uploads.read(stubs, blob_name()))[0] == CONTENT


@pytest.mark.parametrize("size_bytes", [5, PART + 5])
async def test_a_url_that_is_used_after_the_commit_changes_nothing(
    stubs: wire.Stubs, size_bytes: int, s3: services.S3, config: configuration.Config
) -> None:
    content = os.urandom(size_bytes)
    _, urls = await push(stubs, content)
    before = stored(s3, config)
    for url in urls:
        assert send(url, part_of(url.part_number, content)).status == 404
    assert stored(s3, config) == before
    assert (await wire_uploads.read(stubs, blob_name(content)))[0] == content


@pytest.mark.parametrize("size_bytes", [5, PART + 5])
async def test_a_url_that_is_used_after_the_abort_stores_nothing(
    stubs: wire.Stubs, size_bytes: int, s3: services.S3, config: configuration.Config
) -> None:
    content = os.urandom(size_bytes)
    upload = await wire_uploads.start(stubs, PARENT, content)
    urls = await urls_for(stubs, upload.name, 1, content=content)
    put(urls, content)
    await stubs.artifact.AbortUpload(pb.AbortUploadRequest(name=upload.name))
    assert send(urls.urls[0], part_of(1, content)).status == 404
    assert stored(s3, config) == []
    late = pb.SentPart(number=1, etag="0" * 32)
    failure = await wire.failing(confirm(stubs, upload.name, urls.stream, [late]))
    assert failure.reason == "UPLOAD_NOT_ACTIVE"
    failure = await wire.failing(urls_for(stubs, upload.name, 1, content=content))
    assert failure.reason == "UPLOAD_NOT_ACTIVE"


async def test_a_part_that_changes_after_it_was_confirmed_is_never_committed_unseen(
    stubs: wire.Stubs,
) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    other = CONTENT[:-5] + b"other"
    spoiling = await urls_for(stubs, upload.name, 2, content=other)
    urls = await urls_for(stubs, upload.name, 1, 2)
    await confirm(stubs, upload.name, urls.stream, put(urls))
    put(spoiling, other)
    if await is_committed(stubs, upload.name):  # else the store has one part of a number only
        assert (await wire_uploads.read(stubs, blob_name()))[0] == CONTENT


async def test_of_two_writers_of_a_part_the_later_one_counts(stubs: wire.Stubs) -> None:
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    first = await urls_for(stubs, upload.name, 1)
    second = await urls_for(stubs, upload.name, 1)
    sent = put(first)
    failure = await wire.failing(confirm(stubs, upload.name, first.stream, sent))
    assert (failure.code, failure.reason) == (CODES.ABORTED, "UPLOAD_PART_TAKEN")
    await confirm(stubs, upload.name, second.stream, put(second))
    await confirm(stubs, upload.name, first.stream, sent)  # durable, whoever brought it
    assert not (await urls_for(stubs, upload.name, 1)).urls


@pytest.mark.parametrize("size_bytes", [5, PART + 5])
async def test_a_stream_takes_over_from_urls_and_goes_on(
    stubs: wire.Stubs, size_bytes: int
) -> None:
    content = os.urandom(size_bytes)
    upload = await wire_uploads.start(stubs, PARENT, content)
    urls = await urls_for(stubs, upload.name, 1, content=content)
    sent = put(urls, content)
    await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, content))
    confirmed = await confirm(stubs, upload.name, urls.stream, sent)
    assert confirmed.persisted_ranges[0].end == len(content)
    done = await wire_uploads.complete(stubs, upload.name)
    assert done.state == pb.UPLOAD_STATE_COMMITTED
    assert (await wire_uploads.read(stubs, blob_name(content)))[0] == content


async def test_urls_take_a_small_blob_over_from_a_stream_that_has_begun(stubs: wire.Stubs) -> None:
    content = os.urandom(3 * MIB)
    upload = await wire_uploads.start(stubs, PARENT, content)
    messages = wire_uploads.messages_of(upload.name, content)
    call = stubs.artifact.WriteUpload()
    await call.write(messages[0])
    await call.write(pb.WriteUploadRequest(offset=MIB, state_lookup=True))
    await call.read()  # it has its claim now
    urls = await urls_for(stubs, upload.name, 1, content=content)
    for message in messages[1:]:
        await call.write(message)
    assert (await wire.failing(drained(call))).reason == "UPLOAD_PART_TAKEN"
    await confirm(stubs, upload.name, urls.stream, put(urls, content))
    assert (await wire_uploads.complete(stubs, upload.name)).state == pb.UPLOAD_STATE_COMMITTED


async def test_urls_are_refused_where_bytes_are_refused(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(registry_pb.MODEL_KIND_PROMPT)
    name = f"{(await stubs.ready(model)).name}/files/prompt.json"
    ask = pb.CreateTransferUrlsRequest(name=name)
    assert len((await stubs.artifact.CreateTransferUrls(ask)).urls) == 1
    await stubs.registry.DeleteVersion(
        registry_pb.DeleteVersionRequest(name=name.rpartition("/files/")[0])
    )
    failure = await wire.failing(stubs.artifact.CreateTransferUrls(ask))
    assert (failure.code, failure.reason) == (CODES.FAILED_PRECONDITION, "VERSION_NOT_READY")
    draft = (await stubs.draft(model, "2.0.0")).name
    ask.name = f"{draft}/files/prompt.json"
    failure = await wire.failing(stubs.artifact.CreateTransferUrls(ask))
    assert failure.reason == "VERSION_NOT_READY"


async def test_a_quarantined_version_has_no_urls(
    stubs: wire.Stubs, config: configuration.Config
) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    await services.execute(
        config.database_url,
        "UPDATE version SET state = 'quarantined', quarantine_reason = 'x'",
    )
    ask = pb.CreateTransferUrlsRequest(name=f"{version}/files/prompt.json")
    failure = await wire.failing(stubs.artifact.CreateTransferUrls(ask))
    assert (failure.code, failure.reason) == (CODES.FAILED_PRECONDITION, "VERSION_NOT_READY")
    assert failure.metadata["state"] == "quarantined"


async def test_an_upload_of_another_namespace_is_not_there(stubs: wire.Stubs) -> None:
    await stubs.registry.CreateNamespace(registry_pb.CreateNamespaceRequest(namespace_id="other"))
    upload = await wire_uploads.start(stubs, PARENT, CONTENT)
    elsewhere = upload.name.replace("/acme/", "/other/")
    assert (await wire.failing(urls_for(stubs, elsewhere, 1))).code == CODES.NOT_FOUND
    sent = [pb.SentPart(number=1, etag="x")]
    assert (await wire.failing(confirm(stubs, elsewhere, 1, sent))).code == CODES.NOT_FOUND
    await push(stubs, b"of acme only")
    ask = pb.CreateTransferUrlsRequest(name=blob_name(b"of acme only").replace("acme", "other"))
    assert (await wire.failing(stubs.artifact.CreateTransferUrls(ask))).code == CODES.NOT_FOUND


async def test_what_is_malformed_is_named(stubs: wire.Stubs) -> None:
    upload = (await wire_uploads.start(stubs, PARENT, CONTENT)).name
    assert (await wire.failing(urls_for(stubs, upload))).fields == ["parts"]
    assert (await wire.failing(urls_for(stubs, upload, 1, 3))).fields == ["parts[1].number"]
    assert (await wire.failing(urls_for(stubs, upload, 1, 1))).fields == ["parts[1].number"]
    assert (await wire.failing(urls_for(stubs, upload, 0))).fields == ["parts[0].number"]
    many = await wire.failing(urls_for(stubs, upload, *range(1, 66)))
    assert many.fields == ["parts"]
    no_tag = await wire.failing(confirm(stubs, upload, 1, [pb.SentPart(number=1)]))
    assert no_tag.fields == ["sent_parts[0].etag"]
    await push(stubs, b"short")
    beyond = pb.CreateTransferUrlsRequest(name=blob_name(b"short"), offset=6)
    assert (
        await wire.failing(stubs.artifact.CreateTransferUrls(beyond))
    ).code == CODES.OUT_OF_RANGE


def stored(s3: services.S3, config: configuration.Config) -> list[tuple[str, str, int]]:
    """Every object in the store, and every open multipart upload."""
    client, bucket = s3.client(), config.s3_bucket
    found = client.list_objects(bucket, recursive=True)
    return [(str(one.object_name), str(one.etag), one.size or 0) for one in found]


async def test_a_url_expires(config: configuration.Config) -> None:
    brief = dataclasses.replace(config, transfer_url_lifetime_s=1)
    async with app.running(brief) as address, grpc.aio.insecure_channel(address) as channel:
        stubs = wire.Stubs.over(channel)
        await stubs.registry.CreateNamespace(
            registry_pb.CreateNamespaceRequest(namespace_id="acme")
        )
        upload = await wire_uploads.start(stubs, PARENT, CONTENT)
        (url,) = (await urls_for(stubs, upload.name, 2)).urls
        expires_at = url.expire_time.ToDatetime(tzinfo=datetime.UTC)
        left = expires_at - datetime.datetime.now(datetime.UTC)
        await asyncio.sleep(left.total_seconds() + 1)  # nothing but time makes it expire
        assert send(url, part_of(2)).status == 403


async def test_a_server_that_is_told_no_public_endpoint_gives_out_nothing(
    config: configuration.Config,
) -> None:
    closed = dataclasses.replace(config, s3_public_endpoint=configuration.HostAndPort(""))
    async with app.running(closed) as address, grpc.aio.insecure_channel(address) as channel:
        stubs = wire.Stubs.over(channel)
        told = await stubs.artifact.GetCapabilities(pb.GetCapabilitiesRequest())
        assert not told.direct_transfer
        await stubs.registry.CreateNamespace(
            registry_pb.CreateNamespaceRequest(namespace_id="acme")
        )
        upload = await wire_uploads.start(stubs, PARENT, CONTENT)
        failure = await wire.failing(urls_for(stubs, upload.name, 1))
        assert failure.reason == "DIRECT_TRANSFER_OFF"
        await wire_uploads.push(stubs, PARENT, b"some")
        ask = pb.CreateTransferUrlsRequest(name=blob_name(b"some"))
        failure = await wire.failing(stubs.artifact.CreateTransferUrls(ask))
        assert failure.reason == "DIRECT_TRANSFER_OFF"


async def test_no_log_has_a_signature(
    stubs: wire.Stubs, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "urllib3.connectionpool")  # this test's own calls
    await push(stubs)
    await stubs.artifact.CreateTransferUrls(pb.CreateTransferUrlsRequest(name=blob_name()))
    said = capfd.readouterr()
    text = said.out + said.err + "".join(record.getMessage() for record in caplog.records)
    assert "CreateTransferUrls" in text
    assert "X-Amz" not in text
