"""`modelkeep dev` as its user meets it: one command, one line, no trace; and every kill -9."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from support import dev_tree, services

from modelkeep.local import postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def data() -> Iterator[Path]:
    with services.scratch_directory() as path:
        yield path / "registry"


def answers(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


async def run_sql(tree: dev_tree.Tree, statement: str) -> object:
    lines = (tree.data / "postgres" / "postmaster.pid").read_text().splitlines()
    server = postgres.Postgres(tree.data)
    server._port = int(lines[3])
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def readable_by_others(data: Path) -> list[Path]:
    """Files beside the services' own that anybody but the owner could read."""
    return [path for path in data.iterdir() if path.is_file() and path.stat().st_mode & 0o077]


def listening(process: psutil.Process) -> set[str]:
    connections = process.net_connections("inet")
    found = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return {ip.removeprefix("::ffff:") for ip in found}  # gRPC binds IPv4 through IPv6 sockets


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_and_leaves_nothing(data: Path, sign: signal.Signals) -> None:
    with dev_tree.running(data) as tree:
        assert answers(tree.endpoint)
        assert {ip for process in tree.processes() for ip in listening(process)} == {"127.0.0.1"}
        everything = tree.processes()
        assert tree.stop(sign) == 0
        assert [process for process in everything if process.is_running()] == []
        assert tree.supervisor.stdout.read() == ""
    assert not (data / "lock").exists()
    assert not list((data / "run").glob("*.json"))
    print(f"first start: {tree.ready_after_s:.1f} s")  # noqa: T201 - figures for `pytest -s`


async def test_the_next_start_has_the_rows(data: Path) -> None:
    with dev_tree.running(data) as tree:
        await run_sql(tree, "CREATE TABLE kept AS SELECT 42 AS n")
        tree.stop()
    with dev_tree.running(data) as tree:
        assert await run_sql(tree, "SELECT n FROM kept") == 42
        assert readable_by_others(data) == []
        assert tree.stop() == 0
        print(f"next start: {tree.ready_after_s:.1f} s")  # noqa: T201 - figures for `pytest -s`


def test_a_second_one_says_who_holds_the_directory(data: Path) -> None:
    with dev_tree.running(data) as tree:
        second = dev_tree.attempt(data)
        assert second.returncode == 1
        assert f"process {tree.supervisor.pid}" in second.stderr
        assert tree.endpoint in second.stderr
        assert "since 20" in second.stderr
        assert second.stdout == ""
        assert answers(tree.endpoint)
        assert tree.stop() == 0


async def test_a_killed_supervisor_takes_its_children_along(data: Path) -> None:
    with dev_tree.running(data) as tree:
        await run_sql(tree, "CREATE TABLE kept AS SELECT 42 AS n")
        children = tree.processes()[1:]
        tree.kill()
        _, alive = psutil.wait_procs(children, 10)
        assert alive == []
    with dev_tree.running(data) as tree:
        assert await run_sql(tree, "SELECT n FROM kept") == 42
        assert tree.stop() == 0


async def test_the_next_start_ends_what_a_killed_supervisor_left(data: Path) -> None:
    """A stopped process does not act on the signal of its parent's death, so it is left over."""
    with dev_tree.running(data) as tree:
        left = [tree.part(name) for name in dev_tree.PARTS]
        for part in left[1:]:
            part.suspend()
        tree.kill()
        with dev_tree.running(data) as following:
            assert [part for part in left if part.is_running()] == []
            assert answers(following.endpoint)
            assert following.stop() == 0


@pytest.mark.parametrize("name", dev_tree.PARTS)
async def test_a_killed_part_comes_back(data: Path, name: str) -> None:
    with dev_tree.running(data) as tree:
        await run_sql(tree, "CREATE TABLE kept AS SELECT 42 AS n")
        killed = tree.part(name)
        killed.kill()
        dev_tree.until(lambda: _record(tree, name) not in (None, killed.pid))
        dev_tree.until(lambda: answers(tree.endpoint))
        dev_tree.until(lambda: _takes_connections(tree))
        assert await run_sql(tree, "SELECT n FROM kept") == 42
        assert tree.stop() == 0


@pytest.mark.parametrize("name", dev_tree.PARTS)
async def test_a_part_killed_with_its_supervisor_is_survived(data: Path, name: str) -> None:
    with dev_tree.running(data) as tree:
        await run_sql(tree, "CREATE TABLE kept AS SELECT 42 AS n")
        tree.supervisor.send_signal(signal.SIGSTOP)  # it must not restart the part
        tree.part(name).kill()
        tree.kill()
    with dev_tree.running(data) as tree:
        assert await run_sql(tree, "SELECT n FROM kept") == 42
        assert tree.stop() == 0


def test_an_unknown_setting_refuses_to_start(data: Path) -> None:
    refused = dev_tree.attempt(data, MODELKEEP_LISTN="127.0.0.1:0")
    assert refused.returncode == 2
    assert "did you mean MODELKEEP_LISTEN?" in refused.stderr
    assert not data.exists()


def test_a_taken_port_is_reported_with_the_log(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = dev_tree.attempt(data, MODELKEEP_LISTEN=f"127.0.0.1:{port}")
    assert refused.returncode == 1
    assert "The server does not start" in refused.stderr
    assert not (data / "lock").exists()


def _record(tree: dev_tree.Tree, name: str) -> int | None:
    try:
        return json.loads((tree.data / "run" / f"{name}.json").read_text())["pid"]
    except FileNotFoundError:
        return None


def _takes_connections(tree: dev_tree.Tree) -> bool:
    try:
        lines = (tree.data / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    is_current = lines[:1] == [str(_record(tree, "postgres"))]
    return is_current and len(lines) > 7 and lines[7].strip() == "ready"
