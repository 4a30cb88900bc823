"""What is written for other programs, hostile names included: CSV, Markdown, JUnit, prompts."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep import client
from modelkeep.cli import compliance_drawing, junit, markdown, tolerating

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def entry(**fields: Any) -> client.ComplianceEntry:
    stated = {
        "rank": 1,
        "version": "acme/voice@1.2.0",
        "stage": "production",
        "owner": "ml team",
        "risk_tier": client.RiskTier.HIGH,
        "exposure": 2,
        "evaluated_at": datetime(2026, 7, 1, 9, 30, tzinfo=UTC),
        "revalidation_days": 90,
        "due_at": datetime(2026, 9, 29, 9, 30, tzinfo=UTC),
        "days_overdue": 57,
        "score": 456,
        "findings": (client.ComplianceFinding.OVERDUE, client.ComplianceFinding.NO_CARD),
        "planned_on": date(2026, 11, 30),
    }
    return client.ComplianceEntry(**(stated | fields))


def report(*entries: client.ComplianceEntry) -> client.ComplianceReport:
    return client.ComplianceReport(
        scope="acme",
        as_of=NOW,
        versions=9,
        with_findings=len(entries),
        overdue=1,
        never_evaluated=0,
        entries=entries,
        truncated=False,
    )


def test_csv_is_what_a_spreadsheet_and_a_program_expect() -> None:
    lines = compliance_drawing.csv_text(report(entry())).splitlines()
    assert lines[1] == (
        "1,acme/voice@1.2.0,production,ml team,high,2,2026-07-01T09:30:00Z,90,"
        "2026-09-29T09:30:00Z,57,456,overdue no_card,2026-11-30"
    )


@pytest.mark.parametrize(
    "hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x","y")', "%0", "|x"]
)
def test_no_cell_of_csv_is_a_formula(hostile: str) -> None:
    text = compliance_drawing.csv_text(report(entry(owner=hostile)))
    _, row = csv.reader(io.StringIO(text))
    assert row[3].startswith("'")
    assert row[3][-1] == hostile[-1]


@given(st.text(max_size=30))
def test_any_owner_stays_within_its_cell(owner: str) -> None:
    written = compliance_drawing.csv_text(report(entry(owner=owner), entry()))
    assert len(list(csv.reader(io.StringIO(written, newline="")))) == 3
    shown = compliance_drawing.markdown(report(entry(owner=owner)))
    row = shown.splitlines()[2].replace("\\\\", "").replace("\\|", "")
    assert row.count("|") == 12


def test_markdown_carries_no_links_and_no_html() -> None:
    hostile = "[x](javascript:alert(1)) <img src=x> `a` | # ~~b~~ \x1b[31m"
    shown = markdown.escaped(hostile)
    assert "\\[x\\]" in shown
    assert "\\<img src=x\\>" in shown
    assert "\x1b" not in shown


@given(st.text(), st.text(), st.text())
def test_junit_is_xml_whatever_is_told(group: str, name: str, told: str) -> None:
    cases = [
        junit.Case(group, name, told),
        junit.Case(group, name, told, failure="regressed"),
        junit.Case(group, name, told, skipped=True),
    ]
    root = ElementTree.fromstring(junit.document(name, cases).encode())  # noqa: S314 - our own
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", "1", "1")
    assert len(root[0]) == 3


def test_tolerances_are_read_as_they_are_written() -> None:
    for text in ("score=0.02", "latency=5%", "score[lang=de]=0.05", "score[*]=0", "a=b=1"):
        assert tolerating.shown(tolerating.tolerance(text, "--tolerance")) == text
    found = tolerating.tolerance("score[lang=de]=5%", "--tolerance", strict=True)
    assert (found.metric, found.slice, found.relative, found.strict) == (
        "score", "lang=de", True, True,
    )  # fmt: skip
    assert found.tolerance == pytest.approx(0.05)


@pytest.mark.parametrize(
    "wrong", ["", "score", "score=", "=1", "score=-1", "score=nan", "score=inf%", "a=1_0"]
)
def test_what_is_no_tolerance_is_refused(wrong: str) -> None:
    with pytest.raises(click.BadParameter, match="METRIC=AMOUNT"):
        tolerating.tolerance(wrong, "--tolerance")


def prompt(*contents: str, variables: tuple[str, ...]) -> client.PromptSpec:
    return client.PromptSpec(
        provider="vllm",
        hosted_model="m",
        messages=tuple(client.PromptMessage("user", content) for content in contents),
        variables=variables,
    )


@given(st.text(), st.text())
def test_a_value_is_put_in_as_it_is(first: str, second: str) -> None:
    spec = prompt("{{a}}|{{ b }}", "{{b}}{{a}} {a} {{{a}}}", variables=("a", "b"))
    one, two = client.render_prompt(spec, {"a": first, "b": second})
    assert one.content == f"{first}|{second}"
    assert two.content == f"{second}{first} {{a}} {{{first}}}"


def test_variables_that_are_missing_or_unknown_are_named() -> None:
    spec = prompt("{{a}}{{b}}", variables=("a", "b"))
    with pytest.raises(client.InvalidRequest, match="needs a value for 'a', 'b'") as refused:
        client.render_prompt(spec, {"c": "1"})
    assert "no variable 'c'; it has 'a', 'b'" in refused.value.message
    with pytest.raises(client.InvalidRequest, match="it has none"):
        client.render_prompt(prompt("hi", variables=()), {"c": "1"})
