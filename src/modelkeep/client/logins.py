"""Which token goes to which server: what was logged in with, or a local server's own."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from modelkeep import own_files
from modelkeep.client import credentials, endpoints, errors

TOKEN = "MODELKEEP_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "MODELKEEP_TOKEN_FILE"  # noqa: S105 - as above
ALLOW_PLAINTEXT_TOKEN = "MODELKEEP_ALLOW_PLAINTEXT_TOKEN"  # noqa: S105 - as above
_CA_FILE = "MODELKEEP_TLS_CA_FILE"
_CERT_FILE = "MODELKEEP_TLS_CLIENT_CERT_FILE"
_KEY_FILE = "MODELKEEP_TLS_CLIENT_KEY_FILE"


def found_for(endpoint: str, environ: Mapping[str, str] | None = None) -> credentials.Credentials:
    """What to show a server where nothing else is said: the environment, a login, or local.

    Raises:
        InvalidRequest: the endpoint is not one, or a file of tokens can be read by others.
    """
    given = os.environ if environ is None else environ
    certificate = given.get(_CERT_FILE, "")
    return credentials.Credentials(
        token=given_token(given) or ("" if certificate else kept_token(endpoint, given)),
        ca_file=_path(given.get(_CA_FILE, "")),
        certificate_file=_path(certificate),
        key_file=_path(given.get(_KEY_FILE, "")),
        is_plaintext_token_allowed=is_plaintext_allowed(given),
    )


def is_plaintext_allowed(environ: Mapping[str, str]) -> bool:
    """Whether the environment lets tokens travel unencrypted."""
    return environ.get(ALLOW_PLAINTEXT_TOKEN, "").lower() in {"1", "true", "yes"}


def kept_token(endpoint: str, environ: Mapping[str, str]) -> str:
    """The token that was logged in with at that endpoint, or its own if it is local; or ''.

    Raises:
        InvalidRequest: the endpoint is not one, or a file of tokens can be read by others.
    """
    where = endpoints.parse(endpoint)
    try:
        kept = _read(own_files.credentials_file(environ)).get(_key(where), "")
        if kept or where.is_secure or not where.is_loopback:
            return kept
        return own_files.local_token(environ, where.target)
    except own_files.Exposed as exposed:
        raise errors.InvalidRequest(f"{exposed}.", reason="CREDENTIALS_EXPOSED") from None


def keep(endpoint: str, token: str, environ: Mapping[str, str]) -> Path:
    """Keep a token for an endpoint, in a file for this user alone; which that is.

    Raises:
        InvalidRequest: the endpoint is not one, or others can read the file.
    """
    return _change(endpoint, token, environ)


def forget(endpoint: str, environ: Mapping[str, str]) -> bool:
    """Forget the token for an endpoint; whether there was one.

    Raises:
        InvalidRequest: the endpoint is not one, or others can read the file.
    """
    where = endpoints.parse(endpoint)
    path = own_files.credentials_file(environ)
    was_there = _key(where) in _read_plainly(path)
    if was_there:
        _change(endpoint, "", environ)
    return was_there


def _change(endpoint: str, token: str, environ: Mapping[str, str]) -> Path:
    path = own_files.credentials_file(environ)
    kept = _read_plainly(path)
    key = _key(endpoints.parse(endpoint))
    kept.pop(key, None)
    if token:
        kept[key] = token
    own_files.write_private(path, json.dumps(kept, indent=2) + "\n")
    return path


def _read_plainly(path: Path) -> dict[str, str]:
    try:
        return _read(path)
    except own_files.Exposed as exposed:
        raise errors.InvalidRequest(f"{exposed}.", reason="CREDENTIALS_EXPOSED") from None


def _read(path: Path) -> dict[str, str]:
    try:
        found = dict(json.loads(own_files.read_private(path) or "{}"))
    except (ValueError, TypeError):
        raise errors.InvalidRequest(
            f"{path} is not as `modelkeep login` writes it; remove it and log in again.",
            reason="BAD_CREDENTIALS",
        ) from None
    return {str(key): str(token) for key, token in found.items()}


def _key(where: endpoints.Endpoint) -> str:
    """A token for TLS is another than one for plaintext: it must not leak to the latter."""
    return f"https://{where.target}" if where.is_secure else where.target


def given_token(environ: Mapping[str, str]) -> str | Callable[[], str]:
    """The token that the environment names, or what reads it anew each time; '' for none."""
    named = environ.get(TOKEN_FILE, "")
    return environ.get(TOKEN, "").strip() or (credentials.token_in(Path(named)) if named else "")


def _path(text: str) -> Path | None:
    return Path(text) if text else None
