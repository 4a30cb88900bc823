"""Look-ups of many calls in one statement: each is told what it would be told alone, as fresh."""

import asyncio
from collections.abc import Sequence
from concurrent import futures

import pytest
from support import memory_store, sealing, uploading

from modelkeep.domain import aliases, errors, models, names, refs, versions
from modelkeep.service import usecases
from modelkeep.storage import database, resolving
from modelkeep.storage import versions as version_rows

CALLER, NOT_ONCE, MODEL = sealing.CALLER, sealing.NOT_ONCE, sealing.MODEL
VERSIONS = 8
READERS, MOVES = 24, 40


class Setting:
    """A model with sealed versions `1.0.0` to `1.0.7`, each with a file of its own."""

    def __init__(self, db: database.Database, blobs: memory_store.MemoryBlobStore) -> None:
        self.db = db
        self.cases = usecases.Registry.over(db, blobs, futures.ThreadPoolExecutor(1))
        self._replica = uploading.Replica(db, blobs)
        self._sealing = sealing.Sealing(db, blobs)

    async def fill(self) -> list[versions.Version]:
        await self._sealing.make_model()
        for number in range(VERSIONS):
            content = uploading.content_of(100 + number)
            await self._replica.push(content)
            await self._sealing.seal(await self._sealing.draft(number), {"f": content})
        return [await self.cases.versions.get(CALLER, name(number)) for number in range(VERSIONS)]

    async def point(self, alias: str, number: int) -> None:
        target = names.AliasName(MODEL.namespace, MODEL.model, alias)
        await self.cases.aliases.set(
            CALLER,
            NOT_ONCE,
            aliases.AliasTarget(target, name(number), "moved"),
            "",
            if_absent=False,
        )

    async def resolve(self, text: str) -> versions.Version:
        return await self.cases.versions.resolve(CALLER, refs.parse(text), None)

    async def resolve_all(self, texts: Sequence[str]) -> list[versions.Version | BaseException]:
        return await asyncio.gather(*map(self.resolve, texts), return_exceptions=True)


def name(number: int) -> names.VersionName:
    return names.VersionName(MODEL.namespace, MODEL.model, f"1.0.{number}")


@pytest.fixture
async def setting(db: database.Database, memory: memory_store.MemoryBlobStore) -> Setting:
    return Setting(db, memory)


async def test_versions_are_the_same_by_name_together_and_alone(setting: Setting) -> None:
    await setting.fill()
    deleted = name(0)
    await setting.cases.versions.delete(CALLER, NOT_ONCE, deleted, "")
    asked = [
        *(name(number) for number in range(VERSIONS)),
        name(99),
        names.VersionName("nowhere", "m", "1.0.0"),
    ]

    async def get(wanted: names.VersionName) -> versions.Version:
        return await setting.cases.versions.get(CALLER, wanted)

    alone = [(await asyncio.gather(get(one), return_exceptions=True))[0] for one in asked]
    together = await asyncio.gather(*map(get, [*asked, *asked]), return_exceptions=True)
    assert [told(each) for each in together] == [told(each) for each in alone] * 2
    assert len({told(each) for each in alone}) == len(asked)
    async with setting.db.connection() as connection:
        found = await version_rows.get_all(connection, asked)
    assert found == dict(zip(asked, alone[:VERSIONS], strict=False))
    assert found[deleted].state is versions.VersionState.DELETED


async def test_all_kinds_of_references_mean_the_same_together_and_alone(setting: Setting) -> None:
    sealed = await setting.fill()
    await setting.point("champion", 3)
    texts = [
        *(f"acme/m@1.0.{number}" for number in range(VERSIONS)),
        *("acme/m", "acme/m@latest", "acme/m@^1.0", "acme/m@>=1,<1.0.4", "acme/m@~2"),
        *("acme/m@champion", "acme/m@challenger", "acme/m@development", "acme/m@production"),
        *(f"acme/m@#{number}" for number in (1, 4, 99)),
        *(f"acme/m@{version.manifest_digest}" for version in sealed),
        *("acme/none@champion", "nowhere/m@1.0.0", "acme/m@9.9.9"),
    ]
    alone = [(await setting.resolve_all([text]))[0] for text in texts]
    together = await setting.resolve_all([*texts, *texts])
    assert [told(each) for each in together] == [told(each) for each in alone] * 2
    assert len({told(each) for each in alone}) > VERSIONS
    async with setting.db.connection() as connection:
        found = await resolving.resolve_all(connection, [refs.parse(text) for text in texts])
    assert found == {
        refs.parse(text): each
        for text, each in zip(texts, alone, strict=True)
        if isinstance(each, versions.Version)
    }


def told(answer: versions.Version | BaseException) -> str:
    return str(answer.name) if isinstance(answer, versions.Version) else repr(answer)


async def test_what_was_moved_before_the_question_is_never_told_as_it_was(setting: Setting) -> None:
    await setting.fill()
    await setting.point("champion", 0)
    moves, is_over = 0, False

    async def move() -> None:
        nonlocal moves, is_over
        for move in range(1, MOVES + 1):
            await setting.point("champion", move % VERSIONS)
            moves = move
            await asyncio.sleep(0)
        is_over = True

    async def read() -> None:
        while not is_over:
            before = moves
            found = await setting.resolve("acme/m@champion")
            # One more may be committed and not told yet.
            possible = [name(move % VERSIONS) for move in range(before, moves + 2)]
            assert found.name in possible

    async with asyncio.TaskGroup() as group:
        group.create_task(move())
        for _ in range(READERS):
            group.create_task(read())


async def test_callers_together_see_no_more_than_each_alone(setting: Setting) -> None:
    await setting.fill()
    foreign = names.NamespaceName("other")
    await uploading.make_namespace(setting.db, foreign)
    theirs = names.ModelName("other", "m")
    await setting.cases.models.create(
        CALLER, NOT_ONCE, theirs, models.ModelKind.MODEL, models.ModelFields()
    )
    texts = ["acme/m@latest", "other/m@latest"] * 10
    found = await setting.resolve_all(texts)
    assert {told(each) for each in found[::2]} == {str(name(VERSIONS - 1))}
    assert {told(each) for each in found[1::2]} == {
        repr(errors.NotFound(f"no sealed version of {theirs} matches", resource=theirs))
    }
