"""A server that answers every call of the contract with texts meant to harm a terminal."""

import contextlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import descriptor, message_factory
from google.rpc import error_details_pb2, status_pb2
from support import wire

F = descriptor.FieldDescriptor
EVIL = "x\x1b[31m\x1b]0;pwned\x07\u202eevil\u2066 \u009b2J\r\x08[bold]y[/] [/none] \u2028z\u200b"
MODEL = "namespaces/a/models/b"
NAMES = {
    "Namespace": "namespaces/a",
    "Model": MODEL,
    "Version": f"{MODEL}/versions/1.0.0",
    "Alias": f"{MODEL}/aliases/prod",
    "Upload": "namespaces/a/uploads/" + "0" * 32,
    "Webhook": "namespaces/a/webhooks/" + "0" * 16,
    "Delivery": "namespaces/a/webhooks/" + "0" * 16 + "/deliveries/1",
    "Evaluation": f"{MODEL}/versions/1.0.0/evaluations/" + "0" * 16,
}
DEPTH = 5
ODD_S = 2**62
ODD_NUMBER = 12_345


def filled(kind: descriptor.Descriptor, *, names: bool, odd: str = "", depth: int = DEPTH) -> Any:
    """A message with every field set; `names` leaves resource names as they should be.

    `odd` says what else is not: `instants` no calendar has, or numbers of no `words`.
    """
    made: Any = message_factory.GetMessageClass(kind)()
    if kind.full_name == "google.protobuf.Timestamp":
        made.seconds = ODD_S if odd == "instants" else 1_700_000_000
        return made
    for field in kind.fields:
        nested = field.message_type
        if field.name.endswith("page_token") or (nested is not None and depth == 0):
            continue
        if nested is not None and nested.GetOptions().map_entry:
            value = nested.fields_by_name["value"]
            entries = getattr(made, field.name)
            if value.message_type is None:
                entries[EVIL] = _scalar(value, kind, names=names, odd=odd)
            else:
                entries[EVIL].CopyFrom(
                    filled(value.message_type, names=names, odd=odd, depth=depth - 1)
                )
        elif field.is_repeated:
            one = filled(nested, names=names, odd=odd, depth=depth - 1) if nested else None
            getattr(made, field.name).append(one or _scalar(field, kind, names=names, odd=odd))
        elif nested is not None:
            inner = filled(nested, names=names, odd=odd, depth=depth - 1)
            getattr(made, field.name).CopyFrom(inner)
            getattr(made, field.name).SetInParent()
        else:
            setattr(made, field.name, _scalar(field, kind, names=names, odd=odd))
    return made


def _scalar(field: F, owner: descriptor.Descriptor, *, names: bool, odd: str) -> Any:
    if field.type == F.TYPE_BYTES:
        return b"\x1b[31m"
    if field.cpp_type == F.CPPTYPE_STRING:
        if names and field.name == "name":
            return NAMES.get(owner.name, EVIL)
        if names and field.name in {"version", "model", "namespace"}:
            return NAMES[field.name.capitalize()]
        return EVIL
    if field.cpp_type == F.CPPTYPE_ENUM:
        return ODD_NUMBER if odd == "words" else field.enum_type.values[-1].number
    return True if field.cpp_type == F.CPPTYPE_BOOL else 1


class _Hostile(grpc.GenericRpcHandler):
    def __init__(self, *, names: bool, odd: str, failing: bool) -> None:
        self._names, self._odd, self._failing = names, odd, failing
        self._methods = {
            f"/{service.full_name}/{method.name}": method
            for service in wire.SERVICES
            for method in service.methods
        }

    def service(self, handler_call_details: Any) -> Any:
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None

        def answer(_request: Any, context: Any) -> Iterator[bytes]:
            if self._failing:
                context.set_trailing_metadata((("grpc-status-details-bin", _details()),))
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, EVIL)
            answered = filled(method.output_type, names=self._names, odd=self._odd)
            yield answered.SerializeToString()

        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(answer)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(answer)
        return grpc.unary_unary_rpc_method_handler(lambda asked, call: next(answer(asked, call)))


def _details() -> bytes:
    details = error_details_pb2.ErrorInfo(
        reason=EVIL, domain="modelkeep", metadata={"resource": EVIL}
    )
    bad = error_details_pb2.BadRequest.FieldViolation(field=EVIL, description=EVIL)
    status = status_pb2.Status(code=9, message=EVIL)
    status.details.add().Pack(details)
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[bad]))
    return bytes(status.SerializeToString())


@contextlib.contextmanager
def serving(*, names: bool = True, odd: str = "", failing: bool = False) -> Iterator[str]:
    """A hostile server; its `host:port`."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([_Hostile(names=names, odd=odd, failing=failing)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
