"""The channel to a registry and how its calls are retried."""

import json
import re
from typing import Any

import grpc

import modelkeep
from modelkeep.client import errors

DEFAULT_ENDPOINT = "127.0.0.1:7420"
DEFAULT_PORT = 7420
_MAX_RECEIVE_BYTES = 32 * 1024 * 1024
"""Largest answer taken, in bytes: a page of 1,000 files with the longest paths fits well."""
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+)(:\d{1,5})?")

# Only UNAVAILABLE, and only where a repetition is harmless: reads always, mutations because each
# carries a request_id. The two streams are left out; push and pull resume them where they stood.
_RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "modelkeep.v1.RegistryService"},
                {"service": "modelkeep.v1.LifecycleService"},
                {"service": "modelkeep.v1.ArtifactService"},
                {"service": "modelkeep.v1.EventService"},
                {"service": "modelkeep.v1.EvaluationService"},
                {"service": "modelkeep.v1.AuditService"},
            ],
            "retryPolicy": _RETRY_POLICY,
        },
        {
            "name": [
                {"service": "modelkeep.v1.ArtifactService", "method": "WriteUpload"},
                {"service": "modelkeep.v1.ArtifactService", "method": "ReadBlob"},
                {"service": "modelkeep.v1.EventService", "method": "Watch"},
            ],
        },
    ],
}


def target(endpoint: str) -> str:
    """The gRPC target of `HOST`, `HOST:PORT` or `[IPv6]:PORT`; the port defaults to 7420.

    Raises:
        InvalidRequest: it is none of these.
    """
    matched = _ENDPOINT.fullmatch(endpoint.strip())
    if matched is None:
        raise errors.InvalidRequest(
            f"{endpoint!r} is not an endpoint: write HOST:PORT, for example {DEFAULT_ENDPOINT}.",
            reason="BAD_ENDPOINT",
        )
    return f"{matched[1]}{matched[2] or f':{DEFAULT_PORT}'}"


def open_channel(endpoint: str) -> grpc.aio.Channel:
    """A plaintext channel to that endpoint; nothing is connected before the first call."""
    return grpc.aio.insecure_channel(target(endpoint), options=_options())


def open_line(endpoint: str) -> grpc.aio.Channel:
    """Another such channel, whose connection no other channel of this process shares."""
    alone = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(target(endpoint), options=[*_options(), *alone])


def _options() -> list[tuple[str, Any]]:
    return [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.primary_user_agent", f"modelkeep-python/{modelkeep.__version__}"),
        ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
        # The server allows a ping each 10 s; a cut line is noticed in 30 + 10 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # A server that restarts should be found again in seconds, not minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 3_000),
    ]
