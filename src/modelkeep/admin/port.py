"""The admin port: `/metrics`, `/healthz` and `/readyz`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import prometheus_client
from prometheus_client import exposition

from modelkeep.admin import calls, collector, http, loop_lag, readiness, sources


class Admin:
    """What one server tells its operators.

    Attributes:
        parts: where the figures come from; to be filled in while the server is built.
        calls: to be told of every call.
    """

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self.parts = sources.Sources()
        self.calls = calls.CallFigures()
        self._registry.register(self.calls)
        self._lag = loop_lag.LoopLag(self._registry)
        self._registry.register(collector.Collector(self.parts))
        prometheus_client.ProcessCollector(registry=self._registry)

    @contextlib.asynccontextmanager
    async def answering(self, listen: str, looking: readiness.Readiness) -> AsyncIterator[str]:
        """Answer on this address inside the block; yields its `host:port`.

        Raises `errors.Unavailable` if the address cannot be had.
        """

        async def ready() -> http.Page:
            verdict = await looking.look()
            status = HTTPStatus.OK if verdict.ready else HTTPStatus.SERVICE_UNAVAILABLE
            return http.text(*verdict.lines, status=status)

        pages = {"/metrics": self._metrics, "/healthz": _healthy, "/readyz": ready}
        lag = asyncio.create_task(self._lag.run())
        try:
            async with http.answering(listen, pages) as endpoint:
                yield endpoint
        finally:
            lag.cancel()
            await asyncio.wait([lag])
            await looking.close()

    async def _metrics(self) -> http.Page:
        # In a thread: it takes some milliseconds, and calls need not wait for a scraper.
        shown = await asyncio.to_thread(exposition.generate_latest, self._registry)
        return http.Page(shown, content_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)


async def _healthy() -> http.Page:
    """The loop comes round; whatever else is wrong, a restart would not mend it."""
    return http.text("ok")
