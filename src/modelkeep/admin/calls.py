"""Counts calls, by method and status code; the transport tells us of each."""

import functools

import prometheus_client

_BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 120.0),
)


class CallFigures:
    """How many calls, how long they took and how many run; see `interceptors.CallObserver`."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._handled = prometheus_client.Counter(
            "modelkeep_rpc_handled",
            "Calls that are over, by status code.",
            ["method", "code"],
            registry=registry,
        )
        self._seconds = prometheus_client.Histogram(
            "modelkeep_rpc_duration_seconds",
            "How long calls took, streams to their end.",
            ["method"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._running = prometheus_client.Gauge(
            "modelkeep_rpc_in_flight",
            "Calls that run; of WriteUpload and ReadBlob these are the open streams.",
            ["method"],
            registry=registry,
        )

        # To look a series up takes longer than to count; of methods and codes there are few.
        self._running_of = functools.cache(self._running.labels)
        self._handled_of = functools.cache(self._handled.labels)
        self._seconds_of = functools.cache(self._seconds.labels)

    def began(self, method: str) -> None:
        """A call of the method has come in."""
        self._running_of(method).inc()

    def ended(self, method: str, code: str, seconds: float) -> None:
        """It is over."""
        self._running_of(method).dec()
        self._handled_of(method, code).inc()
        self._seconds_of(method).observe(seconds)
