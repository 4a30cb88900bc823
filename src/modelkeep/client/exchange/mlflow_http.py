"""Asking an MLflow server over its REST API; everything it answers is bounded in size."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import BinaryIO
from urllib import parse

import urllib3

from modelkeep.client import errors
from modelkeep.client.exchange import json_entries

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 120.0
_ATTEMPTS = 4
_PASSING = (429, 502, 503, 504)
_API = "/api/2.0/"
BAD_ANSWER = "MLFLOW_ANSWER"


class Server:
    """One MLflow server; use it as a context manager, its methods in threads.

    Args:
        uri: `http://HOST:PORT/PREFIX`, with `USER:PASSWORD@` before the host if it wants that.

    Raises:
        InvalidRequest: the URI is not one of HTTP.
    """

    def __init__(self, uri: str) -> None:
        parts = parse.urlsplit(uri)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise errors.InvalidRequest(
                f"{parts.scheme or 'That'}: is no address of an MLflow server; write"
                " http://HOST:PORT.",
                reason="BAD_URI",
            )
        host = parts.netloc.rpartition("@")[2]
        self.origin = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        self._http = urllib3.PoolManager(
            headers=_headers(parts),
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S),
            retries=urllib3.Retry(
                _ATTEMPTS, redirect=False, backoff_factor=0.2, status_forcelist=_PASSING
            ),
        )

    def close(self) -> None:
        """End its connections."""
        self._http.clear()

    def get(self, call: str, **query: str) -> json_entries.Entry:
        """The answer of a call, for example `mlflow/runs/get`.

        Raises:
            NotFound: MLflow has no such thing.
            BadSource: it refused, or did not answer as MLflow does.
        """
        answer = self._open(call, query)
        try:
            content = b"".join(_bounded(answer, _MAX_ANSWER_BYTES, call))
        finally:
            answer.close()
        return json_entries.parse(content, f"MLflow's answer to {call}", BAD_ANSWER)

    def download(self, path: str, target: BinaryIO, most_bytes: int) -> int:
        """Write an artifact behind the proxy into a file; answers how many bytes it had.

        Raises:
            BadSource: it has more bytes than that, or did not come whole.
        """
        answer = self._open(f"mlflow-artifacts/artifacts/{parse.quote(path)}", {})
        try:
            return sum(target.write(block) for block in _bounded(answer, most_bytes, path))
        finally:
            answer.close()

    def _open(self, call: str, query: dict[str, str]) -> urllib3.BaseHTTPResponse:
        asked = f"?{parse.urlencode(query)}" if query else ""
        try:
            answer = self._http.request(
                "GET", f"{self.origin}{_API}{call}{asked}", preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as failure:
            raise errors.BadSource(
                f"No MLflow server answers at {self.origin} ({type(failure).__name__}); look at"
                " --uri.",
                reason="MLFLOW_AWAY",
            ) from failure
        if answer.status == HTTPStatus.OK:
            return answer
        told = answer.read(_BLOCK_BYTES)
        answer.close()
        raise _refusal(call, answer.status, told)


def _headers(parts: parse.SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    user, password = parse.unquote(parts.username), parse.unquote(parts.password or "")
    return dict(urllib3.make_headers(basic_auth=f"{user}:{password}"))


def _bounded(answer: urllib3.BaseHTTPResponse, most_bytes: int, what: str) -> Iterator[bytes]:
    left = most_bytes
    try:
        for block in answer.stream(_BLOCK_BYTES):
            left -= len(block)
            if left < 0:
                raise errors.BadSource(
                    f"MLflow's {what} has more than {most_bytes} bytes.", reason="MLFLOW_TOO_LARGE"
                )
            yield block
    except (urllib3.exceptions.HTTPError, OSError) as failure:
        raise errors.BadSource(
            f"MLflow's {what} did not come whole ({type(failure).__name__}); run the import again.",
            reason="MLFLOW_CUT",
        ) from failure


def _refusal(call: str, status: int, told: bytes) -> errors.RegistryError:
    try:
        said = json.loads(told)
        code, words = str(said["error_code"]), str(said.get("message", ""))[:300]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        code, words = "", ""
    sentence = f"MLflow answered {call} with {status} {code} {words}".rstrip()
    if code == "RESOURCE_DOES_NOT_EXIST":
        return errors.NotFound(f"{sentence}.", reason="MLFLOW_NOT_FOUND")
    return errors.BadSource(f"{sentence}.", reason="MLFLOW_REFUSED")
