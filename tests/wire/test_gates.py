"""Gate policies: set, merged, tried, obeyed by direct moves, bypassed with a permission only."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from support import promoting, services, wire

from modelkeep.local import postgres as embedded
from modelkeep.v1 import evaluation_service_pb2 as evaluation_pb
from modelkeep.v1 import gate_pb2
from modelkeep.v1 import lifecycle_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
AT_LEAST = {"dataset": "dialogs", "metric": "score", "op": ">=", "value": 0.8}
THRESHOLD = {"metric_threshold": AT_LEAST}
EVERY_KIND: list[Mapping[str, Any]] = [
    {"metric_threshold": AT_LEAST | {"suite": "quality", "slice": "lang=de", "min_samples": 10}},
    {"metric_threshold": AT_LEAST | {"dataset": "dialogs@1", "op": ">", "value": 0}},
    {
        "non_regression": {
            "dataset": "dialogs",
            "metric": "score",
            "absolute": 0.01,
            "relative": 0.02,
            "significance": 0.05,
        }
    },
    {"evaluation_age": {"dataset": "dialogs@1", "suite": "quality", "max_days": 30}},
    {"evaluated": {"datasets": ["dialogs", "safety@2"], "suite": "quality"}},
    {"required_fields": {"fields": ["card.limitations", "spec.task", "labels.license"]}},
    {"file_safety": {"worst": "imports"}},
    {"signed": {}},
    {"time_in_stage": {"stage": "staging", "min_days": 2.5}},
    {"approvals": {"count": 2, "role": "approver"}},
    {
        "frozen_windows": {
            "time_zone": "Europe/Berlin",
            "windows": [
                {"start": "2026-12-20T18:00", "end": "2027-01-04T08:00:30"},
                {"days": ["fri"], "begin": "16:00", "until": "24:00"},
            ],
            "reason": "holidays",
        }
    },
]


@pytest.fixture(scope="module")
async def team(
    postgres: embedded.Postgres, _template: str, s3: services.S3
) -> AsyncIterator[promoting.Team]:
    """People and a server that all tests of the module share."""
    async with promoting.team(postgres, _template, s3) as made:
        yield made


def policy(owner: str, *gates: Mapping[str, Any], **rules: Any) -> pb.SetGatePolicyRequest:
    stage = rules.pop("stage", "production")
    document = {"name": f"{owner}/gatePolicies/{stage}", "gates": list(gates)} | rules
    request: pb.SetGatePolicyRequest = json_format.ParseDict(
        {"policy": document}, pb.SetGatePolicyRequest()
    )
    return request


def model_of(version: str) -> str:
    return version.rpartition("/versions/")[0]


def namespace_of(name: str) -> str:
    return "/".join(name.split("/")[:2])


async def check(team: promoting.Team, version: str, stage: str = "production") -> Any:
    request = pb.EvaluateGatesRequest(name=version, stage=stage)
    return (await team.ann.lifecycle.EvaluateGates(request)).report


def set_stage(stubs: wire.Stubs, version: str, stage: str, **fields: Any) -> Any:
    request = pb.SetStageRequest(name=version, stage=stage, reason="because", **fields)
    return stubs.lifecycle.SetStage(request)


async def test_a_policy_of_every_kind_is_read_as_it_was_set(team: promoting.Team) -> None:
    model = await team.admin.new_model()
    made = await team.set_policy(
        model,
        *EVERY_KIND,
        inheritance="GATE_INHERITANCE_REPLACE",
        four_eyes=False,
        displaced="DISPLACED_VERSION_STAGE",
        lifetime_days=3.5,
        description="strict",
    )
    assert (made.actor, made.etag) == ("user:owner", "1")
    got = await team.ann.lifecycle.GetGatePolicy(pb.GetGatePolicyRequest(name=made.name))
    assert got.policy == made
    as_sent = json_format.MessageToDict(made, preserving_proto_field_name=True)["gates"]
    for sent, gate in zip(EVERY_KIND, made.gates, strict=True):
        wanted = json_format.ParseDict(sent, gate_pb2.Gate())
        assert gate == wanted, (as_sent, sent)
    assert made.displaced == gate_pb2.DISPLACED_VERSION_STAGE
    again = await team.admin.lifecycle.SetGatePolicy(
        pb.SetGatePolicyRequest(policy=made)
    )  # the same: nothing changes
    assert again.policy == made
    version = (await team.admin.ready(model)).name
    report = await check(team, version)
    assert [one.gate for one in report.verdicts] == list(made.gates)
    assert {one.policy for one in report.verdicts} == {made.name}
    assert not report.passed


async def test_every_change_of_a_policy_is_audited_before_and_after(team: promoting.Team) -> None:
    model = await team.admin.new_model()
    first = await team.set_policy(model, THRESHOLD)
    await team.set_policy(model, {"signed": {}}, etag=first.etag)
    failure = await wire.failing(
        team.admin.lifecycle.SetGatePolicy(policy(model, THRESHOLD, etag=first.etag))
    )
    assert failure.reason == "STALE_ETAG"
    request = pb.DeleteGatePolicyRequest(name=first.name, etag="2")
    await team.admin.lifecycle.DeleteGatePolicy(request)
    logged = await team.events(model, "gate_policy.*")
    kinds = [
        [
            [gate["kind"] for gate in side["gates"]] if side else None
            for side in (
                json_format.MessageToDict(one.before),
                json_format.MessageToDict(one.after),
            )
        ]
        for one in logged
    ]
    assert [one.action for one in logged] == ["gate_policy.set"] * 2 + ["gate_policy.deleted"]
    assert kinds == [
        [None, ["metric_threshold"]],
        [["metric_threshold"], ["signed"]],
        [["signed"], None],
    ]
    failure = await wire.failing(team.admin.lifecycle.DeleteGatePolicy(request))
    assert failure.code is grpc.StatusCode.NOT_FOUND


async def test_a_dry_run_checks_everything_and_changes_nothing(team: promoting.Team) -> None:
    model = await team.admin.new_model()
    request = policy(model, THRESHOLD)
    request.validate_only = True
    would = (await team.admin.lifecycle.SetGatePolicy(request)).policy
    assert [gate.WhichOneof("kind") for gate in would.gates] == ["metric_threshold"]
    failure = await wire.failing(
        team.ann.lifecycle.GetGatePolicy(pb.GetGatePolicyRequest(name=would.name))
    )
    assert failure.code is grpc.StatusCode.NOT_FOUND
    assert await team.events(model, "gate_policy.*") == []
    assert (await wire.failing(team.ann.lifecycle.SetGatePolicy(request))).code is DENIED


async def test_a_models_policy_comes_on_top_of_its_namespaces(team: promoting.Team) -> None:
    version = await team.staged()
    above = await team.set_policy(namespace_of(version), THRESHOLD)
    below = await team.set_policy(model_of(version), {"signed": {}})
    report = await check(team, version)
    assert [one.policy for one in report.verdicts] == [above.name, below.name]
    for parent, names in (
        (namespace_of(version), [above.name, below.name]),
        (model_of(version), [above.name, below.name]),
    ):
        listed = await team.ann.lifecycle.ListGatePolicies(
            pb.ListGatePoliciesRequest(parent=parent, page_size=1)
        )
        more = pb.ListGatePoliciesRequest(
            parent=parent, page_size=1, page_token=listed.next_page_token
        )
        rest = await team.ann.lifecycle.ListGatePolicies(more)
        assert [one.name for one in (*listed.policies, *rest.policies)] == names
    replacing = {"inheritance": "GATE_INHERITANCE_REPLACE"}
    await team.set_policy(model_of(version), {"signed": {}}, **replacing)
    assert [one.policy for one in (await check(team, version)).verdicts] == [below.name]


async def test_only_who_may_set_the_namespaces_policy_may_replace_it(team: promoting.Team) -> None:
    model = await team.admin.new_model()
    hal = await team.world.somebody("user:hal")
    await team.world.grant("user:hal", 5, model)  # ROLE_ADMIN of the model
    await hal.lifecycle.SetGatePolicy(policy(model, THRESHOLD))
    request = policy(model, inheritance="GATE_INHERITANCE_REPLACE")
    assert (await wire.failing(hal.lifecycle.SetGatePolicy(request))).code is DENIED


async def test_a_direct_move_obeys_the_gates(team: promoting.Team) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), THRESHOLD, {"time_in_stage": {"min_days": 1}})
    unmet = await promoting.refused(set_stage(team.bob, version, "production"))
    assert [kind for kind, _ in unmet] == ["metric_threshold", "time_in_stage"]
    assert unmet[0][1] == "no evaluation has score on dialogs"
    assert await team.stage_of(version) == "staging"
    await team.set_policy(model_of(version), THRESHOLD)
    evaluation = await team.measure(version, 0.85)
    moved = await set_stage(team.bob, version, "production")
    assert [one.evidence for one in moved.gates.verdicts] == [evaluation]
    # Down it goes without asking, whatever the gates say.
    await team.set_policy(namespace_of(version), {"signed": {}}, stage="staging")
    assert not (await set_stage(team.bob, version, "staging")).HasField("gates")


async def test_a_direct_move_has_no_approvals(team: promoting.Team) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), {"approvals": {"count": 1}})
    assert await promoting.refused(set_stage(team.bob, version, "production")) == [
        ("approvals", "0 approved; 1 by somebody else is wanted")
    ]
    assert (await check(team, version)).passed  # but for approvals, which are pending


async def test_bypassing_takes_its_own_permission_and_is_told_loudly(team: promoting.Team) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), THRESHOLD)
    failure = await wire.failing(set_stage(team.bob, version, "production", bypass_gates=True))
    assert failure.code is DENIED
    moved = await set_stage(team.admin, version, "production", bypass_gates=True)
    assert (moved.version.stage, moved.gates.passed) == ("production", False)
    (bypassed,) = await team.events(version, "gates.bypassed")
    after = json_format.MessageToDict(bypassed.after)
    assert (bypassed.actor, bypassed.resource, after["reason"]) == (
        "user:owner",
        version,
        "because",
    )
    assert after["failed"] == ["metric_threshold: no evaluation has score on dialogs"]
    history = await team.ann.lifecycle.GetStageHistory(
        pb.GetStageHistoryRequest(parent=model_of(version), stage="production")
    )
    (assignment,) = history.assignments
    assert [one.passed for one in assignment.gates.verdicts] == [False]
    denied = await team.events(version, "access.denied")
    assert [(one.actor, one.after["action"]) for one in denied] == [("user:bob", "gates.bypass")]


@pytest.mark.parametrize(
    ("displaced", "stage"),
    [("ARCHIVE", "archived"), ("STAGE", "staging"), (None, "archived")],
)
async def test_the_policy_says_what_becomes_of_the_version_that_makes_room(
    team: promoting.Team, displaced: str | None, stage: str
) -> None:
    first = await team.staged()
    rules = {"displaced": f"DISPLACED_VERSION_{displaced}"} if displaced else {}
    await team.set_policy(model_of(first), **rules)
    second = await team.staged(model_of(first), "1.1.0")
    await team.admin.stage(first, "production")
    moved = await team.admin.stage(second, "production")
    assert moved.displaced_version == first
    assert await team.stage_of(first) == stage


async def test_a_policy_may_keep_production_until_it_is_vacated(team: promoting.Team) -> None:
    first = await team.staged()
    await team.set_policy(model_of(first), displaced="DISPLACED_VERSION_REFUSE")
    second = await team.staged(model_of(first), "1.1.0")
    await team.admin.stage(first, "production")
    failure = await wire.failing(set_stage(team.admin, second, "production"))
    assert (failure.reason, failure.metadata["holder"]) == ("PRODUCTION_TAKEN", first)
    await team.admin.stage(first, "archived")
    await team.admin.stage(second, "production")


async def test_a_regression_against_production_is_refused(team: promoting.Team) -> None:
    first = await team.staged()
    gate = {"non_regression": {"dataset": "dialogs", "metric": "score", "absolute": 0.02}}
    await team.set_policy(model_of(first), gate)
    await team.admin.stage(first, "production")
    await team.measure(first, 0.85)
    second = await team.staged(model_of(first), "1.1.0")
    bad = await team.measure(second, 0.82)
    ((kind, sentence),) = await promoting.refused(set_stage(team.bob, second, "production"))
    assert (kind, sentence) == (
        "non_regression",
        "score on dialogs@1 is 0.82, 0.03 worse than 0.85 of 1.0.0; up to 0.02 worse is allowed",
    )
    good = await team.measure(second, 0.83, supersedes=bad)
    moved = await set_stage(team.bob, second, "production")
    assert [one.evidence for one in moved.gates.verdicts] == [good]


async def test_scores_are_compared_example_by_example(team: promoting.Team) -> None:
    first = await team.staged()
    gate = {"non_regression": {"dataset": "dialogs", "metric": "score", "significance": 0.05}}
    await team.set_policy(model_of(first), gate)
    second = await team.staged(model_of(first), "1.1.0")
    ids = [f"e{n}" for n in range(100)]
    for version, misses in ((first, 10), (second, 12)):
        scores = evaluation_pb.ScoreSet(
            metric="score",
            direction=evaluation_pb.METRIC_DIRECTION_HIGHER,
            example_ids=ids,
            values=[0.0 if n < misses else 1.0 for n in range(100)],
        )
        request = evaluation_pb.RecordEvaluationRequest(
            parent=version,
            evaluation=evaluation_pb.Evaluation(
                dataset=evaluation_pb.EvaluationDataset(name="dialogs", revision="1"),
                suite="quality",
                evaluator="judge@1",
            ),
            score_sets=[scores],
        )
        await team.admin.evaluations.RecordEvaluation(request)
    await team.admin.stage(first, "production")
    report = await check(team, second)
    # Two examples that were right are wrong now: McNemar's exact p is 2 * 0.5^2 = 0.5.
    assert report.passed
    assert "no real difference (McNemar, exact, p = 0.5)" in report.verdicts[0].sentence


async def test_gates_see_the_card_the_files_and_the_signature(team: promoting.Team) -> None:
    version = await team.staged()
    await team.set_policy(
        namespace_of(version),
        {"required_fields": {"fields": ["card.limitations"]}},
        {"file_safety": {}},
        {"signed": {}},
    )
    before = await check(team, version)
    assert [(one.passed, one.sentence) for one in before.verdicts] == [
        (False, "nothing in card.limitations"),
        (True, "no file is worse than plain; there is 1"),
        (False, f"{version} is not signed; sign it with `modelkeep sign`"),
    ]
    card = registry_pb.Version(name=version, card="# Limitations\nGerman only.")
    request = registry_pb.UpdateVersionRequest(version=card)
    request.update_mask.paths.append("card")
    await team.ann.registry.UpdateVersion(request)
    assert [one.passed for one in (await check(team, version)).verdicts] == [True, True, False]


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({}, "policy.gates[0]"),
        ({"metric_threshold": {}}, "policy.gates[0].metric_threshold.dataset"),
        ({"metric_threshold": AT_LEAST | {"op": "=="}}, "policy.gates[0].metric_threshold.op"),
        (
            {"metric_threshold": AT_LEAST | {"value": "NaN"}},
            "policy.gates[0].metric_threshold.value",
        ),
        (
            {"metric_threshold": AT_LEAST | {"value": "Infinity"}},
            "policy.gates[0].metric_threshold.value",
        ),
        (
            {"non_regression": {"dataset": "d", "metric": "m", "relative": "NaN"}},
            "policy.gates[0].non_regression.relative",
        ),
        (
            {"non_regression": {"dataset": "d", "metric": "m", "absolute": -1}},
            "policy.gates[0].non_regression.absolute",
        ),
        ({"evaluation_age": {"dataset": "d"}}, "policy.gates[0].evaluation_age.max_days"),
        ({"evaluated": {}}, "policy.gates[0].evaluated.datasets"),
        ({"evaluated": {"datasets": ["d@"]}}, "policy.gates[0].evaluated.datasets[0]"),
        ({"required_fields": {"fields": ["x"]}}, "policy.gates[0].required_fields.fields[0]"),
        ({"file_safety": {"worst": "dangerous"}}, "policy.gates[0].file_safety.worst"),
        ({"time_in_stage": {"min_days": "-Infinity"}}, "policy.gates[0].time_in_stage.min_days"),
        ({"approvals": {}}, "policy.gates[0].approvals.count"),
        (
            {
                "frozen_windows": {
                    "windows": [{"days": ["fri"], "begin": "16:00", "until": "24:00"}]
                }
            },
            "policy.gates[0].frozen_windows.time_zone",
        ),
        (
            {"frozen_windows": {"time_zone": "UTC", "windows": [{"start": "now"}]}},
            "policy.gates[0].frozen_windows.windows[0].start",
        ),
        (
            {"frozen_windows": {"time_zone": "UTC", "windows": [{"days": ["fri"]}]}},
            "policy.gates[0].frozen_windows.windows[0].begin",
        ),
    ],
)
async def test_what_no_gate_can_be_is_refused_by_field(
    team: promoting.Team, gate: Mapping[str, Any], field: str
) -> None:
    failure = await wire.failing(
        team.admin.lifecycle.SetGatePolicy(policy("namespaces/acme", gate))
    )
    assert failure.code is INVALID
    assert field in failure.fields


async def test_a_policy_is_refused_as_a_whole_with_every_field(team: promoting.Team) -> None:
    request = policy(
        "namespaces/acme",
        {"metric_threshold": {"op": "~"}},
        {"approvals": {"count": 99}},
        stage="staging",
        inheritance="GATE_INHERITANCE_REPLACE",
        displaced="DISPLACED_VERSION_STAGE",
        lifetime_days=1000,
    )
    failure = await wire.failing(team.admin.lifecycle.SetGatePolicy(request))
    assert set(failure.fields) == {
        "policy.gates[0].metric_threshold.dataset",
        "policy.gates[0].metric_threshold.metric",
        "policy.gates[0].metric_threshold.value",
        "policy.gates[0].metric_threshold.op",
        "policy.gates[1].approvals.count",
        "policy.inheritance",
        "policy.displaced",
        "policy.lifetime_days",
    }


@pytest.mark.parametrize(
    "name",
    [
        "namespaces/acme/gatePolicies/development",
        "namespaces/acme/gatePolicies/",
        "namespaces/acme/models/m/versions/1.0.0/gatePolicies/staging",
        "gatePolicies/staging",
    ],
)
async def test_a_policy_has_a_name_that_says_of_what(team: promoting.Team, name: str) -> None:
    request = pb.SetGatePolicyRequest(policy=gate_pb2.GatePolicy(name=name))
    failure = await wire.failing(team.admin.lifecycle.SetGatePolicy(request))
    assert (failure.code, failure.fields) == (INVALID, ["policy.name"])


async def test_ten_thousand_gates_are_refused_at_once(team: promoting.Team) -> None:
    request = policy("namespaces/acme", *[THRESHOLD] * 10_000)
    failure = await wire.failing(team.admin.lifecycle.SetGatePolicy(request))
    assert (failure.code, failure.fields) == (INVALID, ["policy.gates"])
    assert "has 10,000 entries; at most 64 are allowed" in failure.message
    wide = {"frozen_windows": {"time_zone": "UTC", "windows": [{}] * 10_000}}
    failure = await wire.failing(team.admin.lifecycle.SetGatePolicy(policy("namespaces/a", wide)))
    assert failure.code is INVALID
    assert len(failure.fields) <= 200


async def test_a_bound_the_wrong_way_round_is_refused_when_it_is_set(team: promoting.Team) -> None:
    version = await team.staged()
    await team.measure(version, 0.9)
    for owner in (namespace_of(version), model_of(version)):
        wrong = policy(owner, {"metric_threshold": AT_LEAST | {"op": "<="}})
        failure = await wire.failing(team.admin.lifecycle.SetGatePolicy(wrong))
        assert failure.fields == ["policy.gates[0].metric_threshold.op"]
        assert "gets better the other way in what was recorded: higher" in failure.message


async def test_a_bound_that_turns_out_to_be_the_wrong_way_round_is_not_met(
    team: promoting.Team,
) -> None:
    version = await team.staged()
    await team.set_policy(model_of(version), {"metric_threshold": AT_LEAST | {"op": "<="}})
    await team.measure(version, 0.1)
    (verdict,) = (await check(team, version)).verdicts
    assert not verdict.passed
    assert "gets better the other way (higher) than the gate's <= is for" in verdict.sentence


async def test_frozen_windows_stop_a_move_now(team: promoting.Team) -> None:
    version = await team.staged()
    always = {"start": "2020-01-01T00:00", "end": "2100-01-01T00:00"}
    windows = {"time_zone": "Asia/Tokyo", "windows": [always], "reason": "audit"}
    await team.set_policy(model_of(version), {"frozen_windows": windows})
    ((_, sentence),) = await promoting.refused(set_stage(team.bob, version, "production"))
    assert sentence == (
        "frozen until 2099-12-31 15:00Z (2020-01-01 00:00 to 2100-01-01 00:00 Asia/Tokyo): audit"
    )


async def test_a_stage_without_gates_is_refused(team: promoting.Team) -> None:
    version = await team.staged()
    request = pb.EvaluateGatesRequest(name=version, stage="archived")
    failure = await wire.failing(team.ann.lifecycle.EvaluateGates(request))
    assert failure.fields == ["stage"]
    assert (await check(team, version)).passed  # no policy, no gates
