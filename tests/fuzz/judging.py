"""What an answer may be, whatever was asked."""

import collections
import re

import grpc
from google.rpc import status_pb2

C = grpc.StatusCode
FINE = {
    C.OK,
    C.INVALID_ARGUMENT,
    C.NOT_FOUND,
    C.ALREADY_EXISTS,
    C.FAILED_PRECONDITION,
    C.ABORTED,
    C.OUT_OF_RANGE,
    C.RESOURCE_EXHAUSTED,
    C.PERMISSION_DENIED,
    C.DATA_LOSS,
}
LEAKS = re.compile(
    r"Traceback|asyncpg|psycopg|\bSELECT\b|\bINSERT INTO\b|\bUPDATE \w+ SET\b|violates|"
    r'relation "|column "|\.py\b|site-packages|/home/|/tmp/|/usr/|object at 0x|NoneType|'
    r"modelkeep\.(domain|service|storage|transport|blobs|authz)|\b[A-Z][a-z]+Error\b|"
    r"<class |unexpected keyword|positional argument|minio|urllib3|bytearray|dict_|Exception"
)
"""What tells of our inside; none of it is in what the fuzzer itself sends."""


class Tally:
    """Counts answers by method and status, and keeps what was found to be wrong."""

    def __init__(self) -> None:
        self.counts: dict[str, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.findings: list[str] = []

    @property
    def total(self) -> int:
        """How many answers were judged."""
        return sum(sum(codes.values()) for codes in self.counts.values())

    def judge(self, method: str, request: object, error: grpc.RpcError | None) -> C:
        """Count an answer (None: it succeeded), and fail if it must not be."""
        if error is None:
            self.counts[method]["OK"] += 1
            return C.OK
        assert isinstance(error, grpc.Call)
        code, said = error.code(), error.details() or ""
        self.counts[method][code.name] += 1
        shown = f"{method} answered {code.name}: {said!r} to {request!r:.3000}"
        assert code in FINE, shown
        details = [
            value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"
        ]
        assert details, f"no details: {shown}"
        for text in (said, str(status_pb2.Status.FromString(details[0]))):
            assert not LEAKS.search(text), f"leaks: {shown} {text}"
        return code

    def table(self) -> str:
        """The counts, a line for each method."""
        codes = sorted({code for counts in self.counts.values() for code in counts})
        lines = [f"{'method':28}" + "".join(f"{code[:12]:>13}" for code in codes)]
        for method, counts in sorted(self.counts.items()):
            lines.append(f"{method:28}" + "".join(f"{counts[code]:13}" for code in codes))
        sums = [sum(counts[code] for counts in self.counts.values()) for code in codes]
        lines.append(f"{'all':28}" + "".join(f"{one:13}" for one in sums))
        return "\n".join(lines)
