"""Calls every RPC of the descriptor as every caller and compares the statuses with a golden file.

A new RPC is missing from the file and fails here. To accept a change:
`MODELKEEP_TEST_ACCEPT=1 .venv/bin/python -m pytest tests/wire/test_matrix.py`, then read the diff.
"""

import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor, message_factory
from support import signing, wire

from modelkeep.attestation import signing as attestation
from modelkeep.authz import caller as callers
from modelkeep.domain import errors
from modelkeep.transport import authentication
from modelkeep.v1 import deployment_service_pb2
from modelkeep.v1 import registry_service_pb2 as pb

GOLDEN = Path(__file__).with_name("matrix.golden.txt")
CALLERS = {role.value: (callers.Grant(role),) for role in callers.Role} | {"nobody": ()}
CALLERS |= {
    f"model-{role}": (callers.Grant(role, "none", "none"),)
    for role in (callers.Role.READER, callers.Role.ADMIN)
}
"""Who has a role on the one model that the requests name is refused what concerns its namespace."""
VERSION = "namespaces/none/models/none/versions/1.0.0"
MODEL = "namespaces/none/models/none"
ALIAS = f"{MODEL}/aliases/none"
UPLOAD = "namespaces/none/uploads/" + "0" * 32
DIGEST = "sha256:" + "0" * 64
BLOB = f"namespaces/none/blobs/{DIGEST}"
NOUNS = {"Namespace": "namespaces/none", "Model": MODEL, "Version": VERSION, "Alias": ALIAS}
NOUNS |= {"Upload": UPLOAD, "Blob": BLOB, "Stage": VERSION}
NOUNS |= {"NamespaceUsage": "namespaces/none", "CopyModelBlobs": MODEL}
NOUNS |= {"TransferUrls": UPLOAD, "ConfirmParts": UPLOAD}
LINK = {
    "source": {"kind": "LINEAGE_KIND_OTHER", "name": "none"},
    "target": {"kind": "LINEAGE_KIND_VERSION", "name": VERSION},
    "relation": "derived",
}
EVALUATION = {
    "dataset": {"name": "none", "revision": "1"},
    "suite": "none",
    "evaluator": "none",
    "metrics": [{"name": "none", "value": 1, "direction": "METRIC_DIRECTION_HIGHER"}],
}
WEBHOOK = "namespaces/none/webhooks/" + "0" * 16
DELIVERY = f"{WEBHOOK}/deliveries/1"
NOUNS |= {"Webhook": WEBHOOK, "RotateWebhookSecret": WEBHOOK}
NOUNS |= {"Delivery": DELIVERY, "RedeliverEvent": DELIVERY}
PARENTS = {"CreateVersion": MODEL, "ListVersions": MODEL, "ListAliases": MODEL}
PARENTS |= {"ListFiles": VERSION, "ListHistory": MODEL, "ListAliasHistory": MODEL}
PARENTS |= {"GetStageHistory": MODEL}
PARENTS |= {"ListDeliveries": WEBHOOK}
PARENTS |= {"RecordEvaluation": VERSION, "ListEvaluations": VERSION}
NOUNS |= {"GetEvaluation": f"{VERSION}/evaluations/" + "0" * 16}
NOUNS |= {"EvaluationPlan": f"{MODEL}/evaluationPlan"}
PARENTS |= {"RecommendVersion": MODEL}
PLAN = {"metric": "none", "direction": "METRIC_DIRECTION_HIGHER", "dataset": "none"}
TRANSITION = f"{VERSION}/transitions/" + "0" * 16
GATE_POLICY = f"{MODEL}/gatePolicies/staging"
NOUNS |= {"GetSignature": f"{VERSION}/signatures/" + "0" * 16, "GetSignatureVerdict": VERSION}
NOUNS |= {"ProvenanceStatement": VERSION, "BillOfMaterials": VERSION}
NOUNS |= {"RevokeTrustedSigner": "namespaces/none/trustedSigners/none"}
PARENTS |= {"AttachSignature": VERSION, "ListSignatures": VERSION}
KEY = signing.private_key()
NOUNS |= {"Transition": TRANSITION, "GatePolicy": GATE_POLICY, "EvaluateGates": VERSION}
PARENTS |= {"RequestTransition": VERSION}

NOUNS |= {"RevokeToken": "tokens/" + "0" * 16, "DeleteRoleBinding": "bindings/" + "0" * 16}
GRANT = {"role": "ROLE_READER", "resource": "namespaces/none"}
ENVIRONMENT = "namespaces/none/environments/none"
NOUNS |= {"Environment": ENVIRONMENT, "Deployment": f"{MODEL}/deployments/" + "0" * 16}
PARENTS |= dict.fromkeys(("RecordDeployment", "GetDeploymentHistory", "RollBackDeployment"), MODEL)
DEPLOYMENT = {"version": VERSION, "environment": ENVIRONMENT}


def well_formed(method: descriptor.MethodDescriptor) -> Any:
    """A request about things that do not exist, with every field that must be set."""
    name = next((name for noun, name in NOUNS.items() if method.name.endswith(noun)), "")
    resource = {"name": name}
    values = {
        "parent": PARENTS.get(method.name, "namespaces/none"),
        "name": name,
        "namespace_id": "new",
        "model_id": "m",
        "version_id": "1.0.0",
        "ref": "none/none",
        "from_ref": "none/none",
        "to_ref": "none/none",
        "digest": DIGEST,
        "digests": [DIGEST],
        "blobs": [{"digest": DIGEST, "data": b"x"}],
        "parts": [{"number": 1}],
        "sent_parts": [{"number": 1, "etag": "x"}],
        "refs": ["none/none", "none/other"],
        "dataset": "none",
        # Either results that come along, or a dataset: the latter.
        **({"evaluation": EVALUATION} if method.name != "CheckRegression" else {}),
        "baseline_ref": "none/none",
        "plan": {"name": name, **PLAN},
        "destination": MODEL,
        "node": {"kind": "LINEAGE_KIND_OTHER", "name": "none"},
        "link": LINK,
        "stage": "staging",
        "pattern": "none",
        "reason": "test",
        "files": [{"path": "a", "digest": DIGEST}],
        "update_mask": {"paths": ["description"]},
        "namespace": resource,
        "model": resource,
        "version": resource,
        "webhook": {"name": name, "url": "https://example.com/"},
        "alias": {"name": name, "version": VERSION},
        "policy": {"name": GATE_POLICY},
        "bundle": attestation.sign("none", {"a": "0" * 64}, signing.loaded(KEY)),
        "trusted_signer_id": "none",
        "trusted_signer": {"public_key": signing.public_pem(KEY)},
        "environment_id": "none",
        "environment": {"name": name, "stages": ["staging"]}
        if "Environment" in method.name
        else "none",
        "deployment": DEPLOYMENT,
        "token": {"principal": "user:none"},
        "binding": {"principal": "user:none", "grant": GRANT},
        "principal": "user:none",
        "actions": ["model.read"],
        **({"outcome": 1} if method.name == "EndDeployment" else {}),
    }
    known = {
        field.name
        for field in method.input_type.fields
        # Some have a text where others have a message of that name; none of these is needed.
        if not (field.message_type is None and isinstance(values.get(field.name), dict))
    } & values.keys()
    kind = message_factory.GetMessageClass(method.input_type)
    return kind(**{field: values[field] for field in known})


async def status_of(
    channel: grpc.aio.Channel, method: descriptor.MethodDescriptor
) -> grpc.StatusCode:
    error = await failure_of(channel, method)
    return error.code() if error else grpc.StatusCode.OK


async def failure_of(
    channel: grpc.aio.Channel, method: descriptor.MethodDescriptor
) -> grpc.aio.AioRpcError | None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    serialize = message_factory.GetMessageClass(method.input_type).SerializeToString
    request = well_formed(method)
    try:
        if method.client_streaming:
            call = channel.stream_stream(path, request_serializer=serialize)([request])
            async for _ in call:
                pass
        elif method.server_streaming:
            async for _ in channel.unary_stream(path, request_serializer=serialize)(request):
                pass
        else:
            await channel.unary_unary(path, request_serializer=serialize)(request)
    except grpc.aio.AioRpcError as error:
        return error
    return None


def spied_hiding(monkeypatch: pytest.MonkeyPatch) -> list[errors.Hidden]:
    """What is answered as if it did not exist; on the wire nobody could tell."""
    hidden: list[errors.Hidden] = []
    make = errors.Hidden.__init__

    def noted(self: errors.Hidden, *args: Any, **metadata: Any) -> None:
        hidden.append(self)
        make(self, *args, **metadata)

    monkeypatch.setattr(errors.Hidden, "__init__", noted)
    return hidden


PUBLIC = {"GetCapabilities", "WhoAmI", "TestPermissions"}
"""What anybody may call who is known: it tells nothing about what is stored."""
BY_ID = {"RevokeToken", "DeleteRoleBinding"}
"""What is named by an id alone: who may is known once it is found, and this one never is."""


async def test_every_rpc_answers_every_caller_as_the_golden_file_says(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, wrong = [], []
    hidden = spied_hiding(monkeypatch)
    for service in wire.SERVICES:
        for method in service.methods:
            row = [f"{service.name}.{method.name}".ljust(36)]
            for role, given in CALLERS.items():
                caller = callers.Caller(f"user:{role}", "test", "test", grants=given)

                async def known(*_: object, caller: callers.Caller = caller) -> callers.Caller:
                    return caller

                monkeypatch.setattr(authentication.Authentication, "caller", known)
                hidden.clear()
                status = await status_of(stubs.channel, method)
                told = "HIDDEN" if hidden else status.name
                row.append(f"{role}={told}".ljust(30))
                assert not hidden or status is grpc.StatusCode.NOT_FOUND
                refused = told in {"HIDDEN", "PERMISSION_DENIED"}
                if role == "nobody" and not refused and method.name not in PUBLIC | BY_ID:
                    wrong.append(row[-1] + method.name)
                if role == "admin" and status is grpc.StatusCode.PERMISSION_DENIED:
                    wrong.append(row[-1] + method.name)
            rows.append(" ".join(row).rstrip())
    actual = "\n".join(rows) + "\n"
    if "MODELKEEP_TEST_ACCEPT" in os.environ:
        GOLDEN.write_text(actual)
    assert wrong == []
    assert actual == GOLDEN.read_text()


async def all_that_is_named(stubs: wire.Stubs) -> None:
    """Make what the requests name."""
    await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="none"))
    kind = pb.Model(kind=pb.MODEL_KIND_PROMPT)
    for model in ("none", "other"):
        request = pb.CreateModelRequest(parent="namespaces/none", model_id=model, model=kind)
        await stubs.registry.CreateModel(request)
    version = await stubs.ready(MODEL)
    await stubs.alias(version.name, "none")
    made = stubs.deployments.CreateEnvironment
    await made(
        deployment_service_pb2.CreateEnvironmentRequest(
            parent="namespaces/none", environment_id="none", environment={"stages": ["staging"]}
        )
    )


async def told_a_stranger(stubs: wire.Stubs) -> dict[str, tuple[Any, ...]]:
    """What somebody is told by each RPC, but for the id of the call."""
    told: dict[str, tuple[Any, ...]] = {}
    for service in wire.SERVICES:
        for method in service.methods:
            error = await failure_of(stubs.channel, method)
            if error is None:
                told[method.full_name] = ("OK",)
                continue
            trailers = dict(error.trailing_metadata() or ())
            details = trailers.get("grpc-status-details-bin")
            told[method.full_name] = (error.code(), error.details(), details)
    return told


async def test_another_namespaces_administrator_cannot_tell_what_is_there(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every RPC answers the same whether what it names exists: status, words and details."""
    elsewhere = tuple(callers.Grant(role, "elsewhere") for role in callers.Role)
    stranger = callers.Caller("user:stranger", "test", "test", grants=elsewhere)

    async def known(*_: object) -> callers.Caller:
        return stranger

    genuine = authentication.Authentication.caller
    monkeypatch.setattr(authentication.Authentication, "caller", known)
    before = await told_a_stranger(stubs)
    monkeypatch.setattr(authentication.Authentication, "caller", genuine)
    await all_that_is_named(stubs)
    monkeypatch.setattr(authentication.Authentication, "caller", known)
    assert await told_a_stranger(stubs) == before
    open_to_all = {name for name, answer in before.items() if answer == ("OK",)}
    assert {name.rpartition(".")[2] for name in open_to_all} == PUBLIC | {"ListNamespaces"}
    refused = {answer[0] for answer in before.values() if answer != ("OK",)}
    assert refused == {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}
