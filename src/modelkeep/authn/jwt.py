"""Who a token of a trusted issuer is for: signature, issuer, audience and times verified."""

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from modelkeep.authn import issuers, jwks, keys, tokens
from modelkeep.authz import identity
from modelkeep.domain import access, errors, limits

_REQUIRED = ["exp", "iss", "aud"]


class TokenWay:
    """The way in with a JSON Web Token of a configured issuer.

    Args:
        trusted: the issuers and their keys.
    """

    def __init__(self, trusted: Sequence[tuple[issuers.Issuer, jwks.KeySet]]) -> None:
        self._trusted = {issuer.issuer: (issuer, key_set) for issuer, key_set in trusted}

    async def identify(self, presented: identity.Presented) -> identity.Identity | None:
        """Who the token is for; None if what came is no JSON Web Token.

        Raises:
            errors.Unauthenticated: the token is not good; the reason is one of TOKEN_MALFORMED,
                TOKEN_UNTRUSTED_ISSUER, TOKEN_BAD_SIGNATURE, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID,
                TOKEN_WRONG_AUDIENCE, TOKEN_INCOMPLETE.
            errors.Unavailable: the issuer's keys cannot be had now (ISSUER_UNAVAILABLE).
        """
        token = presented.bearer
        if not tokens.looks_like_one(token):
            return None
        try:
            said = tokens.open_unverified(token)
        except tokens.Malformed as failure:
            raise _refusal(f"the token {failure}", "TOKEN_MALFORMED") from None
        if said.issuer not in self._trusted:
            raise _refusal(
                "the token is of an issuer that this server does not trust",
                "TOKEN_UNTRUSTED_ISSUER",
            )
        issuer, key_set = self._trusted[said.issuer]
        key = await _key(issuer, key_set, said)
        return _identity(issuer, _claims(token, issuer, key, said.algorithm))

    async def close(self) -> None:
        """Stop asking issuers."""
        for _, key_set in self._trusted.values():
            await key_set.close()


async def _key(issuer: issuers.Issuer, key_set: jwks.KeySet, said: tokens.Unverified) -> keys.Key:
    # What the token says chooses among what the configuration allows, and never adds to it.
    key = None
    if said.algorithm in issuer.algorithms:
        key = await key_set.find(said.key_id, said.algorithm)
    if key is None:
        raise _refusal(
            "the token is not signed by any key of its issuer with an algorithm that is allowed",
            "TOKEN_BAD_SIGNATURE",
        )
    return key


def _claims(token: str, issuer: issuers.Issuer, key: keys.Key, algorithm: str) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key.material,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_s,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise _refusal("the token has expired; get a new one", "TOKEN_EXPIRED") from None
    except jwt.ImmatureSignatureError:
        raise _refusal(
            "the token is not good yet; do the clocks of issuer and server agree?",
            "TOKEN_NOT_YET_VALID",
        ) from None
    except jwt.InvalidAudienceError:
        raise _refusal(
            f"the token is for somebody else; ask for one whose audience is {issuer.audience[0]}",
            "TOKEN_WRONG_AUDIENCE",
        ) from None
    except jwt.MissingRequiredClaimError as failure:
        raise _refusal(f"the token does not say {failure.claim}", "TOKEN_INCOMPLETE") from None
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
        raise _refusal("the token's signature is not good", "TOKEN_BAD_SIGNATURE") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        raise _refusal("the token has a claim that is none", "TOKEN_MALFORMED") from None


def _identity(issuer: issuers.Issuer, claims: Mapping[str, Any]) -> identity.Identity:
    principal = _named(issuer.principal_prefix, _claim(claims, issuer.user_claim))
    if issuer.user_claim == ("email",) and claims.get("email_verified", True) is not True:
        raise _refusal("the token's e-mail address is not verified", "TOKEN_INCOMPLETE")
    if not principal:
        raise _refusal(
            f"the token does not say who it is for: {'.'.join(issuer.user_claim)} is missing, or"
            " is no name",
            "TOKEN_INCOMPLETE",
        )
    return identity.Identity(principal, _groups(issuer, claims))


def _groups(issuer: issuers.Issuer, claims: Mapping[str, Any]) -> frozenset[str]:
    """What the token says its bearer belongs to; what is no name of a group is left out."""
    if not issuer.groups_claim:
        return frozenset()
    found = _claim(claims, issuer.groups_claim)
    listed = found if isinstance(found, list) else [found]
    return frozenset(filter(None, (_named(issuer.group_prefix, name) for name in listed)))


def _claim(claims: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = claims
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _named(prefix: str, name: Any) -> str:
    """The principal of that name; '' if no role could ever be given to it."""
    principal = f"{prefix}{name}" if isinstance(name, str) and name else ""
    fits = len(principal) <= limits.NAME_CHARS and access.is_nameable(principal)
    return principal if fits else ""


def _refusal(message: str, reason: str) -> errors.Unauthenticated:
    return errors.Unauthenticated(message, reason=reason)
