"""What bench_scale asks of a registry that scale_data has filled: the same at every size."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import load
import scale_data
from google.protobuf import message

from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2_grpc as pb_grpc

PAGE = 50
LATE_PAGE = 1000
_ROWS_AT_ONCE = 1000
_VARIANTS = 200
"""So many versions, chosen by chance, are asked for in turn."""
_WITH_FULL_PAGES = 20
"""So many models have a full page of versions, of ten thousand in all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call, and whether the target of a page's server-side p99 is for it."""

    name: str
    title: str
    method: str
    requests: Sequence[message.Message]
    is_page: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Registry:
    """A filled registry: where it answers, and what is in it."""

    endpoint: str
    models: Sequence[str]
    versions: Sequence[tuple[str, str]]

    @property
    def largest(self) -> str:
        """Name of the model with the most versions."""
        return _model_name(self.models[0])


async def registry(endpoint: str, url: str, loaded: scale_data.Loaded) -> Registry:
    """The registry behind an endpoint, with some of its versions."""
    connection = await asyncpg.connect(url)
    try:
        pick = random.Random(2)
        ids = [pick.randrange(1, loaded.versions + 1) for _ in range(_VARIANTS)]
        rows = await connection.fetch(
            """SELECT n.name || '/' || m.name AS model, v.version FROM version v
            JOIN model m USING (model_id) JOIN namespace n ON n.namespace_id = v.namespace_id
            WHERE v.version_id = ANY($1)""", ids,
        )  # fmt: skip
    finally:
        await connection.close()
    return Registry(endpoint, loaded.models, [(row["model"], row["version"]) for row in rows])


async def kinds(at: Registry) -> list[Kind]:
    """All reads, with the page tokens that late pages begin with."""
    return [*_resolves(at), _get(at), *await _lists(at), *await _searches(at)]


def creates(at: Registry, models: int = 16) -> list[message.Message]:
    """Requests for new versions with 20 metrics each, of models in all namespaces."""
    return [_create(_model_name(model)) for model in at.models[:models]]


def production(at: Registry, models: int = 16) -> list[message.Message]:
    """Requests for the versions in production of the largest models."""
    return [pb.ResolveVersionRequest(ref=f"{model}@production") for model in at.models[:models]]


def _resolves(at: Registry) -> Iterator[Kind]:
    selectors = {
        "alias": "champion",
        "stage": "production",
        "range": ">=0.1,<100",
        "latest": "latest",
    }
    for name, selector in selectors.items():
        requests = [pb.ResolveVersionRequest(ref=f"{model}@{selector}") for model in at.models]
        yield Kind(f"resolve_{name}", f"Resolve by {name}", "ResolveVersion", requests)


def _get(at: Registry) -> Kind:
    requests = [
        pb.GetVersionRequest(name=f"{_model_name(model)}/versions/{version}")
        for model, version in at.versions
    ]
    return Kind("get_version", "GetVersion", "GetVersion", requests)


async def _lists(at: Registry) -> Iterator[Kind]:
    def asked(model: str) -> pb.ListVersionsRequest:
        return pb.ListVersionsRequest(parent=_model_name(model), page_size=PAGE)

    first = [asked(model) for model in at.models[:_WITH_FULL_PAGES]]
    late, number = await _late(at, "ListVersions", asked(at.models[0]))
    return iter(
        (
            Kind("list_first", "ListVersions, first page", "ListVersions", first, is_page=True),
            _late_kind("list_late", "ListVersions", "ListVersions", late, number),
        )
    )


async def _searches(at: Registry) -> list[Kind]:
    namespaces = sorted({f"namespaces/{model.partition('/')[0]}" for model in at.models})

    def page(text: str, order: str = "") -> list[message.Message]:
        return [
            pb.SearchVersionsRequest(parent=parent, filter=text, order_by=order, page_size=PAGE)
            for parent in namespaces
        ]

    several = {
        "first": ("first page", [("", "")]),
        "labels": (
            "two labels",
            [(f"labels.team = team{n} AND labels.region = eu", "") for n in range(1, 11)],
        ),
        "metric": (
            "metric above a threshold, by it",
            [(f"metrics.accuracy > 0.{n}", "metrics.accuracy desc") for n in range(80, 96)],
        ),
        "text": ("a word", [(f"word{n}", "") for n in range(20, 2000, 99)]),
        "run": ("a label of one version", [("labels.run = run-00000123", "")]),
        "empty": ("nothing fits", [("labels.team = nobody AND metrics.accuracy > 0.5", "")]),
    }
    found = []
    for name, (title, searches) in several.items():
        requests = [one for text, order in searches for one in page(text, order)]
        random.Random(3).shuffle(requests)  # a short load meets rare and frequent alike
        kind = Kind(f"search_{name}", f"Search, {title}", "SearchVersions", requests, is_page=True)
        found.append(kind)
    late, number = await _late(at, "SearchVersions", page("")[0])
    found.insert(1, _late_kind("search_late", "Search", "SearchVersions", late, number))
    ordered = page("metrics.accuracy > 0.1", "metrics.accuracy desc")[0]
    late, number = await _late(at, "SearchVersions", ordered)
    title = "Search by a metric, in its order"
    return [*found, _late_kind("search_metric_late", title, "SearchVersions", late, number)]


def _late_kind(
    name: str, title: str, method: str, late: list[message.Message], number: int
) -> Kind:
    note = f"page {number:,}" if number != LATE_PAGE else ""
    return Kind(name, f"{title}, page {LATE_PAGE:,}", method, late, is_page=True, note=note)


async def _late(at: Registry, method: str, request: Any) -> tuple[list[message.Message], int]:
    """The request for page 1,000, or for the last full page if there are not as many."""
    async with grpc.aio.insecure_channel(at.endpoint) as channel:
        stub: Any = pb_grpc.RegistryServiceStub(channel)
        call = getattr(stub, method)
        read, left = 0, (LATE_PAGE - 1) * PAGE
        token, reached = "", request
        while left:
            step = _copy(request, token, min(left, _ROWS_AT_ONCE))
            answer = await call(step, timeout=60)
            read, left = read + len(answer.versions), left - len(answer.versions)
            if not answer.next_page_token:
                return await _last_full(call, request, read)
            token = answer.next_page_token
        reached = _copy(request, token, PAGE)
        return [reached], LATE_PAGE


async def _last_full(call: Any, request: Any, rows: int) -> tuple[list[message.Message], int]:
    pages = max(rows // PAGE - 1, 0)
    token, left = "", pages * PAGE
    while left:
        answer = await call(_copy(request, token, min(left, _ROWS_AT_ONCE)), timeout=60)
        token, left = answer.next_page_token, left - len(answer.versions)
    return [_copy(request, token, PAGE)], pages + 1


def _copy(request: Any, token: str, size: int) -> Any:
    made = type(request)()
    made.CopyFrom(request)
    made.page_token, made.page_size = token, size
    return made


def _model_name(model: str) -> str:
    namespace, _, name = model.partition("/")
    return f"namespaces/{namespace}/models/{name}"


def _create(parent: str) -> pb.CreateVersionRequest:
    counter = load.COUNTER.decode()
    version = pb.Version(labels={"team": "team1", "region": "eu", "era": "2026", "run": "new"})
    version.model.framework, version.model.task = "pytorch", "asr"
    version.model.parameters["lr"].double_value = 0.1
    version.model.parameters["optimizer"].string_value = "adam"
    version.datasets.add(name="data1", revision="1")
    version.source.commit = "0f3c9d7a5b1e4f6a8c2d0e9b7a6f5c4d3e2b1a09"
    for number in range(scale_data.METRICS):
        version.metrics.add(name=f"m{number}", value=number / scale_data.METRICS)
    version.description = "What a careful release says about itself."
    return pb.CreateVersionRequest(
        parent=parent,
        version_id=f"2000.0.{counter}",
        version=version,
        request_id=f"bench-{counter}",
    )
