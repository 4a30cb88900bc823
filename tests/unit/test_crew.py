"""The crew of workers when the machine gives it no process."""

import asyncio
import sys
from typing import Any

import pytest

from modelkeep.workers import crew

READY_AND_OVER = "print('modelkeep ready on somewhere')"


async def test_a_worker_that_cannot_be_started_again_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = 0
    start = asyncio.create_subprocess_exec

    async def scarce(*_argv: str, **named: Any) -> asyncio.subprocess.Process:
        nonlocal begun
        begun += 1
        if begun == 2:
            raise BlockingIOError("no process just now")
        if begun == 4:
            workers.stop()
        return await start(sys.executable, "-c", READY_AND_OVER, **named)

    monkeypatch.setattr(crew, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", scarce)
    workers = crew.Crew(wanted=1, environ={}, drain_timeout_s=1)
    async with asyncio.timeout(30):
        await workers.run(lambda: None)
    assert begun == 4
