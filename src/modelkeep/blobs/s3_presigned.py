"""URLs that let a client without keys send one request, with the headers that it must send.

The SDK signs no header but `host`. S3 wants every `x-amz-` header signed, SeaweedFS insists, and
only a signed checksum binds the URL to the bytes that it was given out for.
"""

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from urllib import parse

from modelkeep.blobs import s3_connection

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"


def presigned(
    settings: s3_connection.S3Settings,
    method: str,
    key: str,
    *,
    expires_s: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    now: datetime.datetime | None = None,
) -> str:
    """A URL that is good for `expires_s` for this request alone.

    `headers`, in lower case, are signed: the request must carry them, with these values. Follows
    "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" of the S3 API.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    scope = f"{now:%Y%m%d}/{settings.region}/s3/aws4_request"
    sent = dict(sorted({"host": _host(settings), **(headers or {})}.items()))
    names = ";".join(sent)
    path = parse.quote(f"/{settings.bucket}/{key}", safe="/-_.~")
    asked = {
        **(query or {}),
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{settings.access_key}/{scope}",
        "X-Amz-Date": _stamp(now),
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": names,
    }
    text = _query_text(asked)
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in sent.items())
    request = f"{method}\n{path}\n{text}\n{lines}\n{names}\n{_UNSIGNED}"
    signature = _signature(settings, now, scope, request)
    return f"{settings.url}{path}?{text}&X-Amz-Signature={signature}"


def _signature(
    settings: s3_connection.S3Settings, now: datetime.datetime, scope: str, request: str
) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    signed = "\n".join((_ALGORITHM, _stamp(now), scope, digest))
    secret = f"AWS4{settings.secret_key}".encode()
    for part in (*scope.split("/"), signed):
        secret = hmac.digest(secret, part.encode(), "sha256")
    return secret.hex()


def _host(settings: s3_connection.S3Settings) -> str:
    """The endpoint as requests name it: without the port that is the scheme's own."""
    return settings.endpoint.removesuffix(":443" if settings.secure else ":80")


def _stamp(instant: datetime.datetime) -> str:
    return f"{instant:%Y%m%dT%H%M%SZ}"


def _query_text(query: Mapping[str, str]) -> str:
    quoted = {
        parse.quote(name, safe="-_.~"): parse.quote(query[name], safe="-_.~") for name in query
    }
    return "&".join(f"{name}={value}" for name, value in sorted(quoted.items()))
