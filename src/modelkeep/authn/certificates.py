"""Who a client's certificate is for: its names, as TLS verified them, and whom each one means."""

import functools
from collections.abc import Mapping

from cryptography import x509

from modelkeep.authz import identity
from modelkeep.domain import access, errors

KINDS = ("URI", "DNS", "EMAIL")
_KIND_OF: tuple[tuple[type[x509.GeneralName], str], ...] = (
    (x509.UniformResourceIdentifier, "URI"),
    (x509.DNSName, "DNS"),
    (x509.RFC822Name, "EMAIL"),
)


def read_rules(text: str) -> Mapping[str, str]:
    """Principals by name: `URI:spiffe://prod/ci=service:ci, DNS:ci.example.com=service:ci`.

    Raises ValueError; the message says which rule is wrong.
    """
    rules: dict[str, str] = {}
    for rule in filter(None, map(str.strip, text.split(","))):
        name, _, principal = rule.rpartition("=")
        kind, _, value = name.partition(":")
        if kind not in KINDS or not value or "*" in value or not value.isprintable():
            raise ValueError(f"{rule!r}: expected URI:, DNS: or EMAIL:, and a name without *")
        if principal.startswith("group:") or not access.is_nameable(principal):
            raise ValueError(f"{rule!r}: expected =user:NAME or =service:NAME behind it")
        if rules.setdefault(plain(kind, value), principal) != principal:
            raise ValueError(f"{rule!r}: the name means somebody else already")
    return rules


def plain(kind: str, value: str) -> str:
    """One spelling of a name: hosts in lower case, all else as it is.

    Args:
        kind: one of `KINDS`.
        value: the name, as the certificate has it.
    """
    if kind == "DNS":
        return f"{kind}:{value.lower()}"
    if kind == "EMAIL":
        local, at, host = value.rpartition("@")
        return f"{kind}:{local}{at}{host.lower()}"
    return f"{kind}:{value}"


@functools.lru_cache(maxsize=1024)
def names_in(certificate: bytes) -> tuple[str, ...]:
    """The names in a certificate in PEM that was verified, as `URI:...`, `DNS:...`, `EMAIL:...`.

    Read here and not taken from gRPC, which cuts a name off at a NUL. The common name is none:
    nobody vouches for its meaning. A certificate with a name that cannot be read has none.
    """
    try:
        extensions = x509.load_pem_x509_certificate(certificate).extensions
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(
        plain(kind, str(name.value)) for name in found for of, kind in _KIND_OF if type(name) is of
    )


class CertificateWay:
    """The way in with a client certificate, where nothing else is presented.

    Args:
        rules: principals by name, from `read_rules`.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = rules

    async def identify(self, presented: identity.Presented) -> identity.Identity | None:
        """Whom the certificate's names mean; None if there is none, or a token counts instead.

        Raises:
            errors.Unauthenticated: none of its names is known (CERTIFICATE_UNKNOWN), or they mean
                different principals (CERTIFICATE_AMBIGUOUS).
        """
        if presented.bearer or not presented.certificate_names:
            return None
        meant = {self._rules[name] for name in presented.certificate_names if name in self._rules}
        if len(meant) == 1:
            return identity.Identity(meant.pop())
        if meant:
            raise errors.Unauthenticated(
                f"the client's certificate means {' and '.join(sorted(meant))}; one must be left",
                reason="CERTIFICATE_AMBIGUOUS",
            )
        raise errors.Unauthenticated(
            "the client's certificate is good, and none of its names is in "
            f"MODELKEEP_MTLS_PRINCIPALS: {', '.join(presented.certificate_names)[:500]}",
            reason="CERTIFICATE_UNKNOWN",
        )
