"""Which issuers of tokens are trusted, and what their tokens mean: the file that says so."""

import json
import tomllib
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from modelkeep.domain import addresses, errors

ALGORITHMS = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
    }
)
"""Asymmetric ones only: with a symmetric one, who can verify can also issue."""
_MAX_FILE_BYTES = 256 * 1024
_MAX_LEEWAY_S = 300


class _Wrong(ValueError):
    """What is wrong with the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One issuer of tokens.

    Attributes:
        issuer: the `iss` of its tokens, exactly; where discovery looks.
        audience: a token must be for one of these.
        principal_prefix: `user:` or `service:` and maybe more; stands before the user's name, so
            that no issuer can name another's users.
        jwks_uri: where its keys are; '' to ask discovery.
        user_claim: where the token says who it is for: names of nested objects, outermost first.
        groups_claim: the same for groups; empty for none.
        group_prefix: `group:` and maybe more; stands before each group's name.
        leeway_s: how far its clock and ours may differ, in seconds.
        algorithms: what its tokens may be signed with.
        ca_file: PEM file of the authorities that may vouch for it; None: those of the system.
        token_file: file with a token to show when its keys are asked for; None for none.
        keys_kept_s: how long keys go on to be good while it does not answer, in seconds.
    """

    issuer: str
    audience: tuple[str, ...]
    principal_prefix: str
    jwks_uri: str = ""
    user_claim: tuple[str, ...] = ("sub",)
    groups_claim: tuple[str, ...] = ()
    group_prefix: str = "group:"
    leeway_s: int = 30
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    ca_file: Path | None = None
    token_file: Path | None = None
    keys_kept_s: int = 86_400


def read(path: Path) -> tuple[Issuer, ...]:
    """The issuers that a TOML or JSON file lists under `issuer`.

    Raises:
        errors.FailedPrecondition: it cannot be read, or is not as it must be; the message says
            where and why.
    """
    try:
        issuers = tuple(_issuer(number, entry) for number, entry in enumerate(_entries(path), 1))
        _refuse_overlaps(issuers)
    except (OSError, ValueError, RecursionError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else failure
        raise errors.FailedPrecondition(
            f"MODELKEEP_OIDC_FILE {path}: {why}", reason="BAD_OIDC_FILE"
        ) from None
    return issuers


def require_secure(url: str) -> str:
    """The URL, if what comes from it can be trusted: https, or plain http on this machine.

    Raises ValueError.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.username is not None or parts.fragment:
        raise _Wrong(f"{url!r} is not a URL with a host, and without user and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and addresses.is_loopback(host)):
        raise _Wrong(f"{url!r} is not https, so that anybody on the way could change it")
    return url


def _entries(path: Path) -> list[Any]:
    found = _parsed(path)
    entries = found.pop("issuer", None)
    if found or not isinstance(entries, list) or not entries:
        raise _Wrong("expected a list of tables named `issuer`, and nothing else")
    return entries


def _parsed(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise _Wrong(f"is larger than {_MAX_FILE_BYTES} bytes")
    text = raw.decode()
    found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    if not isinstance(found, dict):
        raise _Wrong("expected an object")
    return found


def _issuer(number: int, entry: Any) -> Issuer:
    where = f"issuer {number}"
    if not isinstance(entry, dict):
        raise _Wrong(f"{where}: expected a table")
    unknown = sorted(entry.keys() - _READERS.keys())
    if unknown:
        raise _Wrong(f"{where}: there is no setting {unknown[0]!r}")
    missing = sorted(f.name for f in fields(Issuer) if f.default is MISSING and f.name not in entry)
    if missing:
        raise _Wrong(f"{where}: {missing[0]} is missing")
    return Issuer(**{name: _read(where, name, value) for name, value in entry.items()})


def _read(where: str, name: str, value: Any) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as failure:
        raise _Wrong(f"{where}: {name}: {failure}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _Wrong("expected text")
    return value


def _prefix(*kinds: str) -> Callable[[Any], str]:
    def read_prefix(value: Any) -> str:
        text = _text(value)
        if not text.startswith(kinds) or " " in text:
            raise _Wrong(f"expected {' or '.join(kinds)}, and maybe more after it")
        return text

    return read_prefix


def _url(value: Any) -> str:
    return require_secure(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    """Several texts, or one."""
    several = value if isinstance(value, list) else [value]
    if not several:
        raise _Wrong("expected at least one")
    return tuple(map(_text, several))


def _algorithms(value: Any) -> tuple[str, ...]:
    found = _texts(value)
    wrong = [name for name in found if name not in ALGORITHMS]
    if wrong:
        raise _Wrong(f"{wrong[0]!r} is none of {', '.join(sorted(ALGORITHMS))}")
    return found


def _path(value: Any) -> Path:
    return Path(_text(value))


def _seconds(shortest: int, longest: int) -> Callable[[Any], int]:
    def read_seconds(value: Any) -> int:
        if type(value) is not int or not shortest <= value <= longest:
            raise _Wrong(f"expected a whole number of seconds, {shortest} to {longest}")
        return value

    return read_seconds


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "issuer": _url,
    "audience": _texts,
    "principal_prefix": _prefix("user:", "service:"),
    "jwks_uri": _url,
    "user_claim": _texts,
    "groups_claim": _texts,
    "group_prefix": _prefix("group:"),
    "leeway_s": _seconds(0, _MAX_LEEWAY_S),
    "algorithms": _algorithms,
    "ca_file": _path,
    "token_file": _path,
    "keys_kept_s": _seconds(3600, 30 * 86_400),
}


def _refuse_overlaps(issuers: tuple[Issuer, ...]) -> None:
    """Refuse two issuers that could name the same user: `a:` with `b:x` is `a:b:` with `x`."""
    for number, one in enumerate(issuers):
        for other in issuers[number + 1 :]:
            if one.issuer == other.issuer:
                raise _Wrong(f"{one.issuer!r} is listed twice")
            prefixes = (one.principal_prefix, other.principal_prefix)
            if prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0]):
                raise _Wrong(
                    f"the principal_prefix of {one.issuer!r} and of {other.issuer!r} begin alike,"
                    " so that one could name the other's users"
                )
            _refuse_shared_groups(one, other)


def _refuse_shared_groups(one: Issuer, other: Issuer) -> None:
    if not (one.groups_claim and other.groups_claim):
        return
    if one.group_prefix.startswith(other.group_prefix) or other.group_prefix.startswith(
        one.group_prefix
    ):
        raise _Wrong(
            f"the group_prefix of {one.issuer!r} and of {other.issuer!r} begin alike, so that one"
            " could put its users into the other's groups"
        )
