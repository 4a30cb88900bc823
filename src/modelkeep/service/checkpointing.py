"""Signs the heads of the audit chains that have moved on."""

import structlog

from modelkeep.audit_chain import walk
from modelkeep.domain import audit, sight
from modelkeep.outbound import signing
from modelkeep.service import chain_walking
from modelkeep.storage import audit as rows
from modelkeep.storage import checkpoints, database

_log = structlog.get_logger()
_AT_ONCE = 200


class Checkpointer:
    """Signs checkpoints; several may run at once, the first to sign a head is kept.

    What lies between the last checkpoint and the head is verified before the head is signed, so
    each checkpoint vouches for all events since the one before.
    """

    def __init__(self, db: database.Database, signer: signing.Signer) -> None:
        self._db = db
        self._signer = signer

    async def round(self) -> int:
        """Sign every head that has moved on; how many that were."""
        after = signed = 0
        while self._signer.has_key:
            async with self._db.everywhere(sight.Work.LIST_CHAINS) as connection:
                due = await checkpoints.list_due(connection, after, _AT_ONCE)
            signed += sum([await self._sign(one) for one in due])
            if len(due) < _AT_ONCE:
                break
            after = due[-1].namespace_id
        return signed

    async def _sign(self, due: checkpoints.Due) -> bool:
        fault = await self._fault(due)
        if fault is not None:
            _log.error(
                "audit.chain_broken",
                chain=due.namespace,
                kind=fault.kind.value,
                sequence=fault.sequence,
                what=fault.description,
            )
            return False
        key = self._signer.public_key
        made = checkpoints.checkpoint(due.namespace, due.head, due.now, key)
        with sight.only(due.namespace):
            async with self._db.connection() as connection:
                await checkpoints.insert(connection, due, key, self._signer.sign(made.document()))
        return True

    async def _fault(self, due: checkpoints.Due) -> walk.Fault | None:
        """What does not fit behind the last checkpoint."""
        walking = walk.Walk(due.signed)
        name = audit.ChainName(due.namespace)
        chain = rows.Chain(due.namespace_id, name, due.head, due.head.sequence, None)
        async for records, _ in chain_walking.batches(
            self._db, chain, due.signed.sequence, due.head.sequence
        ):
            if not all(walking.take(record.link(due.namespace)) for record in records):
                break
        return walking.expect_end(due.head)
