"""The only reader of the environment.

Every `MODELKEEP_*` key is listed here once. A key nobody knows refuses to start, because a
misspelt setting that is silently ignored is found in production.
"""

import base64
import binascii
import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, NewType, get_args

PREFIX = "MODELKEEP_"
CLIENT_KEYS = frozenset(
    {
        "MODELKEEP_ENDPOINT",
        "MODELKEEP_TOKEN",
        "MODELKEEP_TOKEN_FILE",
        "MODELKEEP_ALLOW_PLAINTEXT_TOKEN",
        "MODELKEEP_TLS_CA_FILE",
        "MODELKEEP_TLS_CLIENT_CERT_FILE",
        "MODELKEEP_TLS_CLIENT_KEY_FILE",
    }
)
"""Keys that the client reads; the server allows them to be set."""
TEST_PREFIX = "MODELKEEP_TEST_"
_DATABASE_KEY = "MODELKEEP_DATABASE_URL"
_KEYS_OF_SECRETS = "MODELKEEP_SECRET_KEY"
DEFAULT_LISTEN = "127.0.0.1:7420"


class ConfigError(Exception):
    """The configuration cannot be used; the message says which key and why."""


class CannotServe(Exception):
    """What the configuration names cannot be served from; the message says why and what to do."""


def _boolean(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in values:
        raise ValueError("expected true or false")
    return values[text.lower()]


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ValueError("expected a whole number above 0")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdigit():
        raise ValueError("expected a whole number, 0 or more")
    return int(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(filter(None, choices))}")
        return text

    return parse


def _host_and_port(text: str) -> str:
    if not re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", text):
        raise ValueError("expected host:port, without a scheme or a path")
    return text


def _address(text: str) -> str:
    host, _, port = _host_and_port(text).rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("expected host:port, where port 0 takes a free one")
    return text


def _bucket(text: str) -> str:
    label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
    if not re.fullmatch(rf"(?=.{{3,63}}$){label}(?:\.{label})*", text):
        raise ValueError("expected 3 to 63 lower-case letters, digits, dots and hyphens")
    return text


def _services(text: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in text.split(","))
    if not chosen or not chosen <= SERVICES:
        raise ValueError(f"expected some of {', '.join(sorted(SERVICES))}, separated by commas")
    return chosen


_KEY_BYTES = 32
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _secret_keys(text: str) -> tuple[bytes, ...]:
    try:
        keys = tuple(base64.b64decode(part.strip(), validate=True) for part in text.split(","))
    except binascii.Error:
        keys = ()
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise ValueError("expected 32 bytes in base64, or several of those separated by commas")
    return keys


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"expected networks such as 10.1.0.0/16 and commas; {error}") from None


SERVICES = frozenset({"registry", "artifact"})
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]
AnonymousRole = Literal["", "reader", "contributor", "approver", "deployer", "admin", "auditor"]
"""What who presents nothing may do; '' for nothing at all."""
TlsClientAuth = Literal["off", "optional", "required"]
OrNone = NewType("OrNone", int)
"""A number of which 0 means: not at all."""
HostAndPort = NewType("HostAndPort", str)
Address = NewType("Address", str)
"""Where to listen; '' for not at all."""
BucketName = NewType("BucketName", str)
SecretKeys = NewType("SecretKeys", tuple[bytes, ...])
"""The first encrypts, all decrypt."""
Networks = NewType("Networks", tuple[Network, ...])
_PARSERS: dict[object, Callable[[str], object]] = {
    str: str,
    bool: _boolean,
    int: _positive,
    OrNone: _whole,
    HostAndPort: _host_and_port,
    Address: _address,
    BucketName: _bucket,
    SecretKeys: _secret_keys,
    Networks: _networks,
    frozenset[str]: _services,
    LogLevel: _one_of(*get_args(LogLevel)),
    LogFormat: _one_of(*get_args(LogFormat)),
    AnonymousRole: _one_of(*get_args(AnonymousRole)),
    TlsClientAuth: _one_of(*get_args(TlsClientAuth)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the server needs to know; each field is the key `MODELKEEP_<FIELD>`."""

    database_url: str = field(repr=False)
    s3_endpoint: HostAndPort
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    s3_bucket: BucketName = BucketName("modelkeep")
    s3_region: str = "us-east-1"
    s3_secure: bool = True
    s3_public_endpoint: HostAndPort = HostAndPort("")
    s3_public_secure: bool = True
    transfer_url_lifetime_s: int = 900
    listen: str = DEFAULT_LISTEN
    admin_listen: Address = Address("")
    allow_plaintext: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    tls_client_auth: TlsClientAuth = "off"
    tls_reload_interval_s: int = 10
    mtls_listen: Address = Address("")
    mtls_principals: str = ""
    oidc_file: str = ""
    anonymous_role: AnonymousRole = ""
    access_cache_s: int = 5
    services: frozenset[str] = SERVICES
    workers: int = 1
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
    database_pool_size: int = 16
    s3_threads: int = 16
    upload_memory_mib: int = 64
    upload_stall_s: int = 60
    limit_running_calls: OrNone = OrNone(16_384)
    limit_small_calls_per_s: OrNone = OrNone(5000)
    limit_small_calls_at_once: OrNone = OrNone(512)
    limit_expensive_calls_per_s: OrNone = OrNone(1000)
    limit_expensive_calls_at_once: OrNone = OrNone(64)
    limit_streams_per_s: OrNone = OrNone(1000)
    limit_streams_at_once: OrNone = OrNone(256)
    limit_watches_per_s: OrNone = OrNone(2000)
    limit_watches_at_once: OrNone = OrNone(10_000)
    limit_streams_per_connection: OrNone = OrNone(1000)
    limit_connections: OrNone = OrNone(8192)
    limit_deadline_s: OrNone = OrNone(3600)
    limit_reader_stall_s: OrNone = OrNone(300)
    limit_upload_kib_per_s: OrNone = OrNone(16)
    drain_timeout_s: int = 30
    gc_grace_s: int = 7 * 86_400
    orphan_grace_s: int = 8 * 86_400
    upload_retention_s: int = 7 * 86_400
    deleted_retention_s: OrNone = OrNone(30 * 86_400)
    request_retention_s: int = 7 * 86_400
    reap_interval_s: int = 60
    scrub_mib_per_s: OrNone = OrNone(8)
    scrub_every_h: int = 168
    new_namespace_stored_gib: OrNone = OrNone(0)
    new_namespace_logical_gib: OrNone = OrNone(0)
    new_namespace_open_uploads: OrNone = OrNone(0)
    event_retention_s: int = 30 * 86_400
    audit_signing_key: SecretKeys = field(default=SecretKeys(()), repr=False)
    audit_checkpoint_interval_s: int = 300
    secret_key: SecretKeys = field(default=SecretKeys(()), repr=False)
    webhook_allowed_networks: Networks = Networks(())
    webhook_allow_http: bool = False
    webhook_timeout_s: int = 15
    webhook_at_once: int = 64
    webhook_first_retry_s: int = 5
    webhook_longest_retry_s: int = 3600
    webhook_give_up_after_s: int = 86_400
    webhook_disable_after_s: int = 5 * 86_400


def database_url(environ: Mapping[str, str]) -> str:
    """The database alone, for what needs no store; raises `ConfigError`."""
    _refuse_unknown(environ, _known().keys() | CLIENT_KEYS)
    if _DATABASE_KEY not in environ:
        raise ConfigError(f"not set: {_DATABASE_KEY}")
    return environ[_DATABASE_KEY]


def keys_of_secrets(environ: Mapping[str, str]) -> SecretKeys:
    """The keys that secrets are kept with, the one that encrypts first; raises `ConfigError`."""
    if _KEYS_OF_SECRETS not in environ:
        raise ConfigError(f"not set: {_KEYS_OF_SECRETS}")
    try:
        return SecretKeys(_secret_keys(environ[_KEYS_OF_SECRETS]))
    except ValueError as error:
        raise ConfigError(f"{_KEYS_OF_SECRETS} is not shown: {error}") from None


def without_database(environ: Mapping[str, str]) -> Config:
    """As `from_environ`, for what needs the store only: a database that is not set is ''."""
    return from_environ({_DATABASE_KEY: "", **environ})


def from_environ(environ: Mapping[str, str]) -> Config:
    """Build the configuration, or raise `ConfigError` naming the first thing that is wrong."""
    known = _known()
    _refuse_unknown(environ, known.keys() | CLIENT_KEYS)
    values: dict[str, Any] = {}
    for key, setting in known.items():
        if key not in environ:
            continue
        try:
            values[setting.name] = _PARSERS[setting.type](environ[key])
        except ValueError as error:
            shown = repr(environ[key]) if setting.repr else "not shown"
            raise ConfigError(f"{key} is {shown}: {error}") from None
    missing = sorted(_required() - values.keys())
    if missing:
        keys = ", ".join(PREFIX + name.upper() for name in missing)
        raise ConfigError(f"not set: {keys}. `modelkeep dev` needs none of them.")
    return Config(**values)


def _known() -> dict[str, Field[Any]]:
    return {PREFIX + field.name.upper(): field for field in fields(Config)}


def _required() -> set[str]:
    return {"database_url", "s3_endpoint", "s3_access_key", "s3_secret_key"}


def _refuse_unknown(environ: Mapping[str, str], known: set[str]) -> None:
    for key in sorted(environ):
        if key.startswith(PREFIX) and not key.startswith(TEST_PREFIX) and key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
            raise ConfigError(f"unknown setting {key}; did you mean {near}?")
