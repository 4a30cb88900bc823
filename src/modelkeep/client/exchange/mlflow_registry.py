"""What an MLflow registry holds: its answers as values, checked as they are read."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from modelkeep.client import errors
from modelkeep.client.exchange import json_entries, mlflow_http

_PAGE = "200"
_READY = "READY"
_HOP_LIMIT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowModel:
    """A registered model; `aliases` names the number of a version."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowVersion:
    """A version of a registered model; `stage` is as MLflow writes it."""

    number: int
    description: str
    stage: str
    status: str
    run_id: str
    user: str
    tags: Mapping[str, str]
    created_at: datetime | None
    updated_at: datetime | None

    @property
    def is_ready(self) -> bool:
        """Whether MLflow says that it is complete."""
        return self.status == _READY


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowRun:
    """What made a version; `metrics` has last values, those that are no finite numbers too."""

    user: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    artifact_uri: str
    started_at: datetime | None
    ended_at: datetime | None


def models(server: mlflow_http.Server) -> Iterator[MlflowModel]:
    """All registered models by name."""
    for page in _pages(server, "mlflow/registered-models/search"):
        for entry in page.entries("registered_models", optional=True):
            yield _model(entry)


def model(server: mlflow_http.Server, name: str) -> MlflowModel:
    """One registered model, or NotFound."""
    return _model(server.get("mlflow/registered-models/get", name=name).entry("registered_model"))


def versions(server: mlflow_http.Server, name: str) -> list[MlflowVersion]:
    """A model's versions by number."""
    quote = '"' if "'" in name else "'"
    pages = _pages(server, "mlflow/model-versions/search", filter=f"name={quote}{name}{quote}")
    found = [
        _version(entry)
        for page in pages
        for entry in page.entries("model_versions", optional=True)
        if entry.text("name") == name
    ]
    return sorted(found, key=lambda one: one.number)


def run(server: mlflow_http.Server, run_id: str) -> MlflowRun | None:
    """The run that made a version; None if it is gone, or there was none."""
    if not run_id:
        return None
    try:
        entry = server.get("mlflow/runs/get", run_id=run_id).entry("run")
    except errors.NotFound:
        return None
    about, content = entry.entry("info"), entry.entry("data")
    tags = _pairs(content, "tags")
    return MlflowRun(
        user=tags.get("mlflow.user", "") or about.text("user_id", ""),
        metrics={
            one.text("key"): _figure(one) for one in content.entries("metrics", optional=True)
        },
        parameters=_pairs(content, "params"),
        tags=tags,
        artifact_uri=about.text("artifact_uri", ""),
        started_at=_moment(about, "start_time"),
        ended_at=_moment(about, "end_time"),
    )


def artifact_root(server: mlflow_http.Server, name: str, number: int) -> str:
    """The path behind the artifact proxy under which a version's files are.

    Raises:
        BadSource: they are where the proxy does not lead.
        NotFound: MLflow has lost what they belong to.
    """
    uri = _download_uri(server, name, str(number))
    for _ in range(_HOP_LIMIT):
        scheme, _, rest = uri.partition(":")
        if scheme == "mlflow-artifacts":
            return _path_of(rest)
        uri = _next_uri(server, scheme, rest.strip("/"), uri)
    raise errors.BadSource(f"MLflow leads in circles from {uri}.", reason="MLFLOW_ARTIFACTS")


def _download_uri(server: mlflow_http.Server, name: str, number: str) -> str:
    answer = server.get("mlflow/model-versions/get-download-uri", name=name, version=number)
    return answer.text("artifact_uri")


def _next_uri(server: mlflow_http.Server, scheme: str, rest: str, uri: str) -> str:
    owner, _, path = rest.partition("/")
    if scheme == "runs":
        found = run(server, owner)
        if found is None:
            raise errors.NotFound(f"MLflow has no run {owner[:64]}.", reason="MLFLOW_NOT_FOUND")
        return f"{found.artifact_uri.rstrip('/')}/{path}"
    if scheme == "models" and path:
        return _download_uri(server, owner, path)
    if scheme == "models":
        answer = server.get(f"mlflow/logged-models/{owner}")
        return answer.entry("model").entry("info").text("artifact_uri")
    raise errors.BadSource(
        f"its files are at {uri[:200]}, where MLflow's artifact proxy does not lead; start MLflow"
        " with --serve-artifacts, or copy them to where it does",
        reason="MLFLOW_ARTIFACTS",
    )


def _path_of(rest: str) -> str:
    """The path of `mlflow-artifacts:/path` or `mlflow-artifacts://host/path`."""
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return rest.strip("/")


def _pages(server: mlflow_http.Server, call: str, **query: str) -> Iterator[json_entries.Entry]:
    token = ""
    seen: set[str] = set()
    while token not in seen:
        seen.add(token)
        more = {"page_token": token} if token else {}
        page = server.get(call, max_results=_PAGE, **query, **more)
        yield page
        token = page.text("next_page_token", "")
        if not token:
            return


def _model(entry: json_entries.Entry) -> MlflowModel:
    return MlflowModel(
        name=entry.text("name"),
        description=entry.text("description", ""),
        tags=_pairs(entry, "tags"),
        aliases={
            one.text("alias"): one.whole("version")
            for one in entry.entries("aliases", optional=True)
        },
        created_at=_moment(entry, "creation_timestamp"),
        updated_at=_moment(entry, "last_updated_timestamp"),
    )


def _version(entry: json_entries.Entry) -> MlflowVersion:
    return MlflowVersion(
        number=entry.whole("version"),
        description=entry.text("description", ""),
        stage=entry.text("current_stage", "None"),
        status=entry.text("status", _READY),
        run_id=entry.text("run_id", ""),
        user=entry.text("user_id", ""),
        tags=_pairs(entry, "tags"),
        created_at=_moment(entry, "creation_timestamp"),
        updated_at=_moment(entry, "last_updated_timestamp"),
    )


def _pairs(entry: json_entries.Entry, key: str) -> dict[str, str]:
    listed = entry.entries(key, optional=True)
    return {one.text("key"): one.text("value", "") for one in listed}


def _moment(entry: json_entries.Entry, key: str) -> datetime | None:
    """An instant that MLflow gives in milliseconds; None for none."""
    millis = entry.whole(key, 0)
    try:
        return datetime.fromtimestamp(millis / 1000, UTC) if millis else None
    except (ValueError, OverflowError, OSError) as bad:
        raise entry.wrong(key, "is no time") from bad


def _figure(entry: json_entries.Entry) -> float:
    try:
        return float(entry.fields.get("value", math.nan))
    except (TypeError, ValueError) as bad:
        raise entry.wrong("value", "is not a number") from bad
