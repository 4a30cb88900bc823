"""Reads the parts' own counts when somebody asks for the metrics; nothing is counted twice.

Runs in a thread of its own. All it reads are numbers, and dictionaries that it copies in one step.
"""

import platform
from collections.abc import Iterator

from prometheus_client import core, registry

import modelkeep
from modelkeep.admin import sources
from modelkeep.blobs import metered
from modelkeep.service import artifacts, reaping, rereading, uploads
from modelkeep.storage import database

Metrics = Iterator[core.Metric]


class Collector(registry.Collector):
    """The metrics of one server's parts."""

    def __init__(self, parts: sources.Sources) -> None:
        self._parts = parts

    def collect(self) -> Metrics:
        """All of them, as they are now."""
        parts = self._parts
        yield _build()
        yield _of_limits(parts.refused_calls)
        if parts.certificate_expires_at is not None:
            yield _gauge(
                "modelkeep_tls_certificate_expires_timestamp_seconds",
                "When the certificate that is shown to clients stops being good.",
                parts.certificate_expires_at().timestamp(),
            )
        yield from _of_store(parts.meters)
        if parts.db is not None:
            yield from _of_database(parts.db)
        if parts.uploads is not None:
            yield from _of_uploads(parts.uploads)
        if parts.artifacts is not None:
            yield from _of_artifacts(parts.artifacts)
        if parts.reaper is not None:
            yield _of_reaper(parts.reaper)
        if parts.rereader is not None:
            yield from _of_rereader(parts.rereader)


def _build() -> core.Metric:
    built = core.InfoMetricFamily("modelkeep_build", "What is running.")
    built.add_metric([], {"version": modelkeep.__version__, "python": platform.python_version()})
    return built


def _of_limits(refused_calls: dict[str, int]) -> core.Metric:
    refused = core.CounterMetricFamily(
        "modelkeep_rpc_over_limit",
        "Calls that were refused with RESOURCE_EXHAUSTED, by the limit they met.",
        labels=["limit"],
    )
    for limit, count in dict(refused_calls).items():
        refused.add_metric([limit], count)
    return refused


def _of_store(meters: dict[str, metered.Meter]) -> Metrics:
    label = ["operation"]
    seconds = core.SummaryMetricFamily(
        "modelkeep_store_operation_seconds",
        "Operations on the object store, and how long callers waited for them.",
        labels=label,
    )
    failures = core.CounterMetricFamily(
        "modelkeep_store_operation_failures", "Those of them that failed.", labels=label
    )
    sizes = core.CounterMetricFamily(
        "modelkeep_store_transferred_bytes", "Bytes to and from the object store.", labels=label
    )
    for operation, meter in dict(meters).items():
        seconds.add_metric([operation], meter.calls, meter.seconds)
        failures.add_metric([operation], meter.failures)
        sizes.add_metric([operation], meter.size_bytes)
    yield from (seconds, failures, sizes)


def _of_database(db: database.Database) -> Metrics:
    yield _gauge("modelkeep_database_connections", "Open connections.", db.open_connections)
    yield _gauge("modelkeep_database_idle_connections", "Those in no use.", db.idle_connections)
    yield _gauge("modelkeep_database_connections_limit", "Most of them.", db.most_connections)
    waits = core.SummaryMetricFamily(
        "modelkeep_database_wait_seconds",
        "Uses of a connection, and how long they waited for one.",
    )
    waits.add_metric([], db.waiting.acquired, db.waiting.seconds)
    yield waits
    yield _counter(
        "modelkeep_database_wait_failures", "Uses that got no connection.", db.waiting.refused
    )
    changes = core.CounterMetricFamily(
        "modelkeep_changes", "Changes that were committed, by what was done.", labels=["action"]
    )
    for action in _ALWAYS_SHOWN | db.committed.keys():
        changes.add_metric([action], db.committed.get(action, 0))
    yield changes


_ALWAYS_SHOWN = frozenset(
    f"{noun}.{verb}"
    for noun, verbs in {
        "upload": ("started", "committed", "failed", "aborted"),
        "blob": ("collected", "rotted", "recovered"),
        "version": ("finalized", "quarantined"),
    }.items()
    for verb in verbs
)
"""A counter that begins above 0 has no rate for its first event, which may be the alarming one."""


def _of_uploads(sending: uploads.Uploads) -> Metrics:
    memory = sending.memory
    yield _gauge("modelkeep_upload_memory_used_bytes", "Memory for parts, used.", memory.used_bytes)
    yield _gauge("modelkeep_upload_memory_limit_bytes", "Most of it.", memory.total_bytes)
    yield _gauge("modelkeep_upload_memory_waiting", "Parts that wait for it.", memory.waiting)
    yield _counter(
        "modelkeep_upload_received_bytes", "Bytes from WriteUpload.", sending.received_bytes
    )


def _of_artifacts(reading: artifacts.Artifacts) -> Metrics:
    yield _counter("modelkeep_blob_sent_bytes", "Bytes to ReadBlob.", reading.sent_bytes)


def _of_reaper(reaper: reaping.Reaper) -> core.Metric:
    removed = core.CounterMetricFamily(
        "modelkeep_reaper_removed", "What this process's reaper removed.", labels=["kind"]
    )
    for kind in ("expired", "forgotten", "objects", "multiparts"):
        removed.add_metric([kind], getattr(reaper.total, kind))
    return removed


def _of_rereader(rereader: rereading.Rereader) -> Metrics:
    yield _counter(
        "modelkeep_scrub_blobs", "Blobs re-read by the scrub and by verify.", rereader.examined
    )
    yield _counter("modelkeep_scrub_read_bytes", "Bytes of them.", rereader.read_bytes)


def _gauge(name: str, told: str, value: float) -> core.Metric:
    return core.GaugeMetricFamily(name, told, value)


def _counter(name: str, told: str, value: float) -> core.Metric:
    return core.CounterMetricFamily(name, told, value)
