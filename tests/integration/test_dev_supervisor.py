"""The supervisor's decisions, on parts that are only pretended."""

import asyncio
from pathlib import Path

import pytest

from modelkeep.local import child, errors, supervisor


class Ending:
    """A child that ends when told to."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        return 1


class Part:
    """A part that counts its starts; from the `failing_after`-th on it ends at once."""

    is_outdated = False
    endpoint = "127.0.0.1:1"

    def __init__(self, name: str, trace: list[str], failing_after: int | None = None) -> None:
        self.name, self._trace, self._failing_after = name, trace, failing_after
        self.starts = 0
        self.started_again = asyncio.Event()
        self.child: Ending | None = None

    async def start(self) -> None:
        self.starts += 1
        if self.starts > 1:
            self.started_again.set()
        self.child = Ending()
        if self._failing_after is not None and self.starts >= self._failing_after:
            self.child.ended.set()
        self._trace.append(f"start {self.name}")

    async def stop(self) -> None:
        self.child = None
        self._trace.append(f"stop {self.name}")

    async def end_leftovers(self) -> None:
        self._trace.append(f"clean {self.name}")


@pytest.fixture
def trace() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_S", 0.001)


def built(trace: list[str], data: Path, **failing: int) -> tuple[supervisor.Supervisor, list[Part]]:
    parts = [Part(name, trace, failing.get(name)) for name in ("postgres", "s3", "server")]
    database, store, front = parts
    return supervisor.Supervisor((database, store), front, child.Places(data)), parts


async def test_it_ends_the_server_first_and_the_database_last(
    trace: list[str], tmp_path: Path
) -> None:
    watch, _ = built(trace, tmp_path)
    stop = asyncio.Event()
    await watch.run(stop, lambda _: stop.set())
    assert trace[0] == "clean server"
    assert trace[3] == "start server"
    assert trace[-3:] == ["stop server", "stop s3", "stop postgres"]


async def test_a_part_that_keeps_ending_is_given_up_with_its_log(
    trace: list[str], tmp_path: Path
) -> None:
    watch, (_, store, _) = built(trace, tmp_path, s3=1)
    log = child.Places(tmp_path).log("s3")
    log.parent.mkdir()
    log.write_text("the disk is on fire\n")
    with pytest.raises(errors.LocalError, match="the disk is on fire"):
        await watch.run(asyncio.Event(), lambda _: None)
    assert store.starts == supervisor._TRIES + 1
    assert trace[-3:] == ["stop server", "stop s3", "stop postgres"]


async def test_the_server_follows_a_service_that_moved(trace: list[str], tmp_path: Path) -> None:
    watch, (database, _, front) = built(trace, tmp_path)
    stop = asyncio.Event()
    running = asyncio.create_task(watch.run(stop, lambda _: database.child.ended.set()))
    front.is_outdated = True
    try:
        async with asyncio.timeout(5):
            await front.started_again.wait()
    finally:
        stop.set()
        await running
    assert database.starts == 2


async def test_a_stop_during_the_start_ends_what_has_started(
    trace: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, (_, store, _) = built(trace, tmp_path)
    stop = asyncio.Event()

    async def _never_ready() -> None:
        stop.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "start", _never_ready)
    await watch.run(stop, lambda _: pytest.fail("not ready"))
    assert trace[-3:] == ["stop server", "stop s3", "stop postgres"]
    assert "start server" not in trace
