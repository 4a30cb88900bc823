"""What the S3 store does with answers that a healthy store rarely gives."""

import asyncio
import contextlib
import dataclasses
import gc
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from email import message
from http import server

import google_crc32c
import pytest
from urllib3 import exceptions

from modelkeep.blobs import s3, s3_connection, s3_errors, s3_requests, store
from modelkeep.domain import errors

MIB = 1 << 20
SECRET = "a-secret-that-nobody-may-see"


@dataclasses.dataclass(frozen=True)
class Received:
    """What one request brought."""

    headers: message.Message
    body: bytes


class Request(server.BaseHTTPRequestHandler):
    """One request, read whole before its script answers it."""

    protocol_version = "HTTP/1.1"
    server: "ScriptedStore"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append(Received(self.headers, body))
        self.server.script(self)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
        self.answer(status, xml.encode(), content_type="application/xml")

    def log_message(self, *_: object) -> None:
        pass


Script = Callable[[Request], None]


class ScriptedStore(server.ThreadingHTTPServer):
    """An S3 endpoint that answers as a test tells it."""

    daemon_threads = True
    script: Script

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.requests: list[Received] = []
        self.released = threading.Event()

    def answer_in_turn(self, *scripts: Script) -> None:
        turns = list(scripts)

        def next_turn(request: Request) -> None:
            turns.pop(0)(request)

        self.script = next_turn

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what these tests are about."""


@pytest.fixture
def scripted() -> Iterator[ScriptedStore]:
    with ScriptedStore() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, args=(0.01,))
        thread.start()
        yield scripted
        scripted.released.set()
        scripted.shutdown()
        thread.join()


def settings_for(port: int) -> s3_connection.S3Settings:
    return s3_connection.S3Settings(
        endpoint=f"127.0.0.1:{port}",
        access_key="somebody",
        secret_key=SECRET,
        bucket="bucket",
        secure=False,
        threads=2,
        io_timeout_s=1.0,
        attempts=3,
    )


@pytest.fixture
async def blobs(scripted: ScriptedStore) -> AsyncIterator[s3.S3BlobStore]:
    blobs = s3.S3BlobStore(settings_for(scripted.server_port))
    yield blobs
    scripted.released.set()
    await blobs.close()


def crc32c(*buffers: bytes) -> int:
    return int(google_crc32c.value(b"".join(buffers)))


def ok(request: Request) -> None:
    request.answer(200, etag='"tag"')


def hang(scripted: ScriptedStore) -> None:
    scripted.released.wait()


def refusing(status: int, code: str) -> Script:
    return lambda request: request.refuse(status, code)


async def test_a_put_states_its_length_and_checksum_and_is_not_hashed(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = ok
    pieces = [b"a", b"", b"bc" * MIB, b"d"]
    await blobs.put("blobs/x", pieces, crc32c(*pieces))
    request = scripted.requests[0]
    assert request.body == b"".join(pieces)
    assert request.headers["content-length"] == str(2 * MIB + 2)
    assert request.headers["transfer-encoding"] is None
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "x-amz-checksum-crc32c" in request.headers["authorization"]


def test_a_checksum_is_written_as_s3_writes_it() -> None:
    # RFC 3720, B.4: the CRC32C of 32 zero bytes is 0x8A9136AA.
    assert s3_requests.crc32c_text(int(google_crc32c.value(bytes(32)))) == "ipE2qg=="


async def test_a_multipart_names_the_checksum_of_each_part_in_order(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.answer_in_turn(
        lambda request: request.answer(200, b"<R><UploadId>u1</UploadId></R>"),
        ok,
        ok,
        lambda request: request.answer(200, b"<CompleteMultipartUploadResult/>"),
    )
    upload = await blobs.start_multipart("blobs/x")
    tags = [await blobs.put_part("blobs/x", upload, n, [b"p"], crc32c(b"p")) for n in (2, 1)]
    await blobs.complete_multipart("blobs/x", upload, tags)
    assert scripted.requests[0].headers["x-amz-checksum-algorithm"] == "CRC32C"
    part = (
        '<Part><PartNumber>{}</PartNumber><ETag>"tag"</ETag>'
        f"<ChecksumCRC32C>{s3_requests.crc32c_text(crc32c(b'p'))}</ChecksumCRC32C></Part>"
    )
    listed = scripted.requests[3].body.decode()
    assert listed == (
        f"<CompleteMultipartUpload>{part.format(1)}{part.format(2)}</CompleteMultipartUpload>"
    )


async def test_what_may_happen_twice_is_tried_again(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.answer_in_turn(refusing(503, "SlowDown"), refusing(500, "InternalError"), ok)
    await blobs.put("blobs/x", [b"again"], crc32c(b"again"))
    assert [request.body for request in scripted.requests] == [b"again"] * 3


async def test_what_may_not_happen_twice_is_tried_once(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = refusing(503, "SlowDown")
    with pytest.raises(errors.Unavailable):
        await blobs.start_multipart("blobs/x")
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "BadDigest", errors.DataLoss),
        (400, "XAmzContentChecksumMismatch", errors.DataLoss),
        (403, "SignatureDoesNotMatch", errors.FailedPrecondition),
        (403, "InvalidAccessKeyId", errors.FailedPrecondition),
        (403, "RequestTimeTooSkewed", errors.FailedPrecondition),
        (404, "NoSuchBucket", errors.FailedPrecondition),
        (404, "NoSuchUpload", errors.NotFound),
        (301, "PermanentRedirect", errors.FailedPrecondition),
        (400, "EntityTooSmall", errors.FailedPrecondition),
        (503, "SlowDown", errors.Unavailable),
        (507, "XMinioStorageFull", errors.Unavailable),
        (403, "QuotaExceeded", errors.Unavailable),
    ],
)
async def test_a_refusal_is_said_in_our_words(
    scripted: ScriptedStore,
    blobs: s3.S3BlobStore,
    status: int,
    code: str,
    error: type[errors.ModelkeepError],
) -> None:
    scripted.script = refusing(status, code)
    with pytest.raises(error) as raised:
        await blobs.put_part("blobs/x", "u1", 1, [b"x"], crc32c(b"x"))
    assert type(raised.value) is error
    assert f"127.0.0.1:{scripted.server_port}" in str(raised.value)
    assert code in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [(507, "XMinioStorageFull"), (507, "SomethingElse"), (403, "QuotaExceeded")],
)
async def test_a_store_that_is_full_is_called_so(
    scripted: ScriptedStore, blobs: s3.S3BlobStore, status: int, code: str
) -> None:
    scripted.script = refusing(status, code)
    with pytest.raises(errors.Unavailable, match=r"is full .* make room") as raised:
        await blobs.put("blobs/x", [b"x"], crc32c(b"x"))
    assert raised.value.reason == "STORE_FULL"


async def test_an_error_inside_a_successful_answer_is_an_error(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = refusing(200, "InternalError")
    with pytest.raises(errors.Unavailable, match="InternalError"):
        await blobs.complete_multipart("blobs/x", "u1", [store.PartTag(1, "tag", 0)])


async def test_an_answer_that_is_not_s3_at_all_is_unavailable(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = lambda request: request.answer(502, b"<html>Bad gateway</html>")
    with pytest.raises(errors.Unavailable):
        await blobs.put("blobs/x", [b"x"], crc32c(b"x"))
    with pytest.raises(errors.Unavailable):
        await blobs.check()


async def test_an_endpoint_where_nobody_listens_is_unavailable() -> None:
    with ScriptedStore() as gone:
        port = gone.server_port
    blobs = s3.S3BlobStore(settings_for(port))
    with pytest.raises(errors.Unavailable, match=f"127.0.0.1:{port} .*Connection refused"):
        await blobs.put("blobs/x", [b"x"], crc32c(b"x"))
    with pytest.raises(errors.Unavailable, match=f"127.0.0.1:{port} .*Connection refused"):
        await anext(blobs.read("blobs/x", 0, 1, MIB))
    await blobs.close()


def test_a_certificate_nobody_vouches_for_is_told_from_an_outage() -> None:
    distrust = ssl.SSLCertVerificationError(1, "certificate verify failed")
    distrust.verify_message = "self-signed certificate"
    wrapped = exceptions.MaxRetryError(None, "/bucket/x", exceptions.SSLError(distrust))  # type: ignore[arg-type]
    with (
        pytest.raises(errors.FailedPrecondition, match=r"self-signed.*SSL_CERT_FILE"),
        s3_errors.translated(settings_for(1)),
    ):
        raise wrapped


async def test_a_store_that_hangs_is_unavailable_within_the_time_out(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = lambda _: hang(scripted)
    with pytest.raises(errors.Unavailable, match="timed out"):
        async with asyncio.timeout(5):
            await blobs.put("blobs/x", [b"x"], crc32c(b"x"))


BODY = bytes(range(256)) * 40


def ranged(request: Request, *, sent: int | None = None, etag: str = "tag") -> None:
    """Answer a range of BODY, but hang up after `sent` bytes."""
    first, last = request.headers["range"].removeprefix("bytes=").split("-")
    part = BODY[int(first) : int(last) + 1]
    request.send_response(206)
    request.send_header("content-length", str(len(part)))
    request.send_header("content-range", f"bytes {first}-{last}/{len(BODY)}")
    request.send_header("etag", f'"{etag}"')
    request.end_headers()
    request.wfile.write(part[:sent])
    if sent is not None:
        request.wfile.flush()
        request.close_connection = True


def cut_after(sent: int) -> Script:
    return lambda request: ranged(request, sent=sent)


async def test_a_read_that_is_cut_goes_on_where_it_was_cut(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.answer_in_turn(cut_after(2500), cut_after(100), ranged)
    chunks = [chunk async for chunk in blobs.read("blobs/x", 0, len(BODY), 1000)]
    assert b"".join(chunks) == BODY
    starts = [request.headers["range"].split("-")[0] for request in scripted.requests]
    assert starts == ["bytes=0", "bytes=2000", "bytes=2000"]


async def test_a_read_that_is_cut_again_and_again_gives_what_it_has_and_fails(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.answer_in_turn(cut_after(2500), *[cut_after(10)] * 2)
    chunks = blobs.read("blobs/x", 0, 5000, 1000)
    assert [await anext(chunks), await anext(chunks)] == [BODY[:1000], BODY[1000:2000]]
    with pytest.raises(errors.Unavailable):
        await anext(chunks)


async def test_a_read_never_mixes_two_objects(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.answer_in_turn(cut_after(2500), lambda request: ranged(request, etag="other"))
    with pytest.raises(errors.DataLoss, match="replaced"):
        async for _ in blobs.read("blobs/x", 0, len(BODY), 1000):
            pass


async def test_a_store_that_ignores_ranges_is_read_from_the_start_only(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    scripted.script = lambda request: request.answer(200, BODY)
    assert [chunk async for chunk in blobs.read("blobs/x", 0, 300, 200)] == [
        BODY[:200],
        BODY[200:300],
    ]
    with pytest.raises(errors.DataLoss):
        await anext(blobs.read("blobs/x", 1, 300, 200))


async def test_closing_a_stalled_read_frees_its_thread_at_once(scripted: ScriptedStore) -> None:
    def stall(request: Request) -> None:
        request.send_response(206)
        request.send_header("content-length", "2000")
        request.send_header("content-range", "bytes 0-1999/2000")
        request.end_headers()
        request.wfile.write(BODY[:1500])
        request.wfile.flush()
        scripted.released.wait()

    scripted.script = stall
    patient = s3_connection.S3Settings(
        endpoint=f"127.0.0.1:{scripted.server_port}",
        access_key="somebody",
        secret_key=SECRET,
        bucket="bucket",
        secure=False,
        threads=1,
        io_timeout_s=60,
    )
    blobs = s3.S3BlobStore(patient)
    async with contextlib.aclosing(blobs.read("blobs/x", 0, 2000, 1000)) as chunks:
        assert await anext(chunks) == BODY[:1000]
    async with asyncio.timeout(5):
        await asyncio.wrap_future(blobs._pool.submit(time.monotonic))
        await blobs.close()


async def test_a_put_cancelled_in_its_middle_lets_its_body_go(scripted: ScriptedStore) -> None:
    blobs = s3.S3BlobStore(settings_for(scripted.server_port))
    loop, asked, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class Body(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            for number, piece in enumerate(super().__iter__()):
                if number == 4 and threading.current_thread().name.startswith("s3"):
                    loop.call_soon_threadsafe(asked.set)
                    go_on.wait(10)
                yield piece

    scripted.script = ok
    putting = asyncio.create_task(blobs.put("blobs/x", Body([b"x" * MIB] * 8), 0))
    await asked.wait()
    putting.cancel()
    await asyncio.sleep(0)
    assert not putting.done(), "the body is still in use"
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert all(call.done() for call in blobs._running)
    assert scripted.requests == [], "half a body is no request"
    await blobs.close()


async def test_an_error_after_cancellation_is_nobodys_problem(
    scripted: ScriptedStore, blobs: s3.S3BlobStore
) -> None:
    loop, reported = asyncio.get_running_loop(), list[dict[str, object]]()
    reached = asyncio.Event()

    def refuse_late(request: Request) -> None:
        loop.call_soon_threadsafe(reached.set)
        scripted.released.wait()
        request.refuse(503, "SlowDown")

    scripted.script = refuse_late
    loop.set_exception_handler(lambda _, context: reported.append(context))
    starting = asyncio.create_task(blobs.start_multipart("blobs/x"))
    await reached.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    scripted.released.set()
    await blobs.close()
    gc.collect()
    loop.set_exception_handler(None)
    assert reported == []


async def test_a_closed_store_takes_no_more_calls(blobs: s3.S3BlobStore) -> None:
    await blobs.close()
    with pytest.raises(errors.Unavailable, match="stopping"):
        await blobs.stat("blobs/x")


def test_settings_never_show_their_keys() -> None:
    assert SECRET not in repr(settings_for(1))
    assert "somebody" not in repr(settings_for(1))
