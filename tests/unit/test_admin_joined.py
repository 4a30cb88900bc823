"""The admin pages of several workers as one: what answers, what does not, what is merged."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus

import prometheus_client
from prometheus_client import exposition, parser

from modelkeep.admin import calls, http, joined

ANYWHERE = "127.0.0.1:0"
NOWHERE = "127.0.0.1:1"


@dataclass
class Crew:
    wanted: int = 2
    restarts: int = 3
    admins: dict[int, str] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def worker(handled: int, *, is_ready: bool = True) -> AsyncIterator[str]:
    figures = calls.CallFigures()
    for _ in range(handled):
        figures.began("GetVersion")
        figures.ended("GetVersion", "OK", 0.002)
    registry = prometheus_client.CollectorRegistry()
    registry.register(figures)

    async def metrics() -> http.Page:
        return http.Page(exposition.generate_latest(registry))

    async def healthy() -> http.Page:
        return http.text("ok")

    async def ready() -> http.Page:
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return http.text("database: ok" if is_ready else "database: away", status=status)

    pages = {"/metrics": metrics, "/healthz": healthy, "/readyz": ready}
    async with http.answering(ANYWHERE, pages) as endpoint:
        yield endpoint


async def test_figures_are_merged_with_the_workers_numbers() -> None:
    async with worker(2) as first, worker(5) as second:
        page = await joined.pages(Crew(admins={0: first, 1: second}))["/metrics"]()
    families = {
        family.name: family for family in parser.text_string_to_metric_families(page.body.decode())
    }
    handled = families["modelkeep_rpc_handled"]
    assert handled.type == "counter"
    assert {sample.labels["worker"]: sample.value for sample in handled.samples} == {
        "0": 2.0,
        "1": 5.0,
    }
    durations = families["modelkeep_rpc_duration_seconds"]
    assert durations.type == "histogram"
    buckets = [
        sample.value
        for sample in durations.samples
        if sample.name.endswith("_bucket") and sample.labels["worker"] == "1"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 5
    assert families["modelkeep_workers_running"].samples[0].value == 2
    assert families["modelkeep_worker_restarts"].samples[0].value == 3


async def test_ready_while_one_is() -> None:
    async with worker(0, is_ready=False) as first, worker(0) as second:
        crew = Crew(admins={0: first, 1: second})
        page = await joined.pages(crew)["/readyz"]()
        assert page.status == HTTPStatus.OK
        assert page.body.decode() == "worker 0: database: away\nworker 1: database: ok\n"
        crew.admins.pop(1)
        page = await joined.pages(crew)["/readyz"]()
        assert page.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert page.body.decode() == "worker 0: database: away\nworker 1: does not run\n"


async def test_ill_if_one_that_runs_does_not_answer() -> None:
    async with worker(1) as first:
        crew = Crew(admins={0: first, 1: NOWHERE})
        page = await joined.pages(crew)["/healthz"]()
        assert page.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert page.body.decode() == "worker 0: ok\nworker 1: does not answer\n"
        page = await joined.pages(crew)["/metrics"]()  # the other's figures are told all the same
        assert page.status == HTTPStatus.OK
        assert b'worker="0"' in page.body


async def test_nobody_runs_just_now() -> None:
    crew = Crew()
    assert (await joined.pages(crew)["/healthz"]()).status == HTTPStatus.OK
    assert (await joined.pages(crew)["/readyz"]()).status == HTTPStatus.SERVICE_UNAVAILABLE
