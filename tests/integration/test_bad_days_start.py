"""A store that cannot be used: `modelkeep serve` refuses to start, says why and what to do."""

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from http import server

import pytest
from support import server_process

from modelkeep import config as configuration


class Stingy(server.BaseHTTPRequestHandler):
    """An S3 endpoint whose bucket does not exist, and may not be made with our keys."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stingy() -> Iterator[str]:
    """`host:port` of a store without our bucket."""
    with server.ThreadingHTTPServer(("127.0.0.1", 0), Stingy) as stingy:
        thread = threading.Thread(target=stingy.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{stingy.server_port}"
        stingy.shutdown()
        thread.join()


async def refused(config: configuration.Config, **changed: object) -> str:
    """What a server says that does not start."""
    ended = await server_process.refused(dataclasses.replace(config, **changed))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


async def test_wrong_keys_are_refused_and_named(config: configuration.Config) -> None:
    key, secret = await asyncio.gather(
        refused(config, s3_access_key="nobody"), refused(config, s3_secret_key="not-the-one")
    )
    for said in (key, secret):
        assert "refuses our access to bucket" in said
        assert "check MODELKEEP_S3_ACCESS_KEY, MODELKEEP_S3_SECRET_KEY" in said
        assert "not-the-one" not in said


async def test_a_bucket_that_is_missing_and_cannot_be_made_is_refused(
    config: configuration.Config, stingy: str
) -> None:
    said = await refused(config, s3_endpoint=stingy, s3_bucket="of-nobody")
    assert "'of-nobody'" in said
    assert "MODELKEEP_S3_BUCKET" in said


async def test_an_endpoint_that_is_no_store_is_refused(config: configuration.Config) -> None:
    postgres = config.database_url.rpartition("@")[2].partition("/")[0]
    nobody, other = await asyncio.gather(
        refused(config, s3_endpoint="127.0.0.1:1"), refused(config, s3_endpoint=postgres)
    )
    assert "The object store at 127.0.0.1:1 is unavailable" in nobody
    assert f"The object store at {postgres} is unavailable" in other
    for said in (nobody, other):
        assert "MODELKEEP_S3_ENDPOINT" in said
