"""Work that goes on beside the calls, until the server ends."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

import structlog

from modelkeep.domain import errors

_log = structlog.get_logger()


async def ended(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has let go of the database and the store."""
    task.cancel()
    await asyncio.wait([task])


def repeat(
    interval_s: float, work: Callable[[], Coroutine[object, object, object]], stack: AsyncExitStack
) -> None:
    """Do the work every so often, from now until the stack is closed."""
    stack.push_async_callback(ended, asyncio.create_task(_repeated(interval_s, work)))


async def _repeated(
    interval_s: float, work: Callable[[], Coroutine[object, object, object]]
) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except errors.ModelkeepError as error:
            _log.warning("background.failed", work=work.__qualname__, error=error.message)
        except Exception:  # noqa: BLE001 - one broken round must not end all that would follow
            _log.exception("background.broken", work=work.__qualname__)
