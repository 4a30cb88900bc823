"""What is seen: unions, blocks, tasks; and that only what is listed sees everything."""

import ast
import asyncio
import contextlib
from pathlib import Path

import pytest

import modelkeep
from modelkeep.domain import names, sight

ROOT = Path(modelkeep.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
LISTED = {
    ("service/auditing.py", "LIST_CHAINS"),
    ("service/bindings.py", "KNOW_GRANTS"),
    ("service/checkpointing.py", "LIST_CHAINS"),
    ("service/compliance.py", "REPORT_COMPLIANCE"),
    ("service/delivering.py", "DELIVER"),
    ("service/event_compacting.py", "COMPACT_EVENTS"),
    ("service/event_feeds.py", "FOLLOW_EVENTS"),
    ("service/following.py", "FOLLOW_MOVED"),
    ("service/lineage.py", "FIND_CYCLE"),
    ("service/lineage.py", "LINK_ORIGINS"),
    ("service/namespaces.py", "LIST_NAMESPACES"),
    ("service/reaping.py", "REAP"),
    ("service/rehoming.py", "FIND_CYCLE"),
    ("service/repacking.py", "REPACK"),
    ("service/resealing.py", "RESEAL"),
    ("service/scrub.py", "SCRUB"),
    ("service/verification.py", "VERIFY_UPLOADS"),
    ("service/versions.py", "FIND_DEPENDENT"),
}
"""Which module does what across namespaces. Add to it only what can do with no less."""


def mentions(beginning: str) -> set[tuple[str, str]]:
    """Where something that begins so is named: the module, and what follows."""
    found = set()
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if text.startswith(beginning):
                found.add((place, text.removeprefix(beginning)))
    return found


def test_each_work_across_namespaces_is_done_where_it_is_listed() -> None:
    assert mentions("sight.Work.") == LISTED
    assert {name for _, name in LISTED} == {work.name for work in sight.Work}


def test_nothing_else_sees_everything() -> None:
    """The pool, on behalf of a work; and the policy, of callers who may read all there is."""
    assert {place for place, _ in mentions("sight.EVERYTHING")} == {
        "authz/policy.py",
        "storage/database.py",
    }


ACME, OTHER = sight.Sight(frozenset({"acme"})), sight.Sight(frozenset({"other"}))


@pytest.mark.parametrize(
    ("one", "another", "both"),
    [
        (sight.NOTHING, ACME, ACME),
        (ACME, sight.NOTHING, ACME),
        (ACME, OTHER, sight.Sight(frozenset({"acme", "other"}))),
        (ACME, sight.EVERYTHING, sight.EVERYTHING),
        (sight.EVERYTHING, ACME, sight.EVERYTHING),
    ],
)
def test_a_union(one: sight.Sight, another: sight.Sight, both: sight.Sight) -> None:
    assert one | another == both


async def test_what_is_admitted_is_seen_by_the_task_and_those_it_starts() -> None:
    async def call(namespace: str) -> tuple[sight.Sight, sight.Sight]:
        sight.begin()
        sight.admit(namespace)
        await asyncio.sleep(0)
        return sight.current(), await asyncio.create_task(started())

    async def started() -> sight.Sight:
        return sight.current()

    with sight.only("before"):
        one, other = await asyncio.gather(call("acme"), call("other"))
        assert sight.current() == sight.Sight(frozenset({"before"}))
    assert one == (ACME, ACME)
    assert other == (OTHER, OTHER)


def test_a_block_ends_with_what_was_seen_before_it() -> None:
    sight.begin()
    with contextlib.suppress(ZeroDivisionError), sight.only("acme"):
        sight.admit("other")
        raise ZeroDivisionError
    assert sight.current() == sight.NOTHING


def test_every_resource_says_which_namespace_it_is_in() -> None:
    """The policy admits by it; what had none would be taken for the registry's."""
    kinds = names.Resource.__args__
    assert len(kinds) >= 10
    for kind in kinds:
        has = "namespace" in getattr(kind, "__dataclass_fields__", {}) or hasattr(kind, "namespace")
        assert has, kind
