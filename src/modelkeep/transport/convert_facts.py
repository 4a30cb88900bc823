"""Crossings of what is inside files."""

from modelkeep.domain import inspections
from modelkeep.domain.formats import facts
from modelkeep.transport import convert, convert_registry
from modelkeep.v1 import facts_pb2 as pb
from modelkeep.v1 import registry_service_pb2

VERDICTS: dict[int, facts.PickleVerdict] = {
    pb.PICKLE_VERDICT_NONE: facts.PickleVerdict.NONE,
    pb.PICKLE_VERDICT_PLAIN: facts.PickleVerdict.PLAIN,
    pb.PICKLE_VERDICT_IMPORTS: facts.PickleVerdict.IMPORTS,
    pb.PICKLE_VERDICT_DANGEROUS: facts.PickleVerdict.DANGEROUS,
    pb.PICKLE_VERDICT_UNKNOWN: facts.PickleVerdict.UNKNOWN,
}


def inspected_to_wire(inspected: inspections.InspectedFile) -> registry_service_pb2.File:
    """A file for the wire, with what is inside if anybody has looked."""
    wire = convert_registry.file_to_wire(inspected.file)
    if inspected.facts is not None:
        wire.facts.CopyFrom(facts_to_wire(inspected.facts))
    return wire


def facts_to_wire(found: facts.Facts) -> pb.FileFacts:
    """Facts for the wire."""
    return pb.FileFacts(
        format=found.format,
        problem=found.problem,
        tensor_count=found.tensor_count,
        parameter_count=found.parameter_count,
        dtypes=found.dtypes,
        architecture=found.architecture,
        quantisation=found.quantisation,
        opset=found.opset,
        external_tensors=found.external,
        inputs=found.inputs,
        outputs=found.outputs,
        metadata=found.metadata,
        pickle=_pickle_to_wire(found.pickle),
    )


def _pickle_to_wire(found: facts.PickleFacts) -> pb.PickleFacts:
    return pb.PickleFacts(
        verdict=convert.enum_to_wire(found.verdict, VERDICTS),  # type: ignore[arg-type]
        imports=found.imports,
        dangerous_imports=found.dangerous,
        opcodes=found.opcodes,
        streams=found.streams,
        problem=found.problem,
    )
