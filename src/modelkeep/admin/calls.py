"""Counts calls, by method and status code; the transport tells us of each."""

import bisect
import collections
import itertools
from collections.abc import Iterator

from prometheus_client import metrics_core, registry

_BOUNDS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 120.0),
)
_LABELS_OF_BOUNDS = (*map(str, _BOUNDS_S), "+Inf")


class _Durations:
    """How many calls of one method took how long."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_LABELS_OF_BOUNDS)
        self.sum_s = 0.0


class CallFigures(registry.Collector):
    """How many calls, how long they took and how many run; see `interceptors.CallObserver`.

    Plain numbers that only the event loop's thread changes, so a call takes no lock; what is
    scraped is made of them when it is asked for.
    """

    def __init__(self) -> None:
        self._running: collections.Counter[str] = collections.Counter()
        self._handled: collections.Counter[tuple[str, str]] = collections.Counter()
        self._took: dict[str, _Durations] = {}

    def began(self, method: str) -> None:
        """A call of the method has come in."""
        self._running[method] += 1

    def ended(self, method: str, code: str, seconds: float) -> None:
        """It is over."""
        self._running[method] -= 1
        self._handled[method, code] += 1
        took = self._took.get(method)
        if took is None:
            took = self._took[method] = _Durations()
        took.counts[bisect.bisect_left(_BOUNDS_S, seconds)] += 1
        took.sum_s += seconds

    def collect(self) -> Iterator[metrics_core.Metric]:
        """Counter, histogram and gauge as they stand."""
        handled = metrics_core.CounterMetricFamily(
            "modelkeep_rpc_handled",
            "Calls that are over, by status code.",
            labels=["method", "code"],
        )
        for labels, count in list(self._handled.items()):
            handled.add_metric(labels, count)
        seconds = metrics_core.HistogramMetricFamily(
            "modelkeep_rpc_duration_seconds",
            "How long calls took, streams to their end.",
            labels=["method"],
        )
        for method, took in list(self._took.items()):
            up_to = itertools.accumulate(took.counts)
            seconds.add_metric(
                [method], list(zip(_LABELS_OF_BOUNDS, up_to, strict=True)), took.sum_s
            )
        running = metrics_core.GaugeMetricFamily(
            "modelkeep_rpc_in_flight",
            "Calls that run; of WriteUpload and ReadBlob these are the open streams.",
            labels=["method"],
        )
        for method, count in list(self._running.items()):
            running.add_metric([method], count)
        return iter((handled, seconds, running))
