"""How we reach one S3 endpoint: settings, time-outs, retries and the pool of connections."""

from dataclasses import dataclass, field
from typing import Any

import urllib3

_BACKOFF_S = 0.2
_RETRIED_STATUSES = frozenset({500, 502, 503, 504})
_IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """One bucket of one S3 endpoint (`host:port`), and how hard we try to reach it.

    What is larger than `copy_part_bytes` the store copies in parts of this size: each is one
    request, which is answered when it is done. `io_timeout_s` is the longest we wait for the next
    bytes to go out or come in, not for a whole body. `threads` bounds the requests that are under
    way at once. TLS certificates are checked against the system's store, or against the file that
    `SSL_CERT_FILE` names.
    """

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    bucket: str
    region: str = "us-east-1"
    secure: bool = True
    threads: int = 16
    connect_timeout_s: float = 3.0
    io_timeout_s: float = 20.0
    attempts: int = 4
    copy_part_bytes: int = 64 << 20

    @property
    def url(self) -> str:
        """The endpoint with its scheme."""
        return f"{'https' if self.secure else 'http'}://{self.endpoint}"


class Connections(urllib3.PoolManager):
    """Kept-alive connections with our time-outs and retries.

    Only what may safely happen twice is sent twice; redirects are answers, not followed, because a
    signature is good for one host only.
    """

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(
            # A paused read keeps its connection but no thread, so there are more than threads.
            maxsize=4 * settings.threads,
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.io_timeout_s),
            retries=_retries(settings.attempts - 1),
            cert_reqs="CERT_REQUIRED",
        )
        self._io_timeout_s = settings.io_timeout_s

    def _new_pool(self, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        pool.ConnectionCls = _sending_under(self._io_timeout_s, pool.ConnectionCls)
        return pool


def _retries(more: int) -> urllib3.Retry:
    return urllib3.Retry(
        total=more,
        read=min(more, 1),  # each one costs a whole io_timeout_s when the store hangs
        redirect=0,
        raise_on_redirect=False,
        allowed_methods=_IDEMPOTENT_METHODS,
        status_forcelist=_RETRIED_STATUSES,
        raise_on_status=False,
        backoff_factor=_BACKOFF_S,
        backoff_jitter=_BACKOFF_S,
        respect_retry_after_header=False,  # it may ask for minutes; our caller can wait better
    )


def _sending_under(timeout_s: float, connection_type: Any) -> Any:
    """A connection that sends under `timeout_s`; urllib3 sends under the connect time-out."""

    class Connection(connection_type):  # type: ignore[misc]
        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is None:
                self.connect()
            self.timeout = timeout_s
            super().request(*args, **kwargs)

    return Connection
