"""Gate policies and what became of gates, as the SDK shows them.

A gate is a mapping of its kind to its parameters, as a policy file has it:
`{"metric_threshold": {"dataset": "dialogs", "metric": "score", "op": ">=", "value": 0.8}}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf import json_format

from modelkeep.client import convert, errors, refs
from modelkeep.v1 import gate_pb2 as pb

Gate = Mapping[str, Mapping[str, Any]]
_INHERITANCES = {"extend": pb.GATE_INHERITANCE_EXTEND, "replace": pb.GATE_INHERITANCE_REPLACE}
_DISPLACED = {
    "archive": pb.DISPLACED_VERSION_ARCHIVE,
    "stage": pb.DISPLACED_VERSION_STAGE,
    "refuse": pb.DISPLACED_VERSION_REFUSE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """Which gates a namespace or a model has before a stage.

    Attributes:
        owner: `acme` or `acme/voice`.
        stage: `staging` or `production`.
        gates: all must be met.
        inherit: what a model's policy does to its namespace's, `extend` or `replace`; '' extends.
        four_eyes: whether a transition needs an approval by another in any case; None if it is left
            open.
        displaced: what becomes of the version that makes room in production, `archive`, `stage` or
            `refuse`; '' leaves it open.
        lifetime_days: after how many days a requested transition expires; 0 leaves it open.
        description: for people.
        actor: who set it last.
        created_at: since when there is one.
        updated_at: when it was set last.
        etag: changes with each change; if it is set, SetGatePolicy checks it.
    """

    owner: str
    stage: str
    gates: tuple[Gate, ...] = ()
    inherit: str = ""
    four_eyes: bool | None = None
    displaced: str = ""
    lifetime_days: float = 0.0
    description: str = ""
    actor: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    etag: str = ""

    @property
    def name(self) -> str:
        """Its resource name."""
        return policy_name(self.owner, self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What became of one gate.

    Attributes:
        kind: which kind of gate, `metric_threshold` for example.
        gate: its parameters.
        passed: whether it is met.
        pending: whether only approvals are wanting, and nobody has tried to make the move.
        sentence: why, with the figures.
        evidence: name of the resource that shows it, or ''.
        policy: name of the policy it is of, or ''.
    """

    kind: str
    gate: Mapping[str, Any]
    passed: bool
    pending: bool
    sentence: str
    evidence: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What became of all gates before a stage; `passed` if only approvals are wanting."""

    version: str
    stage: str
    passed: bool
    verdicts: tuple[GateVerdict, ...]
    judged_at: datetime | None


def policy_name(owner: str, stage: str) -> str:
    """Resource name of the policy of `acme` or `acme/voice` before a stage."""
    ref = refs.parse(owner)
    place = refs.parse_model(owner).model_name if ref.model else ref.namespace_name
    return f"{place}/gatePolicies/{stage}"


def policy_to_wire(policy: GatePolicy) -> pb.GatePolicy:
    """A policy, for the wire; raises InvalidRequest if it has a field that none has."""
    wire = pb.GatePolicy(
        name=policy.name,
        lifetime_days=policy.lifetime_days,
        description=policy.description,
        etag=policy.etag,
        inheritance=_word(_INHERITANCES, "inherit", policy.inherit),
        displaced=_word(_DISPLACED, "displaced", policy.displaced),
    )
    if policy.four_eyes is not None:
        wire.four_eyes = policy.four_eyes
    try:
        json_format.ParseDict({"gates": [dict(one) for one in policy.gates]}, wire)
    except json_format.ParseError as failure:
        raise errors.InvalidRequest(
            f"A gate is malformed: {failure}", reason="BAD_POLICY"
        ) from None
    return wire


def _word(known: Mapping[str, Any], field: str, word: str) -> Any:
    if word and word not in known:
        raise errors.InvalidRequest(
            f"{field} is {word!r}; there are {', '.join(known)}.", reason="BAD_POLICY"
        )
    return known.get(word, 0)


def policy_from_wire(wire: pb.GatePolicy) -> GatePolicy:
    """A policy as the server sent it."""
    place, _, stage = wire.name.partition("/gatePolicies/")
    return GatePolicy(
        owner=refs.from_name(place),
        stage=stage,
        gates=tuple(map(_gate, wire.gates)),
        inherit=_known(_INHERITANCES, wire.inheritance),
        four_eyes=wire.four_eyes if wire.HasField("four_eyes") else None,
        displaced=_known(_DISPLACED, wire.displaced),
        lifetime_days=wire.lifetime_days,
        description=wire.description,
        actor=wire.actor,
        created_at=convert.instant_from_wire(wire, "create_time"),
        updated_at=convert.instant_from_wire(wire, "update_time"),
        etag=wire.etag,
    )


def _known(words: Mapping[str, Any], number: int) -> str:
    return next((word for word, known in words.items() if known == number), "")


def _gate(wire: pb.Gate) -> Gate:
    document: dict[str, dict[str, Any]] = json_format.MessageToDict(
        wire, preserving_proto_field_name=True
    )
    for parameters in document.values():
        if "min_samples" in parameters:  # JSON has 64 bits as text
            parameters["min_samples"] = int(parameters["min_samples"])
    return document


def report_from_wire(wire: pb.GateReport) -> GateReport:
    """What became of gates, as the server sent it."""
    return GateReport(
        version=refs.from_name(wire.version),
        stage=wire.stage,
        passed=wire.passed,
        verdicts=tuple(map(_verdict, wire.verdicts)),
        judged_at=convert.instant_from_wire(wire, "judge_time"),
    )


def _verdict(wire: pb.GateVerdict) -> GateVerdict:
    kind = wire.gate.WhichOneof("kind") or "unknown"
    return GateVerdict(
        kind=kind,
        gate=_gate(wire.gate).get(kind, {}),
        passed=wire.passed,
        pending=wire.pending,
        sentence=wire.sentence,
        evidence=wire.evidence,
        policy=wire.policy,
    )
