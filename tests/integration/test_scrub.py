"""The scrub and the re-reading on demand, on a store whose objects a test can damage."""

import asyncio
import datetime
from collections.abc import AsyncIterator

import pytest
from support import faulty_store, memory_store, sealing, uploading

from modelkeep.domain import errors, names, soundness, versions
from modelkeep.service import hashing, rereading, scrub, version_checks
from modelkeep.service import versions as version_service
from modelkeep.storage import database

PART = uploading.PART
NEVER = datetime.timedelta(days=365)
ALWAYS = datetime.timedelta(0)
LARGE = uploading.content_of(3 * PART + 100)
SMALL = b"{}"
FILES = {"weights.bin": LARGE, "copy.bin": LARGE, "config.json": SMALL}


class Deployment:
    """Versions over one store, and who looks after their bytes."""

    def __init__(
        self, db: database.Database, replica: uploading.Replica, store: faulty_store.FaultyBlobStore
    ) -> None:
        self.db = db
        self.replica = replica
        self.store = store
        self.hasher = hashing.Hasher(1)
        self.rereader = rereading.Rereader(store, self.hasher)
        self.sealing = sealing.Sealing(db, store)
        self.checks = version_checks.VersionChecks(db, self.rereader)

    def scrub(self, older_than: datetime.timedelta = NEVER, **settings: float) -> scrub.Scrub:
        wanted = {"bytes_per_s": 1e12, "idle_s": 0.01} | settings
        return scrub.Scrub(self.db, self.rereader, scrub.Settings(older_than=older_than, **wanted))

    async def seal(self, number: int, files: dict[str, bytes]) -> names.VersionName:
        """Push the files and seal them as version 1.0.{number}."""
        name = await self.sealing.draft(number)
        for content in files.values():
            await self.replica.push(content)
        await self.sealing.seal(name, files)
        return name

    async def state(self, name: names.VersionName) -> versions.VersionState:
        service = version_service.Versions(self.db)
        return (await service.get(uploading.CALLER, name)).state

    async def verify(self, name: names.VersionName) -> list[soundness.Rereading]:
        return [told async for told in self.checks.verify(uploading.CALLER, name)]

    async def findings(self, name: names.VersionName) -> dict[str, tuple[str, str]]:
        results = [told.result for told in await self.verify(name) if told.result]
        return {found.file.path: (found.verdict, found.detail) for found in results}

    async def events(self) -> list[tuple[str, str, str | None]]:
        async with self.db.connection() as connection:
            rows = await connection.fetch(
                "SELECT action, resource, after FROM audit_event ORDER BY seq"
            )
        return [(row["action"], row["resource"], row["after"]) for row in rows]


@pytest.fixture
async def deployment(
    db: database.Database, replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> AsyncIterator[Deployment]:
    made = Deployment(db, replica, faulty)
    await made.sealing.make_model()
    yield made
    made.hasher.close()


def key_of(memory: memory_store.MemoryBlobStore, content: bytes) -> str:
    return next(key for key, held in memory.objects.items() if held == content)


def flip(memory: memory_store.MemoryBlobStore, content: bytes, at: int) -> str:
    """Change one bit of an object."""
    key = key_of(memory, content)
    memory.objects[key] = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    return key


async def test_a_sound_version_is_proven_file_by_file(deployment: Deployment) -> None:
    name = await deployment.seal(1, FILES)
    told = await deployment.verify(name)
    assert {each.result.file.path for each in told if each.result} == set(FILES)
    assert {each.result.verdict for each in told if each.result} == {soundness.Verdict.OK}
    # The two files with the same bytes are read once.
    assert (told[-1].checked_bytes, told[-1].total_bytes) == (len(LARGE) + 2, len(LARGE) + 2)


@pytest.mark.parametrize("at", [0, PART - 1, PART, 2 * PART + 7, len(LARGE) - 1])
async def test_the_part_that_rotted_is_named(
    deployment: Deployment, memory: memory_store.MemoryBlobStore, at: int
) -> None:
    name = await deployment.seal(1, FILES)
    flip(memory, LARGE, at)
    start = at // PART * PART
    end = min(start + PART, len(LARGE))
    rotten = ("corrupt", f"bytes {start:,} to {end:,} are damaged")
    assert await deployment.findings(name) == {
        "weights.bin": rotten,
        "copy.bin": rotten,
        "config.json": ("ok", ""),
    }
    with pytest.raises(errors.DataLoss) as caught:
        await deployment.replica.read(uploading.digest_of(LARGE))
    assert (caught.value.metadata["offset"], caught.value.metadata["length"]) == (
        str(start),
        str(end - start),
    )


async def test_lost_cut_and_grown_objects_are_told_apart(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    name = await deployment.seal(1, {"w": LARGE, "c": SMALL})
    key = key_of(memory, LARGE)
    for held, expected in (
        (LARGE[:-1], ("corrupt", f"there are {len(LARGE) - 1:,} bytes instead of {len(LARGE):,}")),
        (
            LARGE + b"x",
            ("corrupt", f"there are {len(LARGE) + 1:,} bytes instead of {len(LARGE):,}"),
        ),
        (LARGE, ("ok", "")),
    ):
        memory.objects[key] = held
        assert (await deployment.findings(name))["w"] == expected
    del memory.objects[key]
    assert (await deployment.findings(name))["w"] == ("missing", "its bytes are lost")


async def test_only_sealed_versions_can_be_verified(deployment: Deployment) -> None:
    with pytest.raises(errors.NotFound):
        await deployment.verify(names.VersionName("acme", "m", "1.0.1"))
    name = await deployment.sealing.draft(1)
    with pytest.raises(errors.FailedPrecondition, match="is draft"):
        await deployment.verify(name)


async def test_a_verification_that_is_given_up_frees_its_places(
    deployment: Deployment, faulty: faulty_store.FaultyBlobStore
) -> None:
    name = await deployment.seal(1, FILES)
    gates = [faulty.hold("stat", nth=n + 1) for n in range(version_checks.AT_ONCE)]
    telling = deployment.checks.verify(uploading.CALLER, name)
    assert (await anext(telling)).result is None
    await uploading.until(lambda: faulty.calls.get("stat", 0) >= version_checks.AT_ONCE)
    await telling.aclose()
    for gate in gates:
        gate.set()
    assert len(await deployment.findings(name)) == len(FILES)


async def test_the_scrub_sets_aside_every_version_that_has_what_rotted(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    first = await deployment.seal(1, FILES)
    second = await deployment.seal(2, {"other/name.bin": LARGE})
    sound = await deployment.seal(3, {"config.json": SMALL})
    flip(memory, LARGE, PART)
    scrubbing = deployment.scrub(ALWAYS)
    assert await scrubbing.step()
    assert await scrubbing.step()
    states = [await deployment.state(name) for name in (first, second, sound)]
    assert states == ["quarantined", "quarantined", "ready"]
    told = [(action, resource) for action, resource, _ in await deployment.events()][-3:]
    digest = uploading.digest_of(LARGE)
    assert told[0] == ("blob.rotted", f"namespaces/acme/blobs/{digest}")
    assert {resource for action, resource in told if action == "version.quarantined"} == {
        str(first),
        str(second),
    }
    reasons = [after for action, _, after in await deployment.events() if action[-3:] == "ned"]
    assert all(digest in (reason or "") for reason in reasons)
    assert "other/name.bin" in (reasons[1] or "") + (reasons[0] or "")


async def test_the_same_bytes_pushed_again_repair_a_blob(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    name = await deployment.seal(1, FILES)
    rotten_key = flip(memory, LARGE, 5)
    digest = uploading.digest_of(LARGE)
    assert await deployment.replica.missing([digest]) == ()
    with pytest.raises(errors.DataLoss):
        await deployment.replica.read(digest)
    # Who met the damage has told the scrub, which takes this blob first although it is young.
    assert await deployment.scrub().step()
    assert await deployment.replica.missing([digest]) == (digest,)
    assert await deployment.state(name) == "quarantined"
    await deployment.replica.push(LARGE)
    assert await deployment.replica.missing([digest]) == ()
    assert await deployment.replica.read(digest) == LARGE
    assert key_of(memory, LARGE) != rotten_key
    assert {verdict for verdict, _ in (await deployment.findings(name)).values()} == {"ok"}
    assert not await deployment.scrub().step()


async def test_a_new_version_cannot_count_on_rotten_bytes(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    await deployment.seal(1, FILES)
    flip(memory, LARGE, 5)
    while await deployment.scrub(datetime.timedelta(milliseconds=1), idle_s=0).step():
        if await deployment.replica.missing([uploading.digest_of(LARGE)]):
            break
    name = await deployment.sealing.draft(2)
    with pytest.raises(errors.FailedPrecondition, match="never uploaded"):
        await deployment.sealing.seal(name, {"w": LARGE})


async def test_bytes_that_come_back_are_believed_again(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    name = await deployment.seal(1, {"w": LARGE, "c": SMALL})
    key = flip(memory, LARGE, 5)
    scrubbing = deployment.scrub(ALWAYS)
    assert [await scrubbing.step(), await scrubbing.step()] == [True, True]
    memory.objects[key] = LARGE  # somebody restored the bucket
    await deployment.findings(name)
    assert await deployment.scrub().step()
    assert await deployment.replica.missing([uploading.digest_of(LARGE)]) == ()
    assert [action for action, _, _ in await deployment.events()].count("blob.recovered") == 1


async def test_an_empty_bucket_is_the_wrong_one_and_condemns_nothing(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    name = await deployment.seal(1, FILES)
    memory.objects.clear()
    with pytest.raises(errors.FailedPrecondition, match="MODELKEEP_S3_BUCKET"):
        await deployment.scrub(ALWAYS).step()
    assert await deployment.state(name) == "ready"


async def test_a_store_that_is_away_condemns_nothing_and_frees_the_claim(
    deployment: Deployment, faulty: faulty_store.FaultyBlobStore
) -> None:
    name = await deployment.seal(1, {"c": SMALL})
    faulty.fail("stat")
    with pytest.raises(errors.Unavailable):
        await deployment.scrub(ALWAYS).step()
    assert await deployment.scrub(ALWAYS).step()
    assert await deployment.state(name) == "ready"


async def test_two_replicas_never_re_read_the_same_blob(
    deployment: Deployment, faulty: faulty_store.FaultyBlobStore
) -> None:
    contents = [uploading.content_of(100 + n) for n in range(20)]
    await deployment.seal(1, {f"f{n}": content for n, content in enumerate(contents)})
    long_ago = "UPDATE blob SET verified_at = now() - interval '30 days'"
    async with deployment.db.connection() as connection:
        await connection.execute(long_ago)
    before = faulty.calls.get("stat", 0)

    async def drain() -> int:
        steps, scrubbing = 0, deployment.scrub(datetime.timedelta(days=7))
        while await scrubbing.step():
            steps += 1
        return steps

    steps = await asyncio.gather(*(drain() for _ in range(4)))
    assert sum(steps) == len(contents)
    assert faulty.calls.get("stat", 0) - before == len(contents)


async def test_the_rate_is_kept() -> None:
    loop = asyncio.get_running_loop()
    pace, began = scrub.Pace(1_000_000), loop.time()
    for _ in range(10):
        await pace.spend(20_000)
    assert 0.19 <= loop.time() - began < 2


async def test_the_scrub_runs_until_it_is_stopped(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    name = await deployment.seal(1, FILES)
    flip(memory, SMALL, 0)
    running = asyncio.create_task(deployment.scrub(ALWAYS).run())
    async with asyncio.timeout(20):
        while await deployment.state(name) != "quarantined":  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
