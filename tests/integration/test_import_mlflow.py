"""Importing from a small MLflow in memory into a real registry; the real one is in tests/e2e."""

import json
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from hypothesis import strategies
from support import fake_mlflow

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client.exchange import mlflow_words

NAME = "Ticket Classifier"
MODEL = "ml/ticket-classifier"


@pytest.fixture
async def registry(config: configuration.Config) -> AsyncIterator[client.Registry]:
    async with app.running(config) as address, client.connect(address) as connected:
        yield connected


@pytest.fixture
def mlflow() -> fake_mlflow.FakeMlflow:
    fake = fake_mlflow.FakeMlflow()
    for number, stage in ((1, "Archived"), (2, "Production"), (10, "Production")):
        fake.add(NAME, number, current_stage=stage, tags=[{"key": "Good One", "value": "yes"}])
    fake.models[NAME]["aliases"] = [{"alias": "Champion", "version": "2"}]
    return fake


@pytest.fixture
def uri(mlflow: fake_mlflow.FakeMlflow) -> Iterator[str]:
    with fake_mlflow.serving(mlflow) as address:
        yield address


async def test_models_come_over_page_by_page(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    mlflow.add("other", 1)
    mlflow.unavailable = 1  # asked again
    report = await registry.import_mlflow(uri, "ml")
    assert report.is_ok, report
    counts = {count.what: count.target for count in report.counts}
    assert (counts["versions"], counts["files"], counts["aliases"]) == (4, 8, 1)
    stages = {version.version: version.stage async for version in registry.list_versions(MODEL)}
    assert stages == {"1.0.0": "archived", "2.0.0": "archived", "10.0.0": "production"}
    found = await registry.get_version(f"{MODEL}@2.0.0")
    assert found.labels["good-one"] == "yes"
    assert found.labels["imported.creator"] == "ann"
    assert found.labels["imported.created_at"] == "2023-11-14T22:13:20.002000Z"
    assert (found.metrics, found.source.run) == ({"auc": 0.9}, f"{2:032x}")
    assert found.aliases == ("champion",)
    told = "\n".join(report.notes)
    assert "only one can be" in told
    assert "'Good One' is the label good-one" in told


async def test_a_second_run_fetches_what_is_new_only(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    await registry.import_mlflow(uri, "ml")
    mlflow.add(NAME, 11, current_stage="Production")
    mlflow.models[NAME]["aliases"] = [{"alias": "Champion", "version": "11"}]
    mlflow.calls.clear()
    report = await registry.import_mlflow(uri, "ml", models=[NAME])
    assert [one.verdict.name for one in report.versions] == [*("THERE",) * 3, "IMPORTED"]
    fetched = [call for call in mlflow.calls if call.startswith("mlflow-artifacts/artifacts/")]
    assert len(fetched) == 2
    assert (await registry.resolve(f"{MODEL}@champion")).version == "11.0.0"
    assert (await registry.resolve(f"{MODEL}@production")).version == "11.0.0"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("s3://bucket/x", "--serve-artifacts"),
        ("runs:/unknown/model", "no run"),
        ("mlflow-artifacts:/1/nowhere", "no files"),
        ("models:/Ticket Classifier/1", "circles"),
    ],
)
async def test_files_that_cannot_be_had_are_told(
    registry: client.Registry,
    mlflow: fake_mlflow.FakeMlflow,
    uri: str,
    source: str,
    named: str,
) -> None:
    mlflow.versions[NAME][0]["source"] = source
    report = await registry.import_mlflow(uri, "ml")
    assert not report.is_ok
    left_out = report.versions[0]
    assert (left_out.verdict, named in left_out.note) == (client.Verdict.LEFT_OUT, True)
    assert (report.counts[0].source, report.counts[0].target) == (3, 2)


@pytest.mark.parametrize("path", ["..", "a\\b", "\x01"])
async def test_hostile_names_of_files_are_refused(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str, path: str
) -> None:
    mlflow.listed[f"1/{NAME}/1"] = [{"path": path, "is_dir": False, "file_size": 1}]
    report = await registry.import_mlflow(uri, "ml")
    assert report.versions[0].verdict is client.Verdict.LEFT_OUT


async def test_a_file_of_another_size_than_listed_ends_the_import(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    mlflow.sizes["model.bin"] = 3
    with pytest.raises(client.BadSource, match="more than 3 bytes"):
        await registry.import_mlflow(uri, "ml")
    mlflow.sizes["model.bin"] = 1000
    with pytest.raises(client.BadSource, match="instead of 1000"):
        await registry.import_mlflow(uri, "ml")
    mlflow.sizes.clear()
    assert (await registry.import_mlflow(uri, "ml")).is_ok


async def test_what_is_not_ready_is_left_out_with_a_word(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    mlflow.add(NAME, 12, status="FAILED_REGISTRATION")
    report = await registry.import_mlflow(uri, "ml")
    assert report.is_ok
    assert "FAILED_REGISTRATION" in report.versions[-1].note


async def test_two_names_with_one_id_become_two_models(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    mlflow.add("ticket-classifier", 1)
    report = await registry.import_mlflow(uri, "ml")
    assert report.is_ok
    names = {model.labels["mlflow.name"]: model.ref async for model in registry.list_models("ml")}
    assert names[NAME] == MODEL
    assert names["ticket-classifier"].startswith(f"{MODEL}-")
    assert (await registry.import_mlflow(uri, "ml")).sent_bytes == 0


async def test_a_dry_run_fetches_and_writes_nothing(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    report = await registry.import_mlflow(uri, "ml", is_dry_run=True)
    assert {one.verdict for one in report.versions} == {client.Verdict.WOULD_IMPORT}
    assert not any(call.startswith("mlflow-artifacts/artifacts/") for call in mlflow.calls)
    assert [one async for one in registry.list_namespaces()] == []


async def test_what_is_no_mlflow_is_told(
    registry: client.Registry, mlflow: fake_mlflow.FakeMlflow, uri: str
) -> None:
    with pytest.raises(client.InvalidRequest, match="http://HOST:PORT"):
        await registry.import_mlflow("file:///tmp/x", "ml")
    with pytest.raises(client.NotFound, match="no such thing"):
        await registry.import_mlflow(uri, "ml", models=["absent"])
    mlflow.models[NAME] = {"name": 7}
    with pytest.raises(client.BadSource, match="name is not a text"):
        await registry.import_mlflow(uri, "ml")


@hypothesis.given(strategies.one_of(strategies.integers(), strategies.floats(), strategies.text()))
def test_typed_parameters_lose_nothing(value: object) -> None:
    kept = mlflow_words.typed(str(value))
    assert (repr(kept) if isinstance(kept, float) else str(kept)) == str(value)
    assert json.loads(json.dumps(kept)) == kept
