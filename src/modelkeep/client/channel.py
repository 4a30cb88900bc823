"""The channel to a registry and how its calls are retried."""

import json
from typing import Any

import grpc

import modelkeep
from modelkeep.client import bearing, credentials, endpoints

DEFAULT_ENDPOINT = endpoints.DEFAULT
NO_CREDENTIALS = credentials.Credentials()
_MAX_RECEIVE_BYTES = 32 * 1024 * 1024
"""Largest answer taken, in bytes: a page of 1,000 files with the longest paths fits well."""

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
                {"service": "modelkeep.v1.DeploymentService"},
                {"service": "modelkeep.v1.AuditService"},
                {"service": "modelkeep.v1.AccessService"},
                {"service": "modelkeep.v1.ProvenanceService"},
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


def open_channel(
    where: endpoints.Endpoint, shown: credentials.Credentials = NO_CREDENTIALS
) -> grpc.aio.Channel:
    """A channel to that endpoint; nothing is connected before the first call.

    Raises:
        InvalidRequest: the credentials are not for that endpoint, or cannot be read.
    """
    return _open(where, shown, _options())


def open_line(
    where: endpoints.Endpoint, shown: credentials.Credentials = NO_CREDENTIALS
) -> grpc.aio.Channel:
    """Another such channel, whose connection no other channel of this process shares."""
    return _open(where, shown, [*_options(), ("grpc.use_local_subchannel_pool", 1)])


def _open(
    where: endpoints.Endpoint, shown: credentials.Credentials, options: list[tuple[str, Any]]
) -> grpc.aio.Channel:
    bearer = credentials.bearer(shown, where)
    secure = credentials.channel_credentials(shown, where)
    opened = (
        grpc.aio.secure_channel(where.target, secure, options=options)
        if secure is not None
        else grpc.aio.insecure_channel(where.target, options=options)
    )
    return bearing.BearingChannel(opened, bearer) if bearer is not None else opened


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
