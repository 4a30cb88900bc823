"""Answers that are written once for each version that is at hand."""

import dataclasses
import datetime
import gc

from modelkeep.domain import names, specs, versions
from modelkeep.transport import convert_registry, wire_versions
from modelkeep.v1 import registry_service_pb2 as pb

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
VERSION = versions.Version(
    name=names.VersionName("acme", "voice", "1.2.0"),
    ordinal=3,
    state=versions.VersionState.READY,
    stage="production",
    manifest_digest="sha256:" + "ab" * 32,
    file_count=2,
    total_bytes=2048,
    content=specs.Content(specs.ModelSpec(framework="onnx")),
    notes=versions.Notes({"team": "speech"}, "What it is.", "# Card"),
    aliases=("champion",),
    creator="user:alice",
    create_client="127.0.0.1:1 test",
    created_at=NOW,
    updated_at=NOW,
    finalized_at=NOW,
    deleted_at=None,
    etag="4",
)


def test_an_answer_is_what_protobuf_writes_for_both_methods() -> None:
    written = wire_versions.Answers().of(VERSION)
    wanted = convert_registry.version_to_wire(VERSION)
    assert pb.GetVersionResponse.FromString(written).version == wanted
    assert pb.ResolveVersionResponse.FromString(written).version == wanted


def test_one_version_is_written_once_and_another_anew() -> None:
    answers = wire_versions.Answers()
    moved = dataclasses.replace(VERSION, aliases=())
    assert answers.of(VERSION) is answers.of(VERSION)
    assert pb.GetVersionResponse.FromString(answers.of(moved)).version.aliases == []
    assert pb.GetVersionResponse.FromString(answers.of(VERSION)).version.aliases == ["champion"]


def test_an_answer_goes_with_its_version() -> None:
    answers = wire_versions.Answers()
    for number in range(1000):  # ids of what is gone are given again
        passing = dataclasses.replace(VERSION, ordinal=number)
        assert pb.GetVersionResponse.FromString(answers.of(passing)).version.ordinal == number
    assert len(answers) == 1
    del passing
    gc.collect()
    assert len(answers) == 0
