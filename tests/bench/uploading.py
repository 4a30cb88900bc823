"""The uploads of bench_loaded, in a process of its own: runs what it reads from stdin.

One JSON object in: `endpoint`, `namespace`, `size_mib`, `at_once`, and `whole`. One line out when
all streams are under way, one with the figures at the end. Whole uploads are completed and
verified, one for each stream; others go on, one after the other, until a line comes in, and are
given up.
"""

import asyncio
import hashlib
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import grpc

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2_grpc

_MIB = 1 << 20
_CHUNK = bytes(_MIB)
_VERIFIED_WITHIN_S = 600


@dataclass(slots=True)
class Uploads:
    """Some uploads at once over one connection each."""

    endpoint: str
    namespace: str
    size_mib: int
    at_once: int
    whole: bool
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    all_begun: asyncio.Event = field(default_factory=asyncio.Event)
    sent_mib: int = 0
    committed: int = 0
    numbers: Any = field(default_factory=lambda: itertools.count(time.time_ns()))

    async def run(self) -> None:
        """Run them to their end."""
        await asyncio.gather(*(self._stream() for _ in range(self.at_once)))

    async def _stream(self) -> None:
        async with grpc.aio.insecure_channel(self.endpoint) as channel:
            stub: Any = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
            if self.whole:
                await self._one(stub)
            while not self.whole and not self.ended.is_set():
                await self._one(stub)

    async def _one(self, stub: Any) -> None:
        head = b"%020d" % next(self.numbers)
        digest = await asyncio.to_thread(self._digest, head) if self.whole else _made_up(head)
        started = await stub.StartUpload(
            pb.StartUploadRequest(
                parent=f"namespaces/{self.namespace}",
                digest=digest,
                size_bytes=self.size_mib * _MIB,
            )
        )
        name = started.upload.name
        async for _ in stub.WriteUpload(self._requests(name, head)):
            pass
        if self.whole:
            await self._complete(stub, name)
        else:
            await stub.AbortUpload(pb.AbortUploadRequest(name=name))

    def _digest(self, head: bytes) -> str:
        sha256 = hashlib.sha256(head + _CHUNK[len(head) :])
        for _ in range(self.size_mib - 1):
            sha256.update(_CHUNK)
        return f"sha256:{sha256.hexdigest()}"

    async def _requests(self, name: str, head: bytes) -> AsyncIterator[pb.WriteUploadRequest]:
        self._begin()
        for number in range(self.size_mib):
            chunk = _CHUNK if number else head + _CHUNK[len(head) :]
            yield pb.WriteUploadRequest(
                name=name, offset=number * _MIB, crc32c=google_crc32c.value(chunk), data=chunk
            )
            self.sent_mib += 1
            if self.ended.is_set() and not self.whole:
                return
        yield pb.WriteUploadRequest(name=name, offset=self.size_mib * _MIB, finish_stream=True)

    def _begin(self) -> None:
        self.begun += 1
        if self.begun >= self.at_once:
            self.all_begun.set()

    async def _complete(self, stub: Any, name: str) -> None:
        upload = (await stub.CompleteUpload(pb.CompleteUploadRequest(name=name))).upload
        async with asyncio.timeout(_VERIFIED_WITHIN_S):
            while upload.state == pb.UPLOAD_STATE_VERIFYING:
                await asyncio.sleep(0.2)
                upload = (await stub.GetUpload(pb.GetUploadRequest(name=name))).upload
        self.committed += upload.state == pb.UPLOAD_STATE_COMMITTED


def _made_up(head: bytes) -> str:
    return f"sha256:{hashlib.sha256(head).hexdigest()}"


async def main() -> None:
    """Run the uploads of one line, until they end or stdin does."""
    uploads = Uploads(**json.loads(await asyncio.to_thread(sys.stdin.readline)))
    began = time.perf_counter()
    running = asyncio.create_task(uploads.run())
    started = asyncio.create_task(uploads.all_begun.wait())
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    print("under way", flush=True)
    if not uploads.whole:
        await asyncio.to_thread(sys.stdin.readline)
        uploads.ended.set()
    await running
    took_s = time.perf_counter() - began
    told = {"mib_per_s": uploads.sent_mib / took_s, "seconds": took_s}
    print(json.dumps({**told, "committed": uploads.committed}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
