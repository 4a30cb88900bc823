"""Unknown, missing and malformed settings are refused by name."""

import base64
from pathlib import Path

import pytest

from modelkeep import config

COMPLETE = {
    "MODELKEEP_DATABASE_URL": "postgresql://u:secret@h/d",
    "MODELKEEP_S3_ENDPOINT": "s3.example:9000",
    "MODELKEEP_S3_ACCESS_KEY": "access",
    "MODELKEEP_S3_SECRET_KEY": "hidden",
}


def test_the_four_required_keys_suffice() -> None:
    chosen = config.from_environ(COMPLETE)
    assert chosen.database_url == COMPLETE["MODELKEEP_DATABASE_URL"]
    assert chosen.listen == "127.0.0.1:7420"
    assert chosen.s3_bucket == "modelkeep"
    assert chosen.s3_secure is True
    assert chosen.services == {"registry", "artifact"}


def test_the_store_alone_needs_no_database() -> None:
    stored = {key: value for key, value in COMPLETE.items() if "S3" in key}
    assert config.without_database(stored).s3_endpoint == COMPLETE["MODELKEEP_S3_ENDPOINT"]
    assert config.without_database(COMPLETE) == config.from_environ(COMPLETE)
    del stored["MODELKEEP_S3_SECRET_KEY"]
    with pytest.raises(config.ConfigError, match="MODELKEEP_S3_SECRET_KEY"):
        config.without_database(stored)


def test_every_kind_of_value_is_read() -> None:
    chosen = config.from_environ(
        COMPLETE
        | {
            "MODELKEEP_S3_SECURE": "No",
            "MODELKEEP_S3_THREADS": "3",
            "MODELKEEP_SERVICES": "artifact",
            "MODELKEEP_S3_BUCKET": "models",
        }
    )
    assert chosen.s3_secure is False
    assert chosen.s3_threads == 3
    assert chosen.services == {"artifact"}
    assert chosen.s3_bucket == "models"


@pytest.mark.parametrize("endpoint", ["s3", "s3.example:9000", "127.0.0.1:1", "[::1]:9000"])
@pytest.mark.parametrize("bucket", ["abc", "test-0123", "a.b", "a" * 63])
def test_a_store_is_named_as_it_is(endpoint: str, bucket: str) -> None:
    chosen = config.from_environ(
        COMPLETE | {"MODELKEEP_S3_ENDPOINT": endpoint, "MODELKEEP_S3_BUCKET": bucket}
    )
    assert (chosen.s3_endpoint, chosen.s3_bucket) == (endpoint, bucket)


def test_other_variables_are_none_of_its_business() -> None:
    others = {"PATH": "/bin", "MODELKEEPER": "x", "modelkeep_listen": "y"}
    client = {"MODELKEEP_ENDPOINT": "h:1", "MODELKEEP_TEST_S3_ENDPOINT": "h:2"}
    assert config.from_environ(COMPLETE | others | client) == config.from_environ(COMPLETE)


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("MODELKEEP_LISTN", "MODELKEEP_LISTEN"),
        ("MODELKEEP_DB_URL", "MODELKEEP_DATABASE_URL"),
        ("MODELKEEP_S3_BUCKETS", "MODELKEEP_S3_BUCKET"),
        ("MODELKEEP_ENDPOINTS", "MODELKEEP_ENDPOINT"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(unknown: str, nearest: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.from_environ(COMPLETE | {unknown: "x"})
    assert str(refused.value) == f"unknown setting {unknown}; did you mean {nearest}?"


def test_a_key_like_no_other_is_refused_all_the_same() -> None:
    with pytest.raises(config.ConfigError, match="unknown setting MODELKEEP_ZZZZZZ"):
        config.from_environ(COMPLETE | {"MODELKEEP_ZZZZZZ": "x"})


@pytest.mark.parametrize("address", ["127.0.0.1:7421", "0.0.0.0:0", "[::1]:7421"])
def test_the_admin_port_is_off_unless_it_is_named(address: str) -> None:
    assert not config.from_environ(COMPLETE).admin_listen
    told = config.from_environ(COMPLETE | {"MODELKEEP_ADMIN_LISTEN": address})
    assert told.admin_listen == address


@pytest.mark.parametrize("rate", [0, 1, 200])
def test_the_scrub_has_a_rate_or_is_off(rate: int) -> None:
    assert config.from_environ(COMPLETE).scrub_mib_per_s == 8
    told = config.from_environ(COMPLETE | {"MODELKEEP_SCRUB_MIB_PER_S": str(rate)})
    assert told.scrub_mib_per_s == rate


@pytest.mark.parametrize("missing", sorted(COMPLETE))
def test_a_missing_key_is_named(missing: str) -> None:
    environ = {key: value for key, value in COMPLETE.items() if key != missing}
    with pytest.raises(config.ConfigError, match=f"not set: {missing}\\."):
        config.from_environ(environ)


def test_all_missing_keys_are_named_at_once() -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.from_environ({})
    assert all(key in str(refused.value) for key in COMPLETE)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("MODELKEEP_S3_SECURE", "maybe", "expected true or false"),
        ("MODELKEEP_S3_SECURE", "", "expected true or false"),
        ("MODELKEEP_S3_THREADS", "0", "whole number above 0"),
        ("MODELKEEP_S3_THREADS", "-4", "whole number above 0"),
        ("MODELKEEP_DATABASE_POOL_SIZE", "many", "whole number above 0"),
        ("MODELKEEP_DRAIN_TIMEOUT_S", "1.5", "whole number above 0"),
        ("MODELKEEP_SCRUB_MIB_PER_S", "-1", "whole number, 0 or more"),
        ("MODELKEEP_SCRUB_EVERY_H", "0", "whole number above 0"),
        ("MODELKEEP_SERVICES", "registry,websites", "artifact, registry"),
        ("MODELKEEP_SERVICES", "", "artifact, registry"),
        ("MODELKEEP_S3_ENDPOINT", "https://s3.example", "host:port, without a scheme"),
        ("MODELKEEP_S3_ENDPOINT", "s3.example:9000/models", "host:port, without a scheme"),
        ("MODELKEEP_S3_ENDPOINT", "", "host:port, without a scheme"),
        ("MODELKEEP_ADMIN_LISTEN", "7421", "host:port"),
        ("MODELKEEP_ADMIN_LISTEN", "", "host:port"),
        ("MODELKEEP_ADMIN_LISTEN", "127.0.0.1", "host:port"),
        ("MODELKEEP_ADMIN_LISTEN", "http://127.0.0.1:1", "host:port"),
        ("MODELKEEP_S3_BUCKET", "Bad_Bucket!", "lower-case letters"),
        ("MODELKEEP_S3_BUCKET", "a..b", "lower-case letters"),
        ("MODELKEEP_S3_BUCKET", "a.-b", "lower-case letters"),
        ("MODELKEEP_S3_BUCKET", "ab", "3 to 63"),
        ("MODELKEEP_S3_BUCKET", "a" * 64, "3 to 63"),
    ],
)
def test_a_bad_value_names_key_value_and_what_is_expected(
    key: str, value: str, reason: str
) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.from_environ(COMPLETE | {key: value})
    assert str(refused.value).startswith(f"{key} is {value!r}: ")
    assert reason in str(refused.value)


def test_secrets_stay_out_of_the_representation() -> None:
    shown = repr(config.from_environ(COMPLETE))
    assert "secret@" not in shown
    assert "hidden" not in shown
    assert "access" not in shown.replace("access_cache_s", "")


def test_secret_keys_are_read_and_never_shown() -> None:
    first, second = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
    chosen = config.from_environ(COMPLETE | {"MODELKEEP_SECRET_KEY": f"{first}, {second}"})
    assert chosen.secret_key == (b"a" * 32, b"b" * 32)
    assert "aaaa" not in repr(chosen)
    for bad in ("", "short-secret", first[:-8], f"{first},", "!" * 44):
        with pytest.raises(config.ConfigError, match="MODELKEEP_SECRET_KEY") as refused:
            config.from_environ(COMPLETE | {"MODELKEEP_SECRET_KEY": bad})
        assert not bad or bad not in str(refused.value)


def test_networks_are_read() -> None:
    key = "MODELKEEP_WEBHOOK_ALLOWED_NETWORKS"
    chosen = config.from_environ(COMPLETE | {key: "10.1.0.0/16, fd00::/8"})
    assert list(map(str, chosen.webhook_allowed_networks)) == ["10.1.0.0/16", "fd00::/8"]
    with pytest.raises(config.ConfigError, match=key):
        config.from_environ(COMPLETE | {key: "10.1.0.1/16"})


def test_every_key_is_documented() -> None:
    told = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    keys = {*config._known(), *config.CLIENT_KEYS}
    assert {key for key in keys if f"`{key}`" not in told} == set()


def test_the_ways_of_asking_for_certificates_are_read() -> None:
    key = "MODELKEEP_TLS_CLIENT_AUTH"
    assert config.from_environ(COMPLETE).tls_client_auth == "off"
    assert config.from_environ(COMPLETE | {key: "optional"}).tls_client_auth == "optional"
    with pytest.raises(config.ConfigError, match="off, optional, required"):
        config.from_environ(COMPLETE | {key: "maybe"})
