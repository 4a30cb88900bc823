"""How late the event loop is: a call can be no faster than the loop comes round to it."""

import asyncio
import time

import prometheus_client

_PERIOD_S = 0.05
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """Asks to be woken twenty times a second and notes how much later it was."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._late = prometheus_client.Histogram(
            "modelkeep_event_loop_lag_seconds",
            "How much later than asked the event loop woke a sleeper.",
            buckets=_BUCKETS_S,
            registry=registry,
        )

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_at = time.perf_counter() + _PERIOD_S
            await asyncio.sleep(_PERIOD_S)
            self._late.observe(max(time.perf_counter() - due_at, 0.0))
