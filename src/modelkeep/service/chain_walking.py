"""Walks a stored audit chain, a batch of events at a time, to verify or to export it."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from modelkeep.audit_chain import lines, links, walk
from modelkeep.domain import audit, sight
from modelkeep.outbound import signing
from modelkeep.storage import audit as rows
from modelkeep.storage import checkpoints, database

_TOLD_EVERY = 5000
"""Events between two messages about progress."""


async def verify(
    db: database.Database, signer: signing.Signer, chain: rows.Chain
) -> AsyncIterator[audit.Progress]:
    """Verify a chain up to the moment `chain` is of; what comes last has the verdict.

    Holds no connection in between, and no more events than one batch and what the walk looks ahead.
    """
    walking = walk.Walk(links.Head(0, links.FIRST_HASH))
    seals = Seals(signer)
    told = 0
    async for records, signed in batches(db, chain, 0, chain.end.sequence):
        _along(walking, seals, chain.name.namespace, records, signed)
        if walking.fault is not None:
            break
        if walking.events - told >= _TOLD_EVERY:
            told = walking.events
            yield audit.Progress(chain.name, told, chain.end.sequence)
    _at_end(walking, chain)
    yield audit.Progress(chain.name, walking.events, chain.end.sequence, seals.verdict(walking))


async def exported(
    db: database.Database, chain: rows.Chain, before: links.Head
) -> AsyncIterator[tuple[Sequence[str], int]]:
    """The lines of a chain behind an event, with the last sequence of each batch, and its end.

    What does not fit is sent as it is: whoever verifies the lines shall find it.
    """
    name, sealed, last = chain.name.namespace, 0, max(chain.end.sequence, chain.highest)
    async for records, signed in batches(db, chain, before.sequence, last):
        seals = {one.checkpoint.head.sequence: lines.write(one) for one in signed}
        texts = []
        for record in records:
            texts.append(lines.write(lines.Event(name, record.link(name))))
            texts.extend([seals[record.sequence]] if record.sequence in seals else [])
        sealed += len(texts) - len(records)
        yield texts, records[-1].sequence
    beyond = await _signed_beyond(db, chain)
    end = lines.End(name, chain.end, sealed + len(beyond))
    yield [*map(lines.write, beyond), lines.write(end)], chain.end.sequence


async def _signed_beyond(db: database.Database, chain: rows.Chain) -> Sequence[lines.Signed]:
    """The first checkpoint behind the end of the chain; there is none unless it was cut off."""
    if chain.signed_beyond is None:
        return []
    beyond = chain.signed_beyond
    async with _reading(db, chain) as connection:
        return await checkpoints.list_between(
            connection, chain.namespace_id, chain.name.namespace, beyond - 1, beyond
        )


async def batches(
    db: database.Database, chain: rows.Chain, after: int, last: int
) -> AsyncIterator[tuple[Sequence[audit.Record], Sequence[lines.Signed]]]:
    """The events behind a sequence up to another, with the checkpoints of these."""
    while after < last:
        async with _reading(db, chain) as connection:
            records = await rows.read_after(connection, chain.namespace_id, after, last)
            if not records:
                return
            reached = records[-1].sequence
            signed = await checkpoints.list_between(
                connection, chain.namespace_id, chain.name.namespace, after, reached
            )
        yield records, signed
        after = reached


@contextlib.asynccontextmanager
async def _reading(db: database.Database, chain: rows.Chain) -> AsyncIterator[database.Connection]:
    """A connection that shows the chain that is walked; it may be one of many."""
    with sight.only(chain.name.namespace):
        async with db.connection() as connection:
            yield connection


class Seals:
    """What was found of the checkpoints of one chain."""

    def __init__(self, signer: signing.Signer) -> None:
        self._signer = signer
        self._verified = 0
        self._covered = 0

    def check(self, walking: walk.Walk, signed: lines.Signed) -> None:
        """Compare a checkpoint with the event that the walk has come to."""
        if not self._signer.has_key:
            return
        head = signed.checkpoint.head
        if not self._signer.knows(signed):
            what = (
                f"the checkpoint at {head.sequence} is not signed by a key of this server, or is "
                "not as it was signed"
            )
            walking.fault = walk.Fault(walk.FaultKind.CHECKPOINT, head.sequence, what)
        elif walking.expect_checkpoint(head) is None:
            self._verified += 1
            self._covered = head.sequence

    def verdict(self, walking: walk.Walk) -> audit.Verdict:
        """What came out."""
        return audit.Verdict(
            walking.head, walking.fault, self._verified, self._covered, self._signer.has_key
        )


def _along(
    walking: walk.Walk,
    seals: Seals,
    namespace: str,
    records: Sequence[audit.Record],
    signed: Sequence[lines.Signed],
) -> None:
    waiting = {one.checkpoint.head.sequence: one for one in signed}
    for record in records:
        if not walking.take(record.link(namespace)):
            return
        if waiting and walking.is_whole and record.sequence in waiting:
            seals.check(walking, waiting.pop(record.sequence))


def _at_end(walking: walk.Walk, chain: rows.Chain) -> None:
    """Compare where the walk ended with the counter, and with what lies beyond it."""
    if walking.expect_end(chain.end) is not None:
        return
    if chain.highest > chain.end.sequence:
        number = chain.end.sequence + 1
        what = f"event {number} stands behind the last event that was written"
        walking.fault = walk.Fault(walk.FaultKind.INSERTED, number, what)
    elif chain.signed_beyond is not None:
        walking.fault = walk.truncated(chain.end, chain.signed_beyond)
