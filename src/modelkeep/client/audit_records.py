"""What the SDK shows of the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event of a chain.

    Attributes:
        sequence: its place in its chain, from 1 on without gaps.
        created_at: when it happened.
        actor: who did it, or tried.
        client: network address and client program.
        request_id: id of the call.
        action: what was done, as `noun.verb`; `access.denied` for a denied attempt.
        resource: name of what it was done to; empty for the registry as a whole.
        before: the fields that changed, as they were; None for something new.
        after: the fields that changed, as they are now; None for something gone.
        prev_hash: hash of the event before, in hex.
        hash: its own.
        credential: what the actor presented, `token:` and its id; '' if that has no name.
    """

    sequence: int
    created_at: datetime
    actor: str
    client: str
    request_id: str
    action: str
    resource: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    prev_hash: str
    hash: str
    credential: str = ""


@dataclass(frozen=True, slots=True)
class AuditFault:
    """The first thing in a chain that does not fit.

    Attributes:
        kind: what was done: `changed`, `removed`, `reordered`, `inserted`, `truncated`,
            `rewritten` (fits within itself, not with a checkpoint), or `checkpoint`.
        sequence: the first event concerned.
        description: one sentence.
    """

    kind: str
    sequence: int
    description: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What the verification of a chain found.

    Attributes:
        chain: the namespace whose it is; `_registry` for the registry's own.
        fault: the first thing that does not fit; None if everything does.
        events: how many events fit.
        sequence: the last of them.
        hash: its hash, in hex.
        checkpoints: signed checkpoints that were verified.
        checkpoint_sequence: the last event that one of them covers; 0 if none does.
        checkpoints_verifiable: whether there was a key, or the library, to verify signatures with.
        key_ids: the keys that signed, where they were read from a file.
    """

    chain: str
    fault: AuditFault | None
    events: int
    sequence: int
    hash: str
    checkpoints: int
    checkpoint_sequence: int
    checkpoints_verifiable: bool
    key_ids: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Whether everything fits."""
        return self.fault is None


@dataclass(frozen=True, slots=True)
class AuditCheckpoint:
    """What the server signed of the head of a chain; `line` is the whole, to be kept elsewhere."""

    sequence: int
    hash: str
    created_at: datetime
    key_id: str
    line: str


@dataclass(frozen=True, slots=True)
class AuditKey:
    """An Ed25519 public key of the server, in base64; `signs` if new checkpoints are its."""

    key_id: str
    public_key: str
    signs: bool
