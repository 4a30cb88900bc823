"""How callers get in, built from the configuration: the doors, TLS, and whose word is taken."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from modelkeep import config as configuration
from modelkeep.authn import certificates, issuers, jwks, jwt
from modelkeep.authz import identity
from modelkeep.transport import tls

Config = configuration.Config


@dataclass(frozen=True, slots=True)
class Entrance:
    """What the server listens on, and by what it knows who calls.

    Attributes:
        doors: where it listens; the first is the public one.
        renewing: TLS, to be renewed now and then; None if all is plaintext.
        ways: the ways in other than our own tokens, in the order in which they are asked.
    """

    doors: tuple[tls.Door, ...]
    renewing: tls.Renewing | None
    ways: tuple[identity.Authenticator, ...]


def opened(config: Config, stack: AsyncExitStack) -> Entrance:
    """The entrance that the configuration describes; what it needs is closed with the stack.

    Raises:
        config.ConfigError: settings do not go together.
        errors.FailedPrecondition: a file is not good, or plaintext would leave this machine.
    """
    _require_sense(config)
    renewing = _renewing(config)
    doors = _doors(config, renewing)
    tls.require_private(doors, plaintext_allowed=config.allow_plaintext)
    return Entrance(doors, renewing, _ways(config, stack))


def _renewing(config: Config) -> tls.Renewing | None:
    if not config.tls_cert_file:
        return None
    client_ca = Path(config.tls_client_ca_file) if config.tls_client_ca_file else None
    return tls.Renewing(tls.Files(Path(config.tls_cert_file), Path(config.tls_key_file), client_ca))


def _doors(config: Config, renewing: tls.Renewing | None) -> tuple[tls.Door, ...]:
    if renewing is None:
        return (tls.Door(config.listen),)
    required = config.tls_client_auth == "required"
    public = tls.Door(config.listen, renewing.credentials(clients_required=required))
    if config.tls_client_auth != "optional":
        return (public,)
    second = renewing.credentials(clients_required=True)
    return public, tls.Door(config.mtls_listen, second)


def _ways(config: Config, stack: AsyncExitStack) -> tuple[identity.Authenticator, ...]:
    ways: list[identity.Authenticator] = []
    if config.oidc_file:
        trusted = issuers.read(Path(config.oidc_file))
        tokens = jwt.TokenWay([(issuer, jwks.KeySet(issuer)) for issuer in trusted])
        stack.push_async_callback(tokens.close)
        ways.append(tokens)
    rules = _rules(config)
    if rules:
        ways.append(certificates.CertificateWay(rules))
    return tuple(ways)


def _rules(config: Config) -> Mapping[str, str]:
    try:
        return certificates.read_rules(config.mtls_principals)
    except ValueError as failure:
        raise configuration.ConfigError(f"MODELKEEP_MTLS_PRINCIPALS: {failure}") from None


def _require_sense(config: Config) -> None:
    """Raise `config.ConfigError` if settings need each other and do not have each other."""
    asks = config.tls_client_auth != "off"
    nonsense = {
        "MODELKEEP_TLS_CERT_FILE and MODELKEEP_TLS_KEY_FILE go together; set both or none": bool(
            config.tls_cert_file
        )
        != bool(config.tls_key_file),
        "MODELKEEP_TLS_CLIENT_AUTH needs TLS; set MODELKEEP_TLS_CERT_FILE and"
        " MODELKEEP_TLS_KEY_FILE": asks and not config.tls_cert_file,
        "MODELKEEP_TLS_CLIENT_AUTH needs MODELKEEP_TLS_CLIENT_CA_FILE, the authorities that may"
        " vouch for clients": asks and not config.tls_client_ca_file,
        "MODELKEEP_TLS_CLIENT_CA_FILE and MODELKEEP_MTLS_PRINCIPALS mean nothing while no client is"
        " asked; set MODELKEEP_TLS_CLIENT_AUTH to optional or required": not asks
        and bool(config.tls_client_ca_file or config.mtls_principals),
        "MODELKEEP_TLS_CLIENT_AUTH=optional needs MODELKEEP_MTLS_LISTEN, the address at which"
        " clients show a certificate; only that mode has one": (
            config.tls_client_auth == "optional"
        )
        != bool(config.mtls_listen),
    }
    for sentence, is_so in nonsense.items():
        if is_so:
            raise configuration.ConfigError(sentence)
