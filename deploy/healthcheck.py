# noqa: INP001 - a script, not a package
"""Exit code 0 if the server at HOST:PORT says SERVING: `healthcheck.py HOST:PORT`."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_S = 3


def main(endpoint: str) -> str | None:
    """Ask once; why it is not healthy, or None."""
    with grpc.insecure_channel(endpoint) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            return f"{endpoint} does not answer: {error.code().name}"
    is_serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return None if is_serving else f"{endpoint} is not serving"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
