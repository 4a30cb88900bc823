"""Crossings of what namespaces take."""

from modelkeep.domain import names, quotas
from modelkeep.v1 import registry_service_pb2 as pb


def usage_to_wire(found: quotas.NamespaceUsage) -> pb.NamespaceUsage:
    """What a namespace takes, for the wire."""
    return _to_wire(found.name, found.usage, found.limits)


def recount_to_wire(recount: quotas.Recount) -> pb.RecountNamespaceUsageResponse:
    """What was counted anew, and what had been thought before, for the wire."""
    counted = recount.counted
    return pb.RecountNamespaceUsageResponse(
        usage=usage_to_wire(counted),
        previous=_to_wire(counted.name, recount.previous, counted.limits),
    )


def _to_wire(
    name: names.NamespaceName, usage: quotas.Usage, limits: quotas.Limits
) -> pb.NamespaceUsage:
    return pb.NamespaceUsage(
        name=str(name),
        stored_bytes=usage.stored_bytes,
        reserved_bytes=usage.reserved_bytes,
        stored_bytes_quota=limits.stored_bytes,
        logical_bytes=usage.logical_bytes,
        logical_bytes_quota=limits.logical_bytes,
        open_uploads=usage.open_uploads,
        open_uploads_quota=limits.open_uploads,
    )
