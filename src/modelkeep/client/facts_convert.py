"""Crossings from the wire of what is inside files."""

from modelkeep.client import file_facts
from modelkeep.v1 import facts_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb


def policy_from_wire(number: int) -> file_facts.PicklePolicy:
    """A pickle policy; UNSPECIFIED for one that a newer server invented."""
    known = {value: member for member, value in _POLICIES.items()}
    return known.get(number, file_facts.PicklePolicy.UNSPECIFIED)


def policy_to_wire(policy: file_facts.PicklePolicy) -> registry_pb.PicklePolicy.ValueType:
    """A pickle policy for the wire."""
    return registry_pb.PicklePolicy.Value(f"PICKLE_POLICY_{policy.upper()}")


def warning_from_wire(wire: registry_pb.VersionWarning) -> file_facts.VersionWarning:
    """A warning as the server sent it."""
    return file_facts.VersionWarning(
        reason=wire.reason,
        description=wire.description,
        paths=tuple(wire.paths),
        file_count=wire.file_count,
    )


def facts_from_wire(wire: registry_pb.File) -> file_facts.FileFacts | None:
    """What is inside a file, or None if nobody looked or it was not asked for."""
    if not wire.HasField("facts"):
        return None
    found = wire.facts
    return file_facts.FileFacts(
        format=found.format,
        problem=found.problem,
        tensor_count=found.tensor_count if found.HasField("tensor_count") else None,
        parameter_count=found.parameter_count if found.HasField("parameter_count") else None,
        dtypes=tuple(found.dtypes),
        architecture=found.architecture,
        quantisation=found.quantisation,
        opset=found.opset if found.HasField("opset") else None,
        external_tensors=found.external_tensors,
        inputs=tuple(found.inputs),
        outputs=tuple(found.outputs),
        metadata=dict(found.metadata),
        pickle=_pickle_from_wire(found.pickle),
    )


def _pickle_from_wire(found: pb.PickleFacts) -> file_facts.PickleFacts:
    return file_facts.PickleFacts(
        verdict=_VERDICTS.get(found.verdict, file_facts.PickleVerdict.UNSPECIFIED),
        imports=tuple(found.imports),
        dangerous_imports=tuple(found.dangerous_imports),
        opcodes=dict(found.opcodes),
        streams=found.streams,
        problem=found.problem,
    )


_POLICIES: dict[file_facts.PicklePolicy, int] = {
    policy: registry_pb.PicklePolicy.Value(f"PICKLE_POLICY_{policy.upper()}")
    for policy in file_facts.PicklePolicy
}
_VERDICTS: dict[int, file_facts.PickleVerdict] = {
    pb.PickleVerdict.Value(f"PICKLE_VERDICT_{verdict.upper()}"): verdict
    for verdict in file_facts.PickleVerdict
}
