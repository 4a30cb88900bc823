"""Push and pull straight to and from the store, past a real server."""

import asyncio
import contextlib
import dataclasses
import io
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support import cutting_proxy, pushing, services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client import routes
from modelkeep.local import ports

MIB = 1 << 20
PART = 16 * MIB
SIZE = 3 * PART + 7


@pytest.fixture
def config(config: configuration.Config) -> configuration.Config:
    return dataclasses.replace(
        config,
        s3_public_endpoint=configuration.HostAndPort(config.s3_endpoint),
        s3_public_secure=False,
    )


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def registry(endpoint: str) -> AsyncIterator[client.Registry]:
    async with client.connect(endpoint) as connected:
        yield connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    pushing.random_file(root / "large.bin", SIZE)
    pushing.random_file(root / "middle.bin", 2 * MIB)
    pushing.random_file(root / "small.bin", 100)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*")}


@pytest.mark.parametrize(
    ("via", "direct_bytes"),
    [("store", SIZE + 2 * MIB), ("auto", SIZE), ("server", 0)],
)
async def test_bytes_are_the_same_whichever_way_they_go(
    registry: client.Registry, folder: Path, tmp_path: Path, via: str, direct_bytes: int
) -> None:
    way = client.Via(via)
    pushed = await registry.push(folder, "acme/voice@1.0.0", via=way)
    assert pushed.direct_bytes == direct_bytes
    assert pushed.sent_bytes == pushed.total_bytes == SIZE + 2 * MIB + 100
    pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=way)
    assert pulled.direct_bytes == direct_bytes
    assert pulled.fetched_bytes == pulled.total_bytes
    assert contents(tmp_path / "copy") == contents(folder)
    again = await registry.push(folder, "acme/voice@1.1.0", via=way)
    assert again.sent_bytes == 0


@contextlib.asynccontextmanager
async def by_proxy(
    config: configuration.Config,
) -> AsyncIterator[tuple[cutting_proxy.CuttingProxy, str]]:
    """A line to the store that can be cut, and the address of a server that names it."""
    async with (
        cutting_proxy.running(config.s3_endpoint) as proxy,
        app.running(beyond(config, proxy.endpoint)) as address,
    ):
        yield proxy, address


def beyond(config: configuration.Config, endpoint: str) -> configuration.Config:
    """The same server, which tells clients to reach the store there."""
    return dataclasses.replace(config, s3_public_endpoint=configuration.HostAndPort(endpoint))


async def test_where_the_store_is_out_of_reach_bytes_go_through_the_server(
    config: configuration.Config, folder: Path, tmp_path: Path
) -> None:
    listener = pushing.Notes()
    nobody = f"127.0.0.1:{ports.free_ports(1)[0]}"
    async with app.running(beyond(config, nobody)) as address, client.connect(address) as registry:
        pushed = await registry.push(folder, "acme/voice@1.0.0", listener=listener)
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", listener=listener)
        with pytest.raises(client.StoreOutOfReach, match="--via server") as failed:
            await registry.pull("acme/voice@1.0.0", tmp_path / "other", via=client.Via.STORE)
        pushing.random_file(folder / "large.bin", SIZE)
        with pytest.raises(client.StoreOutOfReach, match=nobody):
            await registry.push(folder, "acme/voice@1.1.0", via=client.Via.STORE)
    assert (pushed.direct_bytes, pulled.direct_bytes) == (0, 0)
    assert [nobody in note and "through the server" in note for note in listener.notes] == [
        True
    ] * 2
    assert "X-Amz" not in str(failed.value)


async def test_what_is_no_store_at_all_is_gone_round(
    config: configuration.Config, endpoint: str, folder: Path, tmp_path: Path
) -> None:
    """Something answers at the public endpoint, and it is the gRPC port of another server."""
    async with (
        app.running(beyond(config, endpoint)) as address,
        client.connect(address) as registry,
    ):
        await registry.push(folder, "acme/voice@1.0.0")
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy")
    assert pulled.direct_bytes == 0
    assert contents(tmp_path / "copy").keys() == contents(folder).keys()


async def test_a_server_that_gives_out_no_urls_is_an_error_only_if_they_are_asked_for(
    config: configuration.Config, folder: Path
) -> None:
    async with app.running(beyond(config, "")) as address, client.connect(address) as registry:
        with pytest.raises(client.StoreOutOfReach, match="MODELKEEP_S3_PUBLIC_ENDPOINT"):
            await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        pushed = await registry.push(folder, "acme/voice@1.0.0")
    assert pushed.direct_bytes == 0


async def test_a_line_to_the_store_that_is_cut_costs_no_more_than_a_part_of_each_request(
    config: configuration.Config, folder: Path, tmp_path: Path
) -> None:
    async with by_proxy(config) as (proxy, address), client.connect(address) as registry:
        proxy.cut_after(2 * PART)
        pushed = await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        proxy.cut_after(2 * PART)
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    assert proxy.cuts == 2
    assert pushed.direct_bytes >= SIZE + 2 * MIB
    assert pushed.sent_bytes <= pushed.total_bytes + routes.AT_ONCE * PART
    assert pulled.fetched_bytes <= pulled.total_bytes + 2 * PART
    assert contents(tmp_path / "copy") == contents(folder)


async def test_a_push_that_was_killed_goes_on_where_it_was(
    config: configuration.Config, folder: Path, tmp_path: Path
) -> None:
    async with by_proxy(config) as (proxy, address):
        proxy.hold_after(5 * PART // 2)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelkeep", "push", str(folder), "acme/voice@1.0.0"),
            *("--via", "store"),
            env=services.clean_environ(MODELKEEP_ENDPOINT=address),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await proxy.until_held()
            await pushing.until_durable(config.database_url, 1)
        finally:
            process.kill()
            await process.wait()
        durable = await pushing.durable_parts(config.database_url)
        proxy.release()
        async with client.connect(address) as registry:
            pushed = await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
            await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    assert durable >= 1
    assert pushed.sent_bytes <= pushed.total_bytes - durable * 7
    assert contents(tmp_path / "copy") == contents(folder)


async def test_urls_that_expire_are_asked_for_again(
    config: configuration.Config, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.running(config) as address, client.connect(address) as registry:
        spoil_first(monkeypatch, registry, "create_part_urls")
        pushed = await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        spoil_first(monkeypatch, registry, "create_range_urls")
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    assert pushed.direct_bytes == pulled.direct_bytes == SIZE + 2 * MIB
    assert contents(tmp_path / "copy") == contents(folder)


def spoil_first(monkeypatch: pytest.MonkeyPatch, registry: client.Registry, method: str) -> None:
    """Have the first URLs refused by the store, as if they had expired."""
    asked, pending = getattr(registry, method), [True]

    async def ask(*args: Any, **options: Any) -> Any:
        answer = await asked(*args, **options)
        if pending:
            pending.clear()
            urls = answer if isinstance(answer, list) else answer.urls
            spoilt = [
                dataclasses.replace(
                    url, url=url.url.replace("X-Amz-Expires=900", "X-Amz-Expires=1")
                )
                for url in urls
            ]
            urls[:] = spoilt
        return answer

    monkeypatch.setattr(registry, method, ask)


async def test_bytes_that_rotted_in_the_store_are_named_by_the_server(
    config: configuration.Config, folder: Path, tmp_path: Path, s3: services.S3
) -> None:
    async with app.running(config) as address, client.connect(address) as registry:
        await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        rot(s3, config, SIZE)
        with pytest.raises(client.DataLoss) as failed:
            await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    assert failed.value.reason == "BLOB_DAMAGED_IN_STORE"
    assert failed.value.metadata["path"] == "large.bin"
    assert not (tmp_path / "copy" / "large.bin").exists()


def rot(s3: services.S3, config: configuration.Config, size_bytes: int) -> None:
    """Turn a byte of the object of that size."""
    store = s3.client()
    (key,) = (
        str(found.object_name)
        for found in store.list_objects(config.s3_bucket, recursive=True)
        if found.size == size_bytes
    )
    answer = store.get_object(config.s3_bucket, key)
    content = bytearray(answer.data)
    answer.close()
    answer.release_conn()
    content[PART + 1] ^= 1
    store.put_object(config.s3_bucket, key, io.BytesIO(content), len(content))


async def test_no_log_of_the_client_has_a_signature(
    registry: client.Registry, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
    await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    said = [record.getMessage() for record in caplog.records]
    assert any("PUT /" in text and text.count("?...") for text in said)
    assert not [text for text in said if "X-Amz" in text]


async def test_a_file_that_changes_meanwhile_is_noticed(
    config: configuration.Config, folder: Path
) -> None:
    async with by_proxy(config) as (proxy, address), client.connect(address) as registry:
        proxy.hold_after(PART // 2)
        pushing_it = asyncio.create_task(
            registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        )
        await proxy.until_held()
        pushing.random_file(folder / "large.bin", SIZE)
        proxy.release()
        with pytest.raises(client.FileChanged):
            await pushing_it
