"""The server chooses the next version: without races, without gaps, and not twice for one push."""

import asyncio
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep.v1 import registry_service_pb2 as pb

DIGEST = "sha256:" + "1" * 64
DRAFT, LATEST = pb.VERSION_REUSE_DRAFT, pb.VERSION_REUSE_DRAFT_OR_LATEST


async def bump(stubs: wire.Stubs, model: str, how: str = "PATCH", **fields: Any) -> pb.Version:
    text = fields.pop("text", "hello")
    request = pb.CreateVersionRequest(
        parent=model,
        bump=pb.VersionBump.Value(f"VERSION_BUMP_{how}"),
        version=wire.prompt_version(text),
        **fields,
    )
    return (await stubs.registry.CreateVersion(request)).version


async def seal(stubs: wire.Stubs, name: str) -> pb.Version:
    answer = await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=name))
    return answer.version


@pytest.mark.parametrize(
    ("there", "how", "then"),
    [
        ([], "PATCH", "0.0.1"),
        ([], "MINOR", "0.1.0"),
        ([], "MAJOR", "1.0.0"),
        (["1.2.3"], "PATCH", "1.2.4"),
        (["1.2.3"], "MINOR", "1.3.0"),
        (["1.2.3"], "MAJOR", "2.0.0"),
        (["1.9.0", "1.10.0"], "MINOR", "1.11.0"),  # by precedence, not as text
        (["2.0.0", "1.9.0"], "PATCH", "2.0.1"),  # nor by age
        (["1.2.3", "2.0.0-rc.1"], "PATCH", "1.2.4"),  # pre-releases do not count
        (["1.2.3", "2.0.0-rc.1"], "MAJOR", "2.0.0"),
        (["1.2.3+build.5"], "PATCH", "1.2.4"),
    ],
)
async def test_the_highest_release_is_raised(
    stubs: wire.Stubs, there: list[str], how: str, then: str
) -> None:
    model = await stubs.new_model()
    for version in there:
        await stubs.draft(model, version)
    assert (await bump(stubs, model, how)).version == then


async def test_a_deleted_version_is_not_made_again(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    gone = await stubs.ready(model, "1.0.0")
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=gone.name))
    assert (await bump(stubs, model)).version == "1.0.1"


async def test_fifty_bumps_at_once_give_fifty_consecutive_versions(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    made = await asyncio.gather(*(bump(stubs, model, "MINOR") for _ in range(50)))
    assert sorted((v.version for v in made), key=lambda v: int(v.split(".")[1])) == [
        f"0.{n}.0" for n in range(1, 51)
    ]
    by_ordinal = sorted(made, key=lambda v: v.ordinal)
    assert [v.ordinal for v in by_ordinal] == list(range(1, 51))
    assert [v.version for v in by_ordinal] == [f"0.{n}.0" for n in range(1, 51)]


async def test_bumps_race_named_versions_and_neither_blocks_the_other(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    named = (stubs.draft(model, f"{n}.0.0") for n in range(1, 11))
    bumped = (bump(stubs, model) for _ in range(20))
    made = await asyncio.gather(*named, *bumped, return_exceptions=True)
    versions = [v.version for v in made if isinstance(v, pb.Version)]
    assert len(versions) == 30  # a bump takes a patch number, which nobody names here
    assert len(set(versions)) == 30


async def test_a_retry_gets_the_same_version(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    calls = (bump(stubs, model, request_id="once") for _ in range(8))
    assert {v.version for v in await asyncio.gather(*calls)} == {"0.0.1"}
    with pytest.raises(grpc.aio.AioRpcError, match="another request"):
        await bump(stubs, model, "MAJOR", request_id="once")


async def test_no_version_follows_the_last_one(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    await stubs.draft(model, "999999999999999.0.0")
    failure = await wire.failing(bump(stubs, model, "MAJOR"))
    assert failure.reason == "VERSION_NUMBER_EXHAUSTED"
    assert (await bump(stubs, model, "MINOR")).version == "999999999999999.1.0"


async def test_a_cut_push_finds_its_own_draft(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first = await bump(stubs, model, manifest_digest=DIGEST, reuse=DRAFT)
    again = await bump(stubs, model, manifest_digest=DIGEST, reuse=DRAFT)
    assert (again.name, again.etag) == (first.name, first.etag)
    said_more = await bump(stubs, model, manifest_digest=DIGEST, reuse=DRAFT, text="other")
    assert said_more.name == first.name
    assert said_more.prompt.messages[0].content == "other"
    assert said_more.etag != first.etag
    # Other content, or nobody asked for reuse: a version of its own.
    other = await bump(stubs, model, manifest_digest="sha256:" + "2" * 64, reuse=DRAFT)
    assert other.version == "0.0.2"
    assert (await bump(stubs, model, manifest_digest=DIGEST)).version == "0.0.3"


async def test_many_pushes_of_the_same_at_once_share_one_draft(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    made = await asyncio.gather(*(bump(stubs, model, reuse=LATEST) for _ in range(20)))
    assert {v.version for v in made} == {"0.0.1"}


async def test_an_unchanged_latest_release_is_answered(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first = await seal(stubs, (await bump(stubs, model, reuse=LATEST)).name)
    again = await bump(stubs, model, reuse=LATEST)
    assert (again.name, again.state) == (first.name, pb.VERSION_STATE_READY)
    assert (await bump(stubs, model, reuse=LATEST, text="changed")).version == "0.0.2"
    assert (await bump(stubs, model, reuse=DRAFT)).version == "0.0.3"


async def test_going_back_to_older_content_is_a_new_version(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for text, version in (("a", "0.0.1"), ("b", "0.0.2"), ("a", "0.0.3")):
        made = await bump(stubs, model, reuse=LATEST, text=text)
        assert made.version == version
        await seal(stubs, made.name)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"version_id": "1.0.0", "bump": 1}, "version_id"),
        ({"bump": 9}, "bump"),
        ({"bump": 1, "reuse": 9}, "reuse"),
        ({"bump": 1, "manifest_digest": "sha256:1"}, "manifest_digest"),
        ({"version_id": "1.0.0", "reuse": DRAFT}, "reuse"),
        ({"version_id": "1.0.0", "manifest_digest": DIGEST}, "manifest_digest"),
        ({}, "version_id"),
    ],
)
async def test_what_does_not_go_together_is_refused(
    stubs: wire.Stubs, fields: dict[str, Any], wrong: str
) -> None:
    request = pb.CreateVersionRequest(parent="namespaces/a/models/b", **fields)
    failure = await wire.failing(stubs.registry.CreateVersion(request))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [wrong])
