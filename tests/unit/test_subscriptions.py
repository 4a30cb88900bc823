"""Patterns of filters: what fits, what does not, and never slowly."""

import fnmatch
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import errors, globs, subscriptions

ROOT = Path(__file__).parents[2]
SMALL = st.text(alphabet="ab.*", max_size=8)


@given(pattern=SMALL, text=st.text(alphabet="ab.*", max_size=10))
def test_a_pattern_fits_what_the_same_regular_expression_fits(pattern: str, text: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert globs.matches(pattern, text) == (re.fullmatch(expression, text) is not None)
    assert globs.matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.lists(st.text(max_size=5), max_size=5))
def test_stars_between_the_pieces_of_a_text_fit_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert globs.matches("*".join(["", *pieces, ""]).replace("**", "*"), text) or "*" in text


def test_no_pattern_is_slow() -> None:
    began = time.process_time()
    for _ in range(100):
        assert not globs.matches("*a" * 64 + "b", "a" * 2000)
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"actions": ("stage.set",)}, True),
        ({"actions": ("alias.*", "stage.*")}, True),
        ({"actions": ("stage",)}, False),
        ({"models": ("ticket-*",)}, True),
        ({"models": ("*router", "ticket")}, True),
        ({"models": ("ticket",)}, False),
        ({"resource": "namespaces/acme"}, True),
        ({"resource": "namespaces/acme/models/ticket-router"}, True),
        ({"resource": "namespaces/acme/models/ticket"}, False),
        ({"actions": ("stage.set",), "models": ("voice",)}, False),
    ],
)
def test_all_conditions_must_hold(wanted: dict[str, object], fits: bool) -> None:
    resource = "namespaces/acme/models/ticket-router/versions/1.0.0"
    chosen = subscriptions.EventFilter(**wanted)  # type: ignore[arg-type]
    assert chosen.fits("stage.set", resource) == fits


def test_what_is_about_no_model_fits_no_pattern_of_models() -> None:
    every = subscriptions.EventFilter(models=("*",))
    assert not every.fits("namespace.updated", "namespaces/acme")
    assert not every.fits("upload.started", "namespaces/acme/uploads/0")


MINE = {"namespaces/acme/models/voice", "namespaces/acme/models/old-voice"}


@pytest.mark.parametrize(
    ("resource", "shown"),
    [
        ("namespaces/acme/models/voice", True),
        ("namespaces/acme/models/voice/versions/1.0.0/transitions/0", True),
        ("namespaces/acme/models/old-voice/aliases/best", True),
        ("namespaces/acme/models/voice-2", False),
        ("namespaces/acme/models/voic", False),
        ("namespaces/other/models/voice", False),
        ("namespaces/acme/webhooks/voice", False),
        ("namespaces/acme", False),
        ("x/namespaces/acme/models/voice", False),
        ("\nnamespaces/acme/models/voice", False),
        ("", False),
    ],
)
def test_what_is_about_models_is_in_them(resource: str, shown: bool) -> None:
    assert subscriptions.is_about_one_of(MINE, "alias.set", resource) == shown
    assert not subscriptions.is_about_one_of(MINE, "lineage.added", resource)
    assert not subscriptions.is_about_one_of(set(), "alias.set", resource)


@pytest.mark.parametrize("bad", ["", "Stage.set", "stage set", "x" * 65, "a\n"])
def test_what_is_no_pattern_is_refused(bad: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"actions\[0\]"):
        subscriptions.EventFilter(actions=(bad,))


def test_every_action_in_the_code_is_documented() -> None:
    recorded = set()
    for module in (ROOT / "src" / "modelkeep" / "service").glob("*.py"):
        recorded |= set(re.findall(r'events\.Event\(\s*"([a-z_.]+)"', module.read_text()))
    documented = set(
        re.findall(
            r"^\| `([a-z_]+\.[a-z_]+)` \|", (ROOT / "docs" / "events.md").read_text(), re.MULTILINE
        )
    )
    assert recorded <= documented
    assert len(recorded) > 20
