"""CreateTransferUrls and ConfirmParts: bytes that go past the server, and what it makes of them."""

import dataclasses
import os
from collections.abc import AsyncIterator, Sequence

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
        await made.registry.CreateNamespace(
            registry_pb.CreateNamespaceRequest(namespace_id="acme")
        )
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


async def push(stubs: wire.Stubs, content: bytes = CONTENT) -> tuple[pb.Upload, list[pb.TransferUrl]]:
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
