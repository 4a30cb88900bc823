"""The audit log as it is read: chains, events, what a verification found, checkpoints."""

import datetime
import re
from dataclasses import dataclass
from typing import Self

from modelkeep.audit_chain import lines, links, walk
from modelkeep.domain import checks, errors, limits, names

_ACTION = re.compile(r"[a-z_.*]{1,64}")
_REGISTRY_NAME = f"namespaces/{links.REGISTRY}"
ALL = "namespaces/-"
"""Stands for all chains."""
DENIED = "access.denied"
"""The action of an event about a denied attempt."""


@dataclass(frozen=True, slots=True)
class ChainName:
    """Whose chain: a namespace's, or the registry's own."""

    namespace: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `namespaces/{namespace}` or `namespaces/_registry`, or `errors.InvalidArgument`."""
        if text == _REGISTRY_NAME:
            return cls(links.REGISTRY)
        return cls(names.NamespaceName.parse(text).namespace)

    @property
    def is_registry(self) -> bool:
        """Whether it is the registry's own."""
        return self.namespace == links.REGISTRY

    @property
    def owner(self) -> names.NamespaceName | None:
        """The namespace whose it is; None for the registry's own."""
        return None if self.is_registry else names.NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on events, all of which must hold; those not set always do.

    Attributes:
        actor: who, exactly.
        actions: patterns of which the action must fit one.
        resource: the event is about this resource or something in it.
        start_at: it happened at this instant or later.
        end_at: it happened before this instant.
    """

    actor: str = ""
    actions: tuple[str, ...] = ()
    resource: str = ""
    start_at: datetime.datetime | None = None
    end_at: datetime.datetime | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("actor", self.actor, limits.NAME_CHARS)
            found.text("resource", self.resource, limits.RESOURCE_CHARS)
            found.size("actions", self.actions, limits.FILTER_PATTERNS)
            for number, pattern in enumerate(self.actions[: limits.FILTER_PATTERNS]):
                found.require(
                    _ACTION.fullmatch(pattern) is not None,
                    f"actions[{number}]",
                    f"{checks.shown(pattern)} is not a pattern: expected `stage.set` or `alias.*`",
                )


@dataclass(frozen=True, slots=True)
class Since:
    """Where an export begins: behind a sequence and, if that is later, at an instant."""

    after: int = 0
    start_at: datetime.datetime | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("after_sequence", self.after, 0, limits.INT64_MAX)


@dataclass(frozen=True, slots=True)
class Record:
    """An event of a chain; `before` and `after` are JSON objects or None."""

    sequence: int
    occurred_at: datetime.datetime
    actor: str
    client: str
    request_id: str
    action: str
    resource: str
    before: str | None
    after: str | None
    prev_hash: bytes
    hash: bytes
    credential: str = ""

    def link(self, namespace: str) -> links.Link:
        """The event as it stands in that chain."""
        written = links.Written(
            namespace=namespace,
            sequence=self.sequence,
            occurred_at=self.occurred_at.isoformat(timespec="microseconds"),
            actor=self.actor,
            client=self.client,
            request_id=self.request_id,
            action=self.action,
            resource=self.resource,
            before=self.before,
            after=self.after,
            prev_hash=self.prev_hash,
            credential=self.credential,
        )
        return links.Link(self.sequence, self.prev_hash, self.hash, written.document())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verification of a chain found.

    Attributes:
        head: the last event that fits.
        fault: the first thing that does not.
        checkpoints: how many were verified.
        covered: the last sequence that a verified checkpoint covers; 0 if none does.
        verifiable: whether there is a key to verify checkpoints with.
    """

    head: links.Head
    fault: walk.Fault | None
    checkpoints: int
    covered: int
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the verification of a chain is; with a verdict it is over."""

    chain: ChainName
    verified: int
    last: int
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of Ed25519, and whether new checkpoints are signed with it."""

    public_key: bytes
    signs: bool

    @property
    def key_id(self) -> str:
        """Its name."""
        return lines.key_id(self.public_key)


def require_there(chain: ChainName, last: int, after: int) -> None:
    """Raise `errors.OutOfRange` if the chain has no event of that sequence yet."""
    if after > last:
        raise errors.OutOfRange(
            f"{chain} has no event {after} yet, the last is {last}",
            reason="SEQUENCE_AHEAD",
            last_sequence=last,
        )
