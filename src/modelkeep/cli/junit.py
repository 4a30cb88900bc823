"""JUnit XML, which continuous integration shows test by test."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax import saxutils

# What XML 1.0 cannot carry, even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        group: what it belongs to; shown as the class of the test.
        name: its name.
        told: what is to be said of it.
        failure: what kind of failure it is; '' for none.
        skipped: whether it was not carried out.
    """

    group: str
    name: str
    told: str = ""
    failure: str = ""
    skipped: bool = False


def write(path: Path, title: str, cases: Sequence[Case]) -> None:
    """Write a report; raises OSError."""
    path.write_text(document(title, cases), encoding="utf-8")


def document(title: str, cases: Sequence[Case]) -> str:
    """The report as XML; the same cases make the same text."""
    failures = sum(bool(case.failure) for case in cases)
    skipped = sum(case.skipped for case in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="{skipped}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f"  <testsuite name={_quoted(title)} {counts}>",
        *(line for case in cases for line in _case(case)),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(case: Case) -> list[str]:
    opened = f"    <testcase classname={_quoted(case.group)} name={_quoted(case.name)}"
    if case.failure:
        kind, message = _quoted(case.failure), _quoted(case.told)
        inside = f"      <failure type={kind} message={message}>{_text(case.told)}</failure>"
    elif case.skipped:
        inside = f"      <skipped message={_quoted(case.told)}/>"
    elif case.told:
        inside = f"      <system-out>{_text(case.told)}</system-out>"
    else:
        return [f"{opened}/>"]
    return [f"{opened}>", inside, "    </testcase>"]


def _quoted(text: str) -> str:
    return saxutils.quoteattr(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))


def _text(text: str) -> str:
    return saxutils.escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))
