"""Models that leave while others change them: nothing is lost, and nothing is half here."""

import asyncio
import itertools
from typing import Any

import grpc
from support import leaving, wire, wire_uploads

from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import audit_service_pb2 as audit_pb
from modelkeep.v1 import evaluation_service_pb2 as evaluation_pb
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb

MOVES, CHANGES = 12, 10
HELD = {"MODEL_HAS_DRAFTS", "MODEL_HAS_TRANSITIONS", "BLOBS_MISSING"}
"""What may keep a model where it is while others work on it."""
ELSEWHERE = {"NOT_FOUND"}
"""Who asks by an old name is sent on once; a model that moves each moment may have left again."""


async def intact(stubs: wire.Stubs, *parents: str) -> None:
    for parent in parents:
        request = audit_pb.VerifyAuditChainRequest(parent=parent)
        answers = [answer async for answer in stubs.audit.VerifyAuditChain(request)]
        assert answers[-1].verdict.intact, answers[-1]


async def test_of_two_moves_at_once_one_comes_after_the_other(
    stubs: wire.Stubs, database_url: str
) -> None:
    for seed in range(3):
        old = (await leaving.filled(stubs, leaving.some_files(20 + seed))).partition("/versions")[0]
        places = [await leaving.namespace(stubs) for _ in range(2)]
        wanted = [f"{parent}/models/voice" for parent in places]
        for new in wanted:
            await leaving.copy(stubs, old, new)
        etag = (await stubs.registry.GetModel(pb.GetModelRequest(name=old))).model.etag
        outcomes = await asyncio.gather(
            *(leaving.outcome(leaving.move(stubs, old, new, etag=etag)) for new in wanted)
        )
        assert sorted(outcomes) == ["OK", "STALE_ETAG"]
        new = wanted[outcomes.index("OK")]
        assert (await stubs.registry.GetModel(pb.GetModelRequest(name=old))).model.name == new
        assert await leaving.strays(database_url) == {}
        await intact(stubs, leaving.parent_of(old), *places)


class Writers:
    """Work on one model by the name that it had first, and note what was answered."""

    def __init__(self, stubs: wire.Stubs, model: str) -> None:
        self.stubs = stubs
        self.model = model
        self.done: list[tuple[str, Any]] = []
        self.refused: set[str] = set()
        self.over = False
        self.answered: asyncio.Queue[str] = asyncio.Queue()
        self._numbers = itertools.count(1)

    async def tried(self, what: str, call: Any, noted: Any) -> bool:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            self.refused.add(wire.failure_of(error).reason)
            return False
        self.done.append((what, noted))
        self.answered.put_nowait(what)
        return True

    async def going_on(self) -> None:
        """Wait until a few more changes were made."""
        for _ in range(CHANGES):
            await self.answered.get()

    async def push(self) -> None:
        registry = self.stubs.registry
        while not self.over:
            number = f"2.{next(self._numbers)}.0"
            name = f"{self.model}/versions/{number}"
            request = pb.CreateVersionRequest(
                parent=self.model, version_id=number, version=wire.prompt_version()
            )
            if not await self.tried("created", registry.CreateVersion(request), number):
                continue
            finalize = pb.FinalizeVersionRequest(name=name)
            while not await self.tried("sealed", registry.FinalizeVersion(finalize), number):
                pass  # else the draft would hold the model for ever
            await asyncio.sleep(0.02)  # room for a move, which drafts hold

    async def point(self) -> None:
        for number in itertools.count(1):
            if self.over:
                return
            alias = pb.Alias(
                name=f"{self.model}/aliases/a{number}", version=f"{self.model}/versions/1.0.0"
            )
            call = self.stubs.registry.SetAlias(pb.SetAliasRequest(alias=alias))
            await self.tried("alias", call, f"a{number}")

    async def stage(self) -> None:
        for stage in itertools.cycle(["staging", "production", "archived", "development"]):
            request = lifecycle_pb.SetStageRequest(
                name=f"{self.model}/versions/1.0.0", stage=stage, reason="test"
            )
            while not await self.tried("stage", self.stubs.lifecycle.SetStage(request), stage):
                pass
            if self.over:
                return

    async def measure(self) -> None:
        for number in itertools.count(1):
            if self.over:
                return
            evaluation = evaluation_pb.Evaluation(
                dataset=evaluation_pb.EvaluationDataset(name="dialogs", revision="1"),
                suite=f"s{number}",
                evaluator="judge@1",
                metrics=[{"name": "score", "value": 1, "direction": "METRIC_DIRECTION_HIGHER"}],
            )
            request = evaluation_pb.RecordEvaluationRequest(
                parent=f"{self.model}/versions/1.0.0", evaluation=evaluation
            )
            call = self.stubs.evaluations.RecordEvaluation(request)
            await self.tried("evaluation", call, f"s{number}")

    def noted(self, what: str) -> list[Any]:
        return [noted for done, noted in self.done if done == what]


async def test_nothing_that_was_answered_is_lost_while_a_model_goes_to_and_fro(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    await stubs.ready(model)
    there = f"{await leaving.namespace(stubs)}/models/voice"
    writers = Writers(stubs, model)
    work = [writers.push(), writers.point(), writers.stage(), writers.measure()]
    tasks = [asyncio.create_task(one) for one in work]
    outcomes: list[str] = []
    ways = itertools.cycle([(model, there), (there, model)])
    old, new = next(ways)
    async with asyncio.timeout(120):
        await leaving.outcome(leaving.copy(stubs, old, new))
        while outcomes.count("OK") < MOVES:
            outcomes.append(await leaving.outcome(leaving.move(stubs, old, new)))
            if outcomes[-1] == "OK":
                old, new = next(ways)
                await writers.going_on()
            elif outcomes[-1] == "BLOBS_MISSING":
                await leaving.outcome(leaving.copy(stubs, old, new))
    writers.over = True
    await asyncio.gather(*tasks)
    assert set(outcomes) <= {"OK"} | HELD
    assert writers.refused <= ELSEWHERE
    assert len(writers.done) >= MOVES * CHANGES
    assert await leaving.strays(database_url) == {}
    listed = await stubs.registry.ListVersions(pb.ListVersionsRequest(parent=model, page_size=1000))
    assert {one.version for one in listed.versions} == {"1.0.0", *writers.noted("created")}
    assert {one.state for one in listed.versions} == {pb.VERSION_STATE_READY}
    assert len({one.ordinal for one in listed.versions}) == len(listed.versions)
    aliases = await stubs.registry.ListAliases(pb.ListAliasesRequest(parent=model, page_size=1000))
    assert {one.name.rpartition("/")[2] for one in aliases.aliases} == set(writers.noted("alias"))
    found = await stubs.evaluations.ListEvaluations(
        evaluation_pb.ListEvaluationsRequest(parent=f"{model}/versions/1.0.0", page_size=1000)
    )
    assert {one.suite for one in found.evaluations} == set(writers.noted("evaluation"))
    await intact(stubs, leaving.parent_of(model), leaving.parent_of(there))
    events = "SELECT action, count(*) FROM event_log GROUP BY action"
    counted = dict(await leaving.rows(database_url, events))
    for action, what in (("stage.set", "stage"), ("alias.set", "alias")):
        assert counted[action] == len(writers.noted(what)), action
    assert counted["model.moved"] == 2 * MOVES


async def test_a_collector_that_runs_all_the_time_takes_nothing_that_is_to_move(
    stubs: wire.Stubs, database_url: str
) -> None:
    old = (await leaving.filled(stubs, leaving.some_files(30, 6))).partition("/versions/")[0]
    there = await leaving.namespace(stubs)
    new = f"{there}/models/voice"
    over = asyncio.Event()

    async def collect() -> int:
        collected = 0
        age = "UPDATE blob SET touched_at = now() - interval '30 days'"
        while not over.is_set():
            await leaving.rows(database_url, age)
            collected += len(await garbage(stubs, there))
        return collected

    collecting = asyncio.create_task(collect())
    mine = b"nobody needs this"
    await leaving.batch(stubs, there, [mine])
    told = await leaving.copy(stubs, old, new)
    assert told[-1].present_blobs == told[-1].blobs
    await leaving.rows(database_url, "UPDATE blob SET touched_at = now() - interval '30 days'")
    await garbage(stubs, there)
    await leaving.move(stubs, old, new)
    over.set()
    await collecting
    digest = wire_uploads.digest_of(mine)
    left = "SELECT FROM blob WHERE digest = decode($1, 'hex')"
    assert not await leaving.rows(database_url, left, digest.removeprefix("sha256:"))
    assert await leaving.strays(database_url) == {}


async def garbage(stubs: wire.Stubs, parent: str) -> list[Any]:
    request = artifact_pb.CollectGarbageRequest(parent=parent)
    return list((await stubs.artifact.CollectGarbage(request)).blobs)


async def test_what_is_held_no_more_is_garbage(stubs: wire.Stubs, database_url: str) -> None:
    old = (await leaving.filled(stubs, leaving.some_files(31))).partition("/versions/")[0]
    there = await leaving.namespace(stubs)
    new = f"{there}/models/voice"
    await leaving.copy(stubs, old, new)
    age = "UPDATE blob SET touched_at = now() - interval '30 days'"
    await leaving.rows(database_url, age)
    assert not await garbage(stubs, there)
    await leaving.rows(database_url, "UPDATE blob_hold SET held_until = now() - interval '1 s'")
    assert len(await garbage(stubs, there)) == 7
    assert await leaving.outcome(leaving.move(stubs, old, new)) == "BLOBS_MISSING"
    await leaving.relocate(stubs, old, new)
