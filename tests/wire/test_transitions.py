"""Transitions: asked for, approved by others, committed if all gates are met then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf import json_format
from support import memory_store, promoting, services, wire

from modelkeep.local import postgres as embedded
from modelkeep.service import reaping
from modelkeep.storage import database
from modelkeep.v1 import access_service_pb2 as access_pb
from modelkeep.v1 import history_pb2, transition_pb2
from modelkeep.v1 import lifecycle_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

APPROVED = transition_pb2.TRANSITION_STATE_APPROVED
CANCELLED = transition_pb2.TRANSITION_STATE_CANCELLED
COMMITTED = transition_pb2.TRANSITION_STATE_COMMITTED
EXPIRED = transition_pb2.TRANSITION_STATE_EXPIRED
PENDING = transition_pb2.TRANSITION_STATE_PENDING
REJECTED = transition_pb2.TRANSITION_STATE_REJECTED
STALE = transition_pb2.TRANSITION_STATE_STALE
REFUSED = grpc.StatusCode.FAILED_PRECONDITION
DENIED = grpc.StatusCode.PERMISSION_DENIED
THRESHOLD = {
    "metric_threshold": {"dataset": "dialogs", "metric": "score", "op": ">=", "value": 0.8}
}
WANTED = "2 by somebody with role approver are wanted"
LOST = "approved, and does not have the role now"
ITS_ID = "(SELECT transition_id FROM transition WHERE key = $1)"
ITS_MOVE = "(SELECT assignment_id FROM transition WHERE key = $1)"
TWO = {"approvals": {"count": 2, "role": "approver"}}


@pytest.fixture(scope="module")
async def team(
    postgres: embedded.Postgres, _template: str, s3: services.S3
) -> AsyncIterator[promoting.Team]:
    """People and a server that all tests of the module share."""
    async with promoting.team(postgres, _template, s3) as made:
        yield made


def model_of(version: str) -> str:
    return version.rpartition("/versions/")[0]


async def history(team: promoting.Team, version: str) -> list[history_pb2.StageAssignment]:
    request = pb.GetStageHistoryRequest(parent=model_of(version))
    return list((await team.admin.lifecycle.GetStageHistory(request)).assignments)


async def test_a_request_is_approved_by_another_and_committed(team: promoting.Team) -> None:
    version = await team.staged()
    asked = await team.request(version)
    assert (asked.state, asked.requester, asked.stage) == (
        PENDING,
        "user:ann",
        "production",
    )
    assert [one.pending for one in asked.gates.verdicts] == [True]
    approved = await promoting.approve(team.bob, asked.name, "looks good")
    assert approved.state == APPROVED
    assert [(v.approver, list(v.roles), v.counts) for v in approved.verdicts] == [
        ("user:bob", ["approver"], True)
    ]
    done = await promoting.commit(team.ann, asked.name)
    assert (done.version.stage, done.displaced_version) == ("production", "")
    assert done.transition.state == COMMITTED
    assert done.transition.end_actor == "user:ann"
    read = await promoting.get(team.bob, asked.name)
    assert read == done.transition
    (verdict,) = read.gates.verdicts
    assert (verdict.passed, verdict.evidence) == (True, asked.name)
    assert verdict.sentence == "1 approved (user:bob); 1 by somebody else is wanted"
    first = (await history(team, version))[0]
    assert (first.stage, first.transition, first.gates.verdicts) == (
        "production",
        asked.name,
        read.gates.verdicts,
    )


async def test_the_log_tells_who_asked_who_approved_and_on_what_evidence(
    team: promoting.Team,
) -> None:
    version = await team.staged()
    evaluation = await team.measure(version, 0.9)
    await team.set_policy(model_of(version), THRESHOLD)
    name = await team.approved(version)
    await promoting.commit(team.cyd, name)
    logged = await team.events(version, "transition.*", "gate_policy.*")
    assert [(one.action, one.actor) for one in logged] == [
        ("gate_policy.set", "user:owner"),
        ("transition.requested", "user:ann"),
        ("transition.approved", "user:bob"),
        ("transition.committed", "user:cyd"),
    ]
    after = json_format.MessageToDict(logged[-1].after)
    assert (after["requester"], after["approvers"]) == ("user:ann", ["user:bob"])
    assert [one["evidence"] for one in after["gates"]] == [evaluation, name]
    assert after["gates"][0]["sentence"] == "score on dialogs@1 is 0.9; >= 0.8 is wanted"


async def test_nobody_judges_what_they_asked_for(team: promoting.Team) -> None:
    version = await team.staged()
    asked = await team.request(version, stubs=team.bob)
    for call in (promoting.approve, promoting.reject):
        failure = await wire.failing(call(team.bob, asked.name))
        assert (failure.code, failure.reason) == (REFUSED, "FOUR_EYES")
    failure = await wire.failing(promoting.approve(team.ann, asked.name))
    assert failure.code is DENIED
    assert await promoting.refused(promoting.commit(team.bob, asked.name)) == [
        ("approvals", "0 approved; 1 by somebody else is wanted")
    ]


async def test_the_database_itself_knows_four_eyes(team: promoting.Team) -> None:
    name = await team.approved(await team.staged())
    statement = """
    INSERT INTO transition_verdict
    (namespace_id, transition_id, requester, approver, approved, comment, roles, groups)
    SELECT namespace_id, transition_id, {requester}, {approver}, true, '', '{{}}', '{{}}'
    FROM transition WHERE key = $1"""
    key = name.rpartition("/")[2]
    for requester, approver, constraint in (
        ("requester", "requester", "transition_four_eyes"),
        ("'user:cyd'", "requester", "transition_verdict_of_request"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as broken:
            await team.rows(statement.format(requester=requester, approver=approver), key)
        assert broken.value.constraint_name == constraint
    for change in (
        "UPDATE transition SET requester = 'user:eve' WHERE key = $1",
        "UPDATE transition SET expires_at = 'infinity' WHERE key = $1",
        f"DELETE FROM transition_verdict WHERE transition_id = {ITS_ID}",  # noqa: S608 - ours
    ):
        with pytest.raises(asyncpg.RaiseError) as refused:
            await team.rows(change, key)
        assert refused.value.constraint_name == "transition_append_only"
    await promoting.commit(team.ann, name)
    for change in (
        "UPDATE transition SET state = NULL, ended_at = NULL WHERE key = $1",
        f"UPDATE gate_result SET passed = false WHERE assignment_id = {ITS_MOVE}",  # noqa: S608
    ):
        with pytest.raises(asyncpg.RaiseError):
            await team.rows(change, key)


async def test_the_last_verdict_counts_and_a_rejection_blocks(team: promoting.Team) -> None:
    name = await team.approved(await team.staged())
    rejected = await promoting.reject(team.cyd, name, "too slow")
    assert rejected.state == REJECTED
    failure = await wire.failing(promoting.commit(team.ann, name))
    assert failure.reason == "TRANSITION_REJECTED"
    assert "user:cyd: too slow" in failure.message
    await promoting.approve(team.cyd, name, "fast enough after all")
    await promoting.reject(team.bob, name, "wait")
    failure = await wire.failing(promoting.commit(team.ann, name))
    assert "user:bob: wait" in failure.message
    again = await promoting.approve(team.bob, name)
    assert [one.counts for one in again.verdicts] == [False, False, True, False, True]
    await promoting.commit(team.ann, name)


async def test_two_approvals_by_role_are_two_people_with_the_role(team: promoting.Team) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), TWO)
    name = await team.approved(version)
    await promoting.approve(team.bob, name, "once more")
    await promoting.approve(team.admin, name, "an administrator is no approver")
    assert await promoting.refused(promoting.commit(team.ann, name)) == [
        ("approvals", f"1 approved (user:bob); {WANTED}; user:owner {LOST}")
    ]
    assert (await promoting.approve(team.cyd, name)).state == APPROVED
    await promoting.commit(team.ann, name)


async def test_an_approver_who_lost_the_role_has_approved_nothing(team: promoting.Team) -> None:
    dan = await team.world.somebody("user:dan")
    binding = await team.world.grant("user:dan", promoting.APPROVER)
    version = await team.staged()
    name = (await team.request(version)).name
    await promoting.approve(dan, name)
    await team.admin.access.DeleteRoleBinding(access_pb.DeleteRoleBindingRequest(name=binding))
    assert (await promoting.get(team.bob, name)).state == PENDING
    ((kind, sentence),) = await promoting.refused(promoting.commit(team.ann, name))
    assert kind == "approvals"
    assert "user:dan approved, and does not have the role now" in sentence
    assert await team.stage_of(version) == "staging"


async def test_a_role_for_another_stage_or_model_does_not_approve(team: promoting.Team) -> None:
    version = await team.staged()
    eve = await team.world.somebody("user:eve")
    await team.world.grant("user:eve", promoting.APPROVER, model_of(version), stage="staging")
    name = (await team.request(version)).name
    assert (await wire.failing(promoting.approve(eve, name))).code is DENIED
    await team.world.grant("user:eve", promoting.APPROVER, model_of(version), stage="production")
    approved = await promoting.approve(eve, name)
    assert approved.state == APPROVED
    elsewhere = await team.request(await team.staged())
    assert (await wire.failing(promoting.approve(eve, elsewhere.name))).code in {
        DENIED,
        grpc.StatusCode.NOT_FOUND,
    }


async def test_an_evaluation_superseded_after_the_approval_counts_no_more(
    team: promoting.Team,
) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), THRESHOLD)
    first = await team.measure(version, 0.9)
    name = await team.approved(version)
    assert (await promoting.get(team.ann, name)).gates.passed
    await team.measure(version, 0.7, supersedes=first)
    assert await promoting.refused(promoting.commit(team.ann, name)) == [
        ("metric_threshold", "score on dialogs@1 is 0.7; >= 0.8 is wanted")
    ]
    assert await team.stage_of(version) == "staging"
    assert not (await promoting.get(team.ann, name)).gates.passed


async def test_a_policy_tightened_after_the_approval_holds(team: promoting.Team) -> None:
    version = await team.staged()
    namespace = model_of(version).rpartition("/models/")[0]
    name = await team.approved(version)
    await team.set_policy(namespace, {"required_fields": {"fields": ["card", "card.risks"]}}, TWO)
    assert [kind for kind, _ in await promoting.refused(promoting.commit(team.ann, name))] == [
        "required_fields",
        "approvals",
    ]


async def test_of_one_move_there_is_one_open_request(team: promoting.Team) -> None:
    version = await team.staged()
    first = await team.request(version)
    failure = await wire.failing(team.request(version, stubs=team.bob))
    assert (failure.reason, failure.metadata["transition"]) == ("TRANSITION_OPEN", first.name)
    await team.request(version, "archived")
    request = pb.CancelTransitionRequest(name=first.name, reason="not yet")
    ended = (await team.ann.lifecycle.CancelTransition(request)).transition
    assert (ended.state, ended.end_reason) == (CANCELLED, "not yet")
    for call in (promoting.approve(team.bob, first.name), promoting.commit(team.ann, first.name)):
        failure = await wire.failing(call)
        assert failure.reason == "TRANSITION_CANCELLED"
    second = await team.request(version)
    frank = await team.world.somebody("user:frank", (promoting.CONTRIBUTOR,))
    request = pb.CancelTransitionRequest(name=second.name)
    assert (await wire.failing(frank.lifecycle.CancelTransition(request))).code is DENIED
    await team.bob.lifecycle.CancelTransition(request)


async def test_what_it_is_about_may_change_and_then_it_is_stale(team: promoting.Team) -> None:
    version = await team.staged()
    moved = await team.approved(version)
    await team.admin.stage(version, "development", "staging")  # there and back is as before
    assert (await promoting.get(team.ann, moved)).state == APPROVED
    other = await team.staged(model_of(version), "1.1.0")
    await team.admin.stage(other, "production")
    stale = await promoting.get(team.ann, moved)
    assert stale.state == STALE
    assert stale.end_reason == f"{other} is in production, and nothing was when it was asked for"
    failure = await wire.failing(promoting.commit(team.ann, moved))
    assert failure.reason == "TRANSITION_STALE"
    again = await team.request(version)  # notes that the other one is over
    assert again.replaces == other
    logged = await team.events(version, "transition.stale")
    assert [one.resource for one in logged] == [moved]
    await team.admin.stage(version, "archived")
    assert (await promoting.get(team.ann, again.name)).end_reason == (
        f"{version} has moved from staging to archived"
    )


async def test_time_runs_out_by_the_clock_of_the_database(
    team: promoting.Team,
) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), lifetime_days=0.5)
    asked = await team.request(version)
    assert asked.expire_time.seconds - asked.create_time.seconds == 43_200
    # Time cannot be waited for, and what was asked never changes: so ask for it earlier.
    connection = await asyncpg.connect(team.url)
    try:
        await connection.execute("ALTER TABLE transition DISABLE TRIGGER transition_append_only")
        await connection.execute(
            "UPDATE transition SET created_at = created_at - interval '1 day', "
            "expires_at = expires_at - interval '1 day' WHERE key = $1",
            asked.name.rpartition("/")[2],
        )
        await connection.execute("ALTER TABLE transition ENABLE TRIGGER transition_append_only")
    finally:
        await connection.close()
    late = await promoting.get(team.ann, asked.name)
    assert late.state == EXPIRED
    assert late.end_reason == "nobody committed it in time"
    failure = await wire.failing(promoting.approve(team.bob, asked.name))
    assert failure.reason == "TRANSITION_EXPIRED"
    listed = await listing(team, version, EXPIRED)
    assert listed == [asked.name]


async def listing(team: promoting.Team, parent: str, *states: int, **fields: Any) -> list[str]:
    request = pb.ListTransitionsRequest(parent=parent, states=states, **fields)
    return [one.name for one in (await team.ann.lifecycle.ListTransitions(request)).transitions]


async def test_lists_are_of_a_namespace_a_model_or_a_version(team: promoting.Team) -> None:
    first = await team.staged()
    second = await team.staged(model_of(first), "1.1.0")
    pending = (await team.request(first)).name
    approved = await team.approved(second)
    archive = (await team.request(second, "archived")).name
    namespace = model_of(first).rpartition("/models/")[0]
    for parent in (namespace, model_of(first)):
        assert await listing(team, parent) == [archive, approved, pending]
    assert await listing(team, second) == [archive, approved]
    assert await listing(team, namespace, APPROVED) == [approved]
    assert await listing(team, namespace, stage="archived") == [archive]
    page = await team.ann.lifecycle.ListTransitions(
        pb.ListTransitionsRequest(parent=namespace, page_size=2)
    )
    more = pb.ListTransitionsRequest(parent=namespace, page_size=2, page_token=page.next_page_token)
    rest = await team.ann.lifecycle.ListTransitions(more)
    assert [one.name for one in rest.transitions] == [pending]


async def test_a_retry_is_carried_out_once(team: promoting.Team) -> None:
    version = await team.staged()
    ask = pb.RequestTransitionRequest(
        parent=version, stage="production", reason="x", request_id="ask"
    )
    one = await team.ann.lifecycle.RequestTransition(ask)
    assert await team.ann.lifecycle.RequestTransition(ask) == one
    name = one.transition.name
    yes = pb.ApproveTransitionRequest(name=name, request_id="yes")
    await team.bob.lifecycle.ApproveTransition(yes)
    assert len((await team.bob.lifecycle.ApproveTransition(yes)).transition.verdicts) == 1
    go = pb.CommitTransitionRequest(name=name, request_id="go")
    first = await team.ann.lifecycle.CommitTransition(go)
    assert await team.ann.lifecycle.CommitTransition(go) == first
    failure = await wire.failing(promoting.commit(team.ann, name))
    assert failure.reason == "TRANSITION_COMMITTED"


async def test_a_quarantined_version_is_neither_asked_for_nor_moved(team: promoting.Team) -> None:
    version = await team.staged()
    name = await team.approved(version)
    await team.rows(
        "UPDATE version SET state = 'quarantined', quarantine_reason = 'x' WHERE version_id = "
        "(SELECT version_id FROM transition WHERE key = $1)",
        name.rpartition("/")[2],
    )
    failure = await wire.failing(promoting.commit(team.ann, name))
    assert (failure.reason, "is not ready any more" in failure.message) == (
        "TRANSITION_STALE",
        True,
    )
    failure = await wire.failing(team.request(version))
    assert failure.reason == "VERSION_NOT_READY"
    await team.bob.lifecycle.ReleaseVersion(pb.ReleaseVersionRequest(name=version, reason="ok"))
    await promoting.commit(team.ann, name)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.RequestTransitionRequest(parent="x", stage="live"), "parent stage reason"),
        (pb.RejectTransitionRequest(name="x"), "name reason"),
        (pb.ApproveTransitionRequest(name="x", comment="a\0"), "name comment"),
        (pb.CancelTransitionRequest(name="x", reason="y" * 1025), "name reason"),
        (pb.CommitTransitionRequest(name="namespaces/a/models/b/versions/1/transitions/1"), "name"),
        (pb.ListTransitionsRequest(parent="acme", stage="up"), "parent stage"),
        (pb.ListTransitionsRequest(parent="namespaces/a", states=[99]), "states[0]"),
    ],
)
async def test_what_is_malformed_is_refused_by_field(
    team: promoting.Team, request_: Any, field: str
) -> None:
    method = type(request_).__name__.removesuffix("Request")
    failure = await wire.failing(getattr(team.admin.lifecycle, method)(request_))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == field.split()


async def test_old_names_of_models_lead_to_transitions(team: promoting.Team) -> None:
    version = await team.staged()
    name = await team.approved(version)
    move = registry_pb.MoveModelRequest(
        name=model_of(version), destination=f"{model_of(version)}-2"
    )
    await team.admin.registry.MoveModel(move)
    assert (await promoting.get(team.ann, name)).name == name.replace("/m/", "/m-2/")
    await promoting.commit(team.ann, name)


async def test_the_reaper_notes_what_is_over_once(team: promoting.Team) -> None:
    version = await team.staged()
    name = await team.approved(version)
    await team.admin.stage(version, "archived")
    assert await team.events(version, "transition.stale") == []
    db = await database.Database.open(team.url, 4)
    try:
        reapers = [reaping.Reaper(db, memory_store.MemoryBlobStore()) for _ in range(3)]
        await asyncio.gather(*(reaper.round() for reaper in reapers))
    finally:
        await db.close()
    (noted,) = await team.events(version, "transition.stale")
    assert (noted.actor, noted.resource) == ("system", name)
    ended = await promoting.get(team.ann, name)
    assert (ended.state, ended.end_actor) == (STALE, "system")
    assert ended.end_reason == noted.after["reason"]


async def test_fifty_committers_race_and_one_wins(team: promoting.Team) -> None:
    model = await team.admin.new_model()
    versions = [await team.staged(model, f"1.{n}.0") for n in range(50)]
    asked = [await team.approved(version) for version in versions]
    outcomes = await asyncio.gather(
        *(promoting.commit(team.ann, name) for name in asked), return_exceptions=True
    )
    won = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(won) == 1
    reasons = [
        wire.failure_of(one).reason for one in outcomes if isinstance(one, grpc.aio.AioRpcError)
    ]
    assert reasons == ["TRANSITION_STALE"] * 49
    # The next fifty ask to replace the winner: again one wins.
    left = [version for version in versions if await team.stage_of(version) == "staging"]
    again = [await team.approved(version) for version in left[:10]]
    calls = (promoting.commit(team.ann, name) for name in again)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    (winner,) = [one for one in outcomes if not isinstance(one, BaseException)]
    assert winner.displaced_version == won[0].version.name
    chain = [one for one in await history(team, versions[0]) if one.stage == "production"]
    assert [one.version for one in chain] == [winner.version.name, won[0].version.name]
    assert chain[1].end_time.ToNanoseconds() <= chain[0].start_time.ToNanoseconds()


async def test_the_database_itself_lets_no_two_stand_in_production_at_once(
    team: promoting.Team,
) -> None:
    version = await team.staged()
    await promoting.commit(team.ann, await team.approved(version))
    statement = (
        "INSERT INTO stage_assignment (namespace_id, model_id, version_id, stage, reason, actor, "
        "valid_from, valid_to) SELECT a.namespace_id, a.model_id, a.version_id, a.stage, 'x', 'x', "
        "a.valid_from - interval '1 hour', a.valid_from + interval '1 second' "
        "FROM stage_assignment a JOIN version v USING (version_id) JOIN namespace n ON "
        "n.namespace_id = v.namespace_id WHERE a.stage = 'production' AND n.name = $1"
    )
    with pytest.raises(asyncpg.ExclusionViolationError) as broken:
        await team.rows(statement, version.split("/")[1])
    assert broken.value.constraint_name == "stage_assignment_one_at_a_time"


async def test_approvals_rejections_and_commits_at_once_end_consistently(
    team: promoting.Team,
) -> None:
    model = await team.admin.new_model()
    for n in range(8):
        version = await team.staged(model, f"1.{n}.0")
        name = await team.approved(version)
        calls = [
            promoting.commit(team.ann, name),
            promoting.reject(team.cyd, name),
            promoting.approve(team.bob, name),
            promoting.commit(team.bob, name),
        ]
        await asyncio.gather(*calls, return_exceptions=True)
        now = await promoting.get(team.ann, name)
        is_rejected = any(not one.approved for one in now.verdicts)
        if now.state == COMMITTED:
            assert await team.stage_of(version) == "production"
            # A rejection came too late, or not at all: after the commit there is none.
            assert not is_rejected
        else:
            assert now.state == REJECTED
            assert await team.stage_of(version) == "staging"
    committed = await team.events(model, "transition.committed")
    moves = await team.events(model, "stage.set")
    into = [one for one in moves if one.after["stage"] == "production"]
    assert len(into) == len(committed)


async def test_a_commit_waits_for_whoever_is_taking_an_approvers_role(
    team: promoting.Team,
) -> None:
    """The role is gone before the commit can look at it."""
    gil = await team.world.somebody("user:gil", (promoting.APPROVER,))
    name = (await team.request(await team.staged())).name
    await promoting.approve(gil, name)
    connection = await asyncpg.connect(team.url)
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM role_binding WHERE principal = 'user:gil'")
            committing = asyncio.create_task(promoting.commit(team.ann, name))
            await _until_somebody_waits(connection)
            assert not committing.done()
        ((kind, _),) = await promoting.refused(committing)
    finally:
        await connection.close()
    assert kind == "approvals"


async def test_a_commit_waits_for_whoever_is_tightening_the_policy(team: promoting.Team) -> None:
    version = await team.staged()
    namespace = model_of(version).split("/")[1]
    name = await team.approved(version)
    connection = await asyncpg.connect(team.url)
    rules = '{"gates":[{"min_days":9,"stage":"staging","kind":"time_in_stage"}]}'
    try:
        async with connection.transaction():
            held = "SELECT namespace_id FROM namespace WHERE name = $1 FOR NO KEY UPDATE"
            namespace_id = await connection.fetchval(held, namespace)
            await connection.execute(
                "INSERT INTO gate_policy (namespace_id, stage, rules, actor) VALUES ($1, "
                "'production', $2, 'user:owner')",
                namespace_id,
                rules,
            )
            committing = asyncio.create_task(promoting.commit(team.ann, name))
            await _until_somebody_waits(connection)
            assert not committing.done()
        ((kind, _), *_) = await promoting.refused(committing)
    finally:
        await connection.close()
    assert kind == "time_in_stage"


async def _until_somebody_waits(connection: Any) -> None:
    """Until another session waits for a lock that this one holds."""
    waiting = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    for _ in range(3000):
        if await connection.fetchrow(waiting) is not None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")
