"""What lies between two versions, through the wire."""

from typing import Any

import asyncpg
import grpc
import pytest
from support import wire

from modelkeep.v1 import diff_pb2
from modelkeep.v1 import registry_service_pb2 as pb

MIB = 1024 * 1024


async def diff(stubs: wire.Stubs, before: str, after: str, **fields: Any) -> diff_pb2.VersionDiff:
    request = pb.DiffVersionsRequest(from_ref=ref(before), to_ref=ref(after), **fields)
    return (await stubs.registry.DiffVersions(request)).diff


def ref(name: str) -> str:
    words = name.split("/")
    return f"{words[1]}/{words[3]}@{words[5]}" if len(words) > 5 else name


async def sealed(stubs: wire.Stubs, model: str, number: str, content: pb.Version) -> str:
    request = pb.CreateVersionRequest(parent=model, version_id=number, version=content)
    created = await stubs.registry.CreateVersion(request)
    answer = await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=created.version.name)
    )
    return answer.version.name


async def test_two_prompts_differ_in_what_was_changed(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    content = wire.prompt_version("Be brief.\nBe kind.")
    content.metrics.add(name="score", value=0.5)
    content.labels["team"] = "a"
    before = await sealed(stubs, model, "1.0.0", content)
    content.prompt.messages[0].content = "Be brief.\nBe clear."
    content.prompt.sampling.temperature = 0.2
    content.prompt.tools.add(name="look_up")
    content.metrics[0].value = 0.75
    content.metrics.add(name="new", value=1)
    content.labels["team"] = "b"
    content.card = "# Triage\n"
    after = await sealed(stubs, model, "1.1.0", content)
    found = await diff(stubs, before, after)
    assert not found.identical
    assert [(f.path, f.kind) for f in found.files] == [
        ("prompt.json", diff_pb2.FILE_CHANGE_KIND_CHANGED)
    ]
    assert [(f.name, f.before, f.after) for f in found.fields] == [
        ("sampling.temperature", "", "0.2")
    ]
    new, score = found.metrics
    assert (score.name, score.before, score.after, score.delta) == ("score", 0.5, 0.75, 0.25)
    assert (new.HasField("before"), new.HasField("delta"), new.after) == (False, False, 1)
    assert [(c.key, c.before, c.after) for c in found.labels] == [("team", "a", "b")]
    assert [c.after.name for c in found.tools] == ["look_up"]
    assert {t.name: t.unified_diff for t in found.texts} == {
        "prompt.messages": "@@ -1,3 +1,3 @@\n [system]\n Be brief.\n-Be kind.\n+Be clear.\n",
        "card": "@@ -0,0 +1,2 @@\n+# Triage\n+\n",
    }
    assert (await diff(stubs, before, before)).identical
    back = await diff(stubs, after, before)
    assert back.metrics[1].delta == -0.25


async def test_any_reference_of_any_model_will_do(stubs: wire.Stubs) -> None:
    one = await stubs.ready(await stubs.new_model())
    two = await stubs.ready(await stubs.new_model())
    await stubs.alias(two.name, "champion")
    found = await diff(stubs, one.name, ref(two.name).partition("@")[0] + "@champion")
    assert (found.before.version, found.after.version) == (one.name, two.name)
    assert found.identical
    assert found.file_counts.unchanged == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"from_ref": "a/b@1.0.0", "to_ref": "a/b"}, grpc.StatusCode.NOT_FOUND),
        ({"from_ref": "a", "to_ref": "a/b@x y"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"from_ref": "a/b", "to_ref": "a/b", "max_files": -1}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    stubs: wire.Stubs, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    failure = await wire.failing(stubs.registry.DiffVersions(pb.DiffVersionsRequest(**fields)))
    assert failure.code is code


async def test_a_draft_is_not_compared(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    await stubs.ready(model)
    draft = await stubs.draft(model, "2.0.0")
    failure = await wire.failing(diff(stubs, f"{model}/versions/1.0.0", draft.name))
    assert failure.code is grpc.StatusCode.NOT_FOUND


async def test_the_largest_differences_fit_into_a_message_and_say_what_is_left_out(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_PROMPT)
    names = []
    for number in ("1.0.0", "1.1.0"):
        content = wire.prompt_version()
        content.card = "".join(f"{number} {n} {'é' * 40}\n" for n in range(4500))
        content.prompt.messages[0].content = "x\n" * 10_000 + f"{number}\n" * 20_000
        for n in range(100):
            content.prompt.tools.add(name=f"t{n}", description=number + "d" * 8000)
        names.append(await sealed(stubs, model, number, content))
    await _give_files(database_url, names, 10_000)
    found = await diff(stubs, *names, max_files=10_000)
    assert found.ByteSize() < 3 * MIB
    assert set(found.truncated) == {"files", "texts", "tools"}
    assert found.file_counts.changed == 10_001
    card = next(text for text in found.texts if text.name == "card")
    assert (card.added_lines, card.removed_lines) == (4500, 4500)
    assert card.unified_diff.endswith("\n") or not card.unified_diff
    listed = await diff(stubs, *names, max_files=7)
    assert (len(listed.files), listed.file_counts.changed) == (7, 10_001)
    assert "files" in listed.truncated


async def _give_files(url: str, names: list[str], number: int) -> None:
    """Give each version so many files with content of its own, behind the server's back."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for name in names:
                await connection.execute(
                    "INSERT INTO version_file SELECT version_id, namespace_id, 'd/' || n || "
                    "repeat('x', 100), sha256((version || n)::bytea), n, 'x/y' FROM version, "
                    "generate_series(1, $2) n WHERE version = $1",
                    name.rpartition("/")[2],
                    number,
                )
                await connection.execute(
                    "UPDATE version SET file_count = file_count + $2 WHERE version = $1",
                    name.rpartition("/")[2],
                    number,
                )
    finally:
        await connection.close()
