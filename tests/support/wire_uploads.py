"""Uploads over the wire, message by message, so that a test can stop or spoil any of them."""

import hashlib
from collections.abc import Iterable
from typing import Any

import google_crc32c
from support import wire

from modelkeep.v1 import artifact_service_pb2 as pb

MIB = 1 << 20


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def start(stubs: wire.Stubs, parent: str, content: bytes) -> pb.Upload:
    answer = await stubs.artifact.StartUpload(
        pb.StartUploadRequest(parent=parent, digest=digest_of(content), size_bytes=len(content))
    )
    return answer.upload


async def get(stubs: wire.Stubs, name: str) -> pb.Upload:
    return (await stubs.artifact.GetUpload(pb.GetUploadRequest(name=name))).upload


async def complete(stubs: wire.Stubs, name: str) -> pb.Upload:
    answer = await stubs.artifact.CompleteUpload(pb.CompleteUploadRequest(name=name))
    return answer.upload


def messages_of(
    name: str, content: bytes, start: int = 0, end: int | None = None, *, finish: bool = True
) -> list[pb.WriteUploadRequest]:
    """The messages of a stream for bytes [start, end)."""
    end = len(content) if end is None else end
    messages = []
    for offset in range(start, end, MIB):
        data = content[offset : min(offset + MIB, end)]
        messages.append(
            pb.WriteUploadRequest(offset=offset, data=data, crc32c=google_crc32c.value(data))
        )
    if finish or not messages:
        messages.append(pb.WriteUploadRequest(offset=end, finish_stream=finish))
    messages[0].name = name
    return messages


async def write(
    stubs: wire.Stubs, messages: Iterable[pb.WriteUploadRequest]
) -> list[pb.WriteUploadResponse]:
    """Send the messages and return the answers, or raise what the server says."""
    call: Any = stubs.artifact.WriteUpload(iter(messages))
    return [answer async for answer in call]


async def write_until(
    stubs: wire.Stubs, messages: Iterable[pb.WriteUploadRequest], persisted: int
) -> Any:
    """Send the messages, wait until so much is durable, and return the call, still open."""
    call: Any = stubs.artifact.WriteUpload()
    for message in messages:
        await call.write(message)
    offset = 0
    while offset < persisted:
        offset = (await call.read()).persisted_offset
    return call


async def push(stubs: wire.Stubs, parent: str, content: bytes) -> pb.Upload:
    upload = await start(stubs, parent, content)
    kept = upload.persisted_ranges[0].end if upload.persisted_ranges else 0
    if kept < len(content):
        await write(stubs, messages_of(upload.name, content, kept))
    return await complete(stubs, upload.name)


async def read(stubs: wire.Stubs, name: str, **fields: int) -> tuple[bytes, list[Any]]:
    """The bytes, each chunk checked, and the answers without them."""
    content, answers = b"", []
    call: Any = stubs.artifact.ReadBlob(pb.ReadBlobRequest(name=name, **fields))
    async for answer in call:
        assert answer.offset == fields.get("offset", 0) + len(content)
        assert answer.crc32c == google_crc32c.value(answer.data)
        assert len(answer.data) <= MIB
        content += answer.data
        answers.append(answer)
    return content, answers
