"""The admin pages of several workers as one."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Protocol

import prometheus_client
from prometheus_client import exposition, metrics_core, parser, registry

from modelkeep.admin import http
from modelkeep.domain import errors

_TIMEOUT_S = 5.0
_LABEL = "worker"


class Crew(Protocol):
    """The workers as they stand.

    Attributes:
        admins: where the admin ports of those that run are, by number.
        wanted: how many there shall be.
        restarts: how often one was started again.
    """

    @property
    def admins(self) -> Mapping[int, str]:
        """Admin ports of those that run, `host:port` by number."""

    @property
    def wanted(self) -> int:
        """How many there shall be."""

    @property
    def restarts(self) -> int:
        """How often one was started again."""


def pages(crew: Crew) -> http.Pages:
    """`/metrics`, `/healthz` and `/readyz` of all workers together."""

    async def healthy() -> http.Page:
        """Well while every worker that runs answers; then a restart of all is not needed."""
        return _verdict(crew, await _ask(crew, "/healthz"), all)

    async def ready() -> http.Page:
        """Ready while any worker is: one that does not run is sent no call."""
        return _verdict(crew, await _ask(crew, "/readyz"), any)

    async def metrics() -> http.Page:
        found = await _ask(crew, "/metrics")
        shown = await asyncio.to_thread(_merged, crew, found)
        return http.Page(shown, content_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)

    return {"/metrics": metrics, "/healthz": healthy, "/readyz": ready}


async def _ask(crew: Crew, path: str) -> dict[int, http.Page]:
    """What each worker that runs has at this path; its trouble if it does not answer."""
    admins = dict(crew.admins)
    answers = await asyncio.gather(*(_page(endpoint, path) for endpoint in admins.values()))
    return dict(zip(admins, answers, strict=True))


async def _page(endpoint: str, path: str) -> http.Page:
    try:
        return await http.get(endpoint, path, _TIMEOUT_S)
    except errors.Unavailable:
        return http.text("does not answer", status=HTTPStatus.SERVICE_UNAVAILABLE)


def _verdict(
    crew: Crew, found: Mapping[int, http.Page], enough: Callable[[Iterable[object]], bool]
) -> http.Page:
    lines = []
    for number in range(crew.wanted):
        said = found[number].body.decode().splitlines() if number in found else ["does not run"]
        lines += [f"{_LABEL} {number}: {line}" for line in said]
    good = enough(page.status == HTTPStatus.OK for page in found.values())
    return http.text(*lines, status=HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)


def _merged(crew: Crew, found: Mapping[int, http.Page]) -> bytes:
    gathered = prometheus_client.CollectorRegistry()
    gathered.register(_Merged(crew, found))
    return exposition.generate_latest(gathered)


class _Merged(registry.Collector):
    """Every worker's figures, each sample with the worker's number."""

    def __init__(self, crew: Crew, found: Mapping[int, http.Page]) -> None:
        self._crew = crew
        self._found = found

    def collect(self) -> Iterator[metrics_core.Metric]:
        yield metrics_core.GaugeMetricFamily(
            "modelkeep_workers_running", "Workers that run.", len(self._crew.admins)
        )
        yield metrics_core.CounterMetricFamily(
            "modelkeep_worker_restarts",
            "How often a worker that ended was started again.",
            self._crew.restarts,
        )
        families: dict[str, metrics_core.Metric] = {}
        for number, page in self._found.items():
            if page.status != HTTPStatus.OK:
                continue
            for family in parser.text_string_to_metric_families(page.body.decode()):
                kept = families.setdefault(
                    family.name,
                    metrics_core.Metric(family.name, family.documentation, family.type),
                )
                kept.samples += [
                    sample._replace(labels={_LABEL: str(number), **sample.labels})
                    for sample in family.samples
                ]
        yield from families.values()
