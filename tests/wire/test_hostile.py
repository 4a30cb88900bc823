"""Walks the descriptor: every field of every unary request, one at a time, with hostile values."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor, message, message_factory
from support import wire

from modelkeep.v1 import registry_service_pb2

UNARY = [
    method
    for service in wire.SERVICES
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
]
TEXTS = [
    "",
    "x" * 100_000,
    "\x00",
    "a\nb",
    "\u202e\u2066evil",
    "../../etc/passwd",
    "'; DROP TABLE version; --",
    "%s%n{0}${jndi:x}",
    "namespaces/a/models/b/versions/1.0.0/files/../x",
    "\U0010ffff",
]
NUMBERS = [-1, -(2**31), 2**31 - 1]
BIG_NUMBERS = [-(2**63), 2**63 - 1]
FLOATS = [float("nan"), float("inf"), -1e308]
DEPTH = 4

F = descriptor.FieldDescriptor


def hostile_values(field: descriptor.FieldDescriptor) -> list[Any]:
    if field.cpp_type == F.CPPTYPE_STRING:
        return TEXTS if field.type == F.TYPE_STRING else [b"\xff" * 1000]
    if field.cpp_type == F.CPPTYPE_ENUM:
        return [-1, 99, 2**31 - 1]
    if field.cpp_type in (F.CPPTYPE_DOUBLE, F.CPPTYPE_FLOAT):
        return FLOATS
    if field.cpp_type == F.CPPTYPE_BOOL:
        return [True]
    unsigned = field.cpp_type in (F.CPPTYPE_UINT32, F.CPPTYPE_UINT64)
    wide = field.cpp_type in (F.CPPTYPE_INT64, F.CPPTYPE_UINT64)
    return [n for n in NUMBERS + (BIG_NUMBERS if wide else []) if n >= 0 or not unsigned]


def hostile_requests(kind: descriptor.Descriptor) -> Iterator[tuple[str, message.Message]]:
    """Every way to set one field, however deep, to one hostile value: its path, and a request."""
    make = message_factory.GetMessageClass(kind)
    for path in paths_of(kind, (), DEPTH):
        for value in hostile_values(path[-1]):
            request = make()
            place(request, path, value)
            yield ".".join(field.name for field in path), request


def paths_of(
    kind: descriptor.Descriptor, prefix: tuple[descriptor.FieldDescriptor, ...], depth: int
) -> Iterator[tuple[descriptor.FieldDescriptor, ...]]:
    for field in kind.fields:
        if field.message_type is None:
            yield (*prefix, field)
        elif depth:
            yield from paths_of(field.message_type, (*prefix, field), depth - 1)


def place(request: Any, path: tuple[descriptor.FieldDescriptor, ...], value: Any) -> None:
    owner = request
    for field in path[:-1]:
        owner = getattr(owner, field.name)
        if field.message_type.GetOptions().map_entry:
            set_entry(owner, field, path[-1], value)
            return
        if field.is_repeated:
            owner = owner.add()
        owner.SetInParent()
    last = path[-1]
    if last.is_repeated:
        getattr(owner, last.name).extend([value] * 2)
    else:
        setattr(owner, last.name, value)


def set_entry(owner: Any, field: Any, last: Any, value: Any) -> None:
    """Set the key or (some member of) the value of one map entry."""
    if last.name == "key":
        beside = field.message_type.fields_by_name["value"]
        if beside.message_type is None:
            owner[value] = "x" if beside.default_value == "" else beside.default_value
        else:
            owner[value].SetInParent()
    elif isinstance(owner, dict) or field.message_type.fields_by_name["value"].message_type is None:
        owner["key"] = value
    else:
        setattr(owner["key"], last.name, value)


FINE = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
}


@pytest.mark.slow
@pytest.mark.parametrize("method", UNARY, ids=lambda method: method.name)
async def test_every_field_refuses_what_is_hostile(
    stubs: wire.Stubs, method: descriptor.MethodDescriptor
) -> None:
    call = stubs.channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    tried = 0
    for path, request in hostile_requests(method.input_type):
        tried += 1
        try:
            await call(request, timeout=20)
        except grpc.aio.AioRpcError as error:
            failure = wire.failure_of(error)
            assert failure.code in FINE, (path, failure)
            assert failure.reason, (path, failure)
            if failure.code is grpc.StatusCode.INVALID_ARGUMENT:
                assert failure.fields, (path, failure)
            assert "Traceback" not in failure.message
    assert tried >= len(TEXTS) or not method.input_type.fields


def test_the_walk_reaches_what_it_should() -> None:
    reached = {path for path, _ in hostile_requests(
        registry_service_pb2.CreateVersionRequest.DESCRIPTOR
    )}  # fmt: skip
    assert {
        "version_id",
        "version.labels.key",
        "version.labels.value",
        "version.model.parameters.key",
        "version.model.parameters.value.double_value",
        "version.prompt.messages.content",
        "version.prompt.sampling.temperature",
        "version.datasets.digest",
        "version.metrics.value",
    } <= reached


async def test_a_field_that_is_too_long_is_named(stubs: wire.Stubs) -> None:
    """A valid request, each of its texts in turn far too long: the answer names that field."""
    for path in ("description", "owner"):
        request = registry_service_pb2.CreateModelRequest(
            parent="namespaces/a", model_id="m", model={path: "x" * 10_000}
        )
        failure = await wire.failing(stubs.registry.CreateModel(request))
        assert failure.fields == [f"model.{path}"]
