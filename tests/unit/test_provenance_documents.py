"""Statements and bills of materials: valid by the published schemas, and always the same.

To accept a change of a golden document:
`MODELKEEP_TEST_ACCEPT=1 .venv/bin/python -m pytest tests/unit/test_provenance_documents.py`, then
read the diff.
"""

import dataclasses
import datetime
import functools
import json
import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from google.protobuf import json_format
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement as in_toto
from in_toto_attestation.v1 import statement_pb2

from modelkeep.domain import (
    bills,
    errors,
    evaluations,
    manifests,
    names,
    packages,
    provenance,
    specs,
    versions,
)

HERE = Path(__file__).parent
MADE_AT = datetime.datetime(2026, 10, 3, 12, 0, 0, 123456, tzinfo=datetime.UTC)
NAME = names.VersionName("acme", "voice", "1.2.0")
COMMIT = "f" * 40


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


SPEC = specs.ModelSpec(
    framework="pytorch",
    framework_version="2.6",
    task="automatic-speech-recognition",
    architecture="whisper",
    parameters={"lr": 1e-05, "epochs": 3, "mixed": True, "note": "01", "big": 2**60},
    inputs=(specs.TensorSpec("audio", "float32", (-1, 16000)), specs.TensorSpec("length")),
    outputs=(specs.TensorSpec("text", "string"),),
    dependencies=(
        specs.Dependency("pypi", "Torch_Audio", "2.6.0", digest(9)),
        specs.Dependency("npm", "@acme/pre", "1.0.0"),
        specs.Dependency("weird eco", "some thing/x", ""),
        specs.Dependency("pypi", "torch-audio", "2.6.0"),
    ),
    base=specs.BaseModel(
        version="namespaces/acme/models/voice/versions/1.0.0",
        relation=specs.BaseRelation.FINE_TUNE,
    ),
)
CONTENT = specs.Content(
    spec=SPEC,
    datasets=(
        specs.DatasetReference("calls", "2026-09", digest(7), "s3://data/calls",
                               specs.DatasetRole.TRAINING),
        specs.DatasetReference("calls", "2026-09", role=specs.DatasetRole.TEST),
        specs.DatasetReference("noise", "v1"),
    ),
    metrics=(specs.Metric("wer", 0.071),),
    source=specs.Source("https://git.example.com/voice", COMMIT, "https://ci.example.com/17"),
)  # fmt: skip
VERSION = versions.Version(
    name=NAME,
    ordinal=4,
    state=versions.VersionState.READY,
    stage="staging",
    manifest_digest=digest(1),
    file_count=2,
    total_bytes=30,
    content=CONTENT,
    notes=versions.Notes({"license": "apache-2.0"}, "Listens.", "# Card"),
    aliases=("champion",),
    creator="mara",
    create_client="modelkeep-python/0.1.0",
    created_at=MADE_AT,
    updated_at=MADE_AT,
    finalized_at=MADE_AT + datetime.timedelta(seconds=9),
    deleted_at=None,
    etag="3",
)
FILES = (
    manifests.File("config.json", digest(2), 10, "application/json"),
    manifests.File("weights/mödel.bin", digest(3), 20, "Weird Type"),
)
MADE = provenance.Made(VERSION, FILES, digest(5))
MEASURED = evaluations.Evaluation(
    name=names.EvaluationName(NAME, "0" * 16),
    dataset=evaluations.Dataset("calls", "2026-10"),
    suite="wer",
    evaluator="jiwer@4",
    run_at=MADE_AT,
    metrics=(
        evaluations.Metric("wer", 0.08, evaluations.Direction.LOWER, ci_low=0.07, ci_high=0.09),
        evaluations.Metric("latency", 12, evaluations.Direction.LOWER, unit="ms"),
    ),
    metric_count=2,
    note="",
    actor="ci",
    created_at=MADE_AT,
)


def changed(**fields: Any) -> provenance.Made:
    return dataclasses.replace(MADE, version=dataclasses.replace(VERSION, **fields))


def written(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)


def require_golden(name: str, document: dict[str, Any]) -> None:
    path, text = HERE / name, f"{written(document)}\n"
    if "MODELKEEP_TEST_ACCEPT" in os.environ:
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@functools.cache
def validator() -> Any:
    """Imported here: that takes seconds, and only one of the workers needs it."""
    from cyclonedx import schema  # noqa: PLC0415
    from cyclonedx.validation import json as validating  # noqa: PLC0415

    return validating.JsonStrictValidator(schema.SchemaVersion.V1_6)


def require_valid_bill(document: dict[str, Any]) -> None:
    assert validator().validate_str(written(document)) is None


def require_valid_statement(document: dict[str, Any]) -> None:
    parsed = statement_pb2.Statement()
    json_format.ParseDict(document, parsed)  # a field that is not known is refused
    in_toto.Statement.copy_from_pb(parsed).validate()
    predicate = provenance_pb2.Provenance()
    json_format.ParseDict(document["predicate"], predicate)
    assert predicate.build_definition.build_type
    assert predicate.run_details.builder.id
    for one in predicate.build_definition.resolved_dependencies:
        assert one.uri or one.digest, one


def test_a_statement_is_valid_and_as_it_always_was() -> None:
    document = provenance.statement(MADE)
    require_valid_statement(document)
    require_golden("provenance.golden.json", document)


def test_a_bill_is_valid_and_as_it_always_was() -> None:
    document = bills.bill(MADE, [MEASURED])
    require_valid_bill(document)
    require_golden("bill.golden.json", document)


def test_a_statement_tells_digests_of_what_the_version_was_made_from() -> None:
    definition = provenance.statement(MADE)["predicate"]["buildDefinition"]
    told = {one["name"]: one.get("digest") for one in definition["resolvedDependencies"]}
    assert told["source"] == {"gitCommit": COMMIT}
    assert told["calls@2026-09"] is None  # the last of both says none
    assert told["namespaces/acme/models/voice/versions/1.0.0"] == {"sha256": f"{5:064x}"}
    assert told["Torch_Audio"] == {"sha256": f"{9:064x}"}


PROMPT = specs.PromptSpec(
    "openai", "some-model", (specs.PromptMessage("user", "hi"),), sampling=specs.Sampling(0.2)
)


@pytest.mark.parametrize(
    "content",
    [
        specs.Content(),
        specs.Content(spec=PROMPT),
        specs.Content(spec=specs.ModelSpec(base=specs.BaseModel(uri="hf://x/y"))),
        specs.Content(source=specs.Source(repository="our drive", commit="today")),
        specs.Content(source=specs.Source(run="run 17")),
    ],
)
def test_what_says_little_gives_valid_documents_too(content: specs.Content) -> None:
    made = changed(content=content, notes=versions.Notes())
    require_valid_statement(provenance.statement(made))
    require_valid_bill(bills.bill(made, []))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://git.example.com:8443/a?b#c", "https://git.example.com:8443/a?b#c"),
        ("s3://bucket/a%20b", "s3://bucket/a%20b"),
        ("hf:acme/x", "hf:acme/x"),
        ("git@example.com:acme/voice.git", "git@example.com%3Aacme/voice.git"),
        ("https://a b", "https%3A//a%20b"),
        ("https://a:b", "https%3A//a%3Ab"),
        ("//x:y", "%2F%2Fx%3Ay"),
    ],
)
def test_an_address_is_quoted_if_it_is_no_uri(text: str, shown: str) -> None:
    assert packages.reference(text) == shown


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        ("apache-2.0", {"id": "Apache-2.0"}),
        ("MIT", {"id": "MIT"}),
        ("llama 4", {"name": "llama 4"}),
    ],
)
def test_a_licence_is_an_spdx_id_where_there_is_one(licence: str, shown: dict[str, str]) -> None:
    document = bills.bill(changed(notes=versions.Notes({"license": licence})), [])
    require_valid_bill(document)
    assert document["metadata"]["component"]["licenses"] == [{"license": shown}]


def test_equal_knowledge_has_an_equal_serial_number_and_other_knowledge_another() -> None:
    one, same = bills.bill(MADE, [MEASURED]), bills.bill(MADE, [MEASURED])
    assert one == same
    assert bills.bill(MADE, [])["serialNumber"] != one["serialNumber"]


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
URI = st.builds(
    "https://{}".format, st.from_regex(r"[^\s\x00-\x1f\x7f-\x9f]{1,20}", fullmatch=True)
)


@hypothesis.given(
    st.lists(st.builds(specs.Dependency, TEXT, TEXT, TEXT | st.just("")), max_size=3),
    st.lists(
        st.builds(
            specs.DatasetReference, TEXT, TEXT, st.just("") | st.just(digest(1)), st.just("") | URI
        ),
        max_size=3,
    ),
    st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=3),
    TEXT,
)
@hypothesis.settings(max_examples=50)
def test_whatever_is_said_the_documents_are_valid(
    dependencies: list[specs.Dependency],
    datasets: list[specs.DatasetReference],
    parameters: dict[str, specs.Scalar],
    text: str,
) -> None:
    spec = specs.ModelSpec(
        task=text, dependencies=tuple(dependencies), parameters=parameters,
        inputs=(specs.TensorSpec(text, text[:9], (1,)),),
    )  # fmt: skip
    source = specs.Source(text, text, text)
    made = changed(content=specs.Content(spec, tuple(datasets), source=source))
    require_valid_statement(provenance.statement(made))
    require_valid_bill(bills.bill(made, []))


@pytest.mark.parametrize(
    ("dependency", "url"),
    [
        (
            specs.Dependency("pypi", "Torch_Audio", "2.6.0+cu12"),
            "pkg:pypi/torch-audio@2.6.0%2Bcu12",
        ),
        (specs.Dependency("npm", "@acme/pre"), "pkg:npm/%40acme/pre"),
        (specs.Dependency("maven", "org.x:y", "1"), "pkg:maven/org.x/y@1"),
        (specs.Dependency("go", "github.com/a/b", "v1"), "pkg:golang/github.com/a/b@v1"),
        (specs.Dependency("our own", "a b"), "pkg:generic/a%20b"),
        (specs.Dependency("x", "/"), "pkg:generic/%2F"),
    ],
)
def test_a_dependency_has_a_package_url(dependency: specs.Dependency, url: str) -> None:
    assert packages.url(dependency) == url


def test_nothing_is_told_of_a_draft() -> None:
    draft = dataclasses.replace(VERSION, state=versions.VersionState.DRAFT)
    with pytest.raises(errors.FailedPrecondition, match="only of a sealed version"):
        provenance.require_sealed(draft)
