"""JSON Web Tokens taken apart without believing them (RFC 7519), more strictly than most do."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

MAX_CHARS = 16 * 1024
_MAX_ID_CHARS = 256
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Malformed(ValueError):
    """It is no token that anybody should have issued; the message says why."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself; nothing of it is to be believed yet.

    Attributes:
        algorithm: what it says it is signed with.
        key_id: which key it says has signed it; '' if it does not say.
        issuer: who it says has issued it.
    """

    algorithm: str
    key_id: str
    issuer: str


def looks_like_one(bearer: str) -> bool:
    """Whether it is written as a JSON Web Token: three parts, the first a JSON object."""
    return bearer.startswith("ey") and bearer.count(".") == 2  # noqa: PLR2004 - three parts


def open_unverified(token: str) -> Unverified:
    """What the token says of itself; raises `Malformed`.

    A header may name a key, and that is all: `jku`, `x5u`, `jwk` and `x5c` are not looked at.
    """
    if len(token) > MAX_CHARS:
        raise Malformed(f"is longer than {MAX_CHARS} characters")
    if _SHAPE.fullmatch(token) is None:
        raise Malformed("is not three parts in base64url")
    header, claims = (_object(part) for part in token.split(".")[:2])
    if "crit" in header or "b64" in header:
        raise Malformed("asks for an extension that is not known here")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Malformed("is of another type than a JWT")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str) or len(key_id) > _MAX_ID_CHARS:
        raise Malformed("names its key in an odd way")
    return Unverified(_text(header, "alg"), key_id, _text(claims, "iss"))


def _object(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
        found = json.loads(
            raw.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse
        )
    except Malformed:
        raise
    except (binascii.Error, ValueError, RecursionError):
        raise Malformed("has a part that is no JSON") from None
    if not isinstance(found, dict):
        raise Malformed("has a part that is no JSON object")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values counts is a matter of taste among readers, so neither does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("says one thing twice")
    return found


def _refuse(constant: str) -> None:
    raise Malformed(f"has {constant}, which JSON has not")


def _text(found: dict[str, Any], name: str) -> str:
    if not isinstance(found.get(name), str):
        raise Malformed(f"does not say {name}")
    return str(found[name])
