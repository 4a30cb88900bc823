"""Options read from the command line."""

from datetime import UTC, datetime

import click
import pytest

from modelkeep.cli import units, values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-3", -3),
        ("+3", 3),
        ("0.5", 0.5),
        ("1e-4", 1e-4),
        ("true", True),
        ("False", False),
        ("adamw", "adamw"),
        ("", ""),
        ('"42"', "42"),
        ("'true'", "true"),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("0x10", "0x10"),
        (str(2**63 - 1), 2**63 - 1),
        ("a=b", "a=b"),
    ],
)
def test_parameters_are_typed(text: str, value: values.Scalar) -> None:
    typed = values.typed(text)
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1024", 1024),
        ("7B", 7),
        ("3kB", 3000),
        ("1.5 TB", 1_500_000_000_000),
        ("500GiB", 500 << 30),
        ("2tib", 2 << 40),
        ("0.5KiB", 512),
        ("none", 0),
    ],
)
def test_limits_of_bytes_are_read_in_any_unit(text: str, size_bytes: int) -> None:
    assert values.limit(text, values.size_bytes) == size_bytes


@pytest.mark.parametrize("text", ["", "GiB", "5XiB", "5iB", "-1", "1e3", "0", "0.4B", "9999PiB"])
def test_what_is_no_limit_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="none"):
        values.limit(text, values.size_bytes)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-3", "0", "9" * 19, "9" * 9999])
def test_what_is_no_limit_of_uploads_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        values.limit(text, values.whole)


def test_a_whole_number_too_large_for_the_wire_is_a_figure() -> None:
    assert values.typed(str(2**63)) == float(2**63)


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert values.pairs("--param", ["a=b=c", "d="], str) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("given", [["a"], ["=b"], ["a=1", "a=2"]])
def test_bad_pairs_are_refused(given: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        values.pairs("--label", given, str)


@pytest.mark.parametrize("text", ["x", "nan", "inf", ""])
def test_a_metric_is_a_finite_number(text: str) -> None:
    with pytest.raises(click.BadParameter, match="finite"):
        values.pairs("--metric", [f"auc={text}"], values.figure)


def test_a_dataset_has_its_revision_behind_the_last_at() -> None:
    (read,) = values.datasets(["team@corp/calls@v3"])
    assert (read.name, read.revision) == ("team@corp/calls", "v3")
    with pytest.raises(click.BadParameter):
        values.datasets(["calls"])


def test_a_time_without_a_zone_is_utc() -> None:
    assert values.instant("2026-11-24") == datetime(2026, 11, 24, tzinfo=UTC)
    assert values.instant("2026-11-24T12:00:00+02:00").hour == 12
    with pytest.raises(click.BadParameter):
        values.instant("yesterday")


def test_quantities_for_people() -> None:
    assert [units.size(n) for n in (0, 1023, 1024, 1536, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "3.0 GiB",
    ]
    assert [units.span(s) for s in (0.25, 42, 200, 7500)] == [
        "0.2 s",
        "42 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert units.age(datetime(2026, 11, 24, 9, tzinfo=UTC), now) == "3 h ago"
    assert units.age(now, now) == "just now"
    assert units.age(None) == "-"
