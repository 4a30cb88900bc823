"""A call as grpcurl makes it: with nothing but an address, the server describes the rest."""

from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database as reflection

_TIMEOUT_S = 10


class Described:
    """A server, seen through its own description; close the channel yourself.

    Args:
        channel: to the server, which describes itself to anybody.
        token: presented with calls.
    """

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._channel = channel
        self._bearer = (("authorization", f"Bearer {token}"),)
        self._database = reflection.ProtoReflectionDescriptorDatabase(channel)
        self._pool = descriptor_pool.DescriptorPool(self._database)

    def services(self) -> list[str]:
        """Full names of all services, sorted."""
        return sorted(self._database.get_services())

    def call(self, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of a unary method, both sides as JSON."""
        described = self._pool.FindServiceByName(service).methods_by_name[method]
        asked = message_factory.GetMessageClass(described.input_type)()
        answered = message_factory.GetMessageClass(described.output_type)
        stub: Any = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answered.FromString,
        )
        sent = json_format.ParseDict(request, asked)
        answer = stub(sent, timeout=_TIMEOUT_S, metadata=self._bearer)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)
