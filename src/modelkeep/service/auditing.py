"""Use cases of the audit log: reading, verifying and exporting its chains."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from modelkeep.audit_chain import lines, links
from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import audit, pages, sight
from modelkeep.outbound import signing
from modelkeep.service import chain_walking
from modelkeep.storage import audit as rows
from modelkeep.storage import checkpoints, database

_CHAINS_AT_ONCE = 100


class Auditing:
    """Reads, verifies and exports audit chains.

    Args:
        db: where they are.
        signer: knows our checkpoints.
    """

    def __init__(self, db: database.Database, signer: signing.Signer) -> None:
        self._db = db
        self._signer = signer

    async def list(
        self,
        caller: callers.Caller,
        chain: audit.ChainName,
        wanted: audit.Filter,
        page: pages.PageRequest,
        *,
        oldest_first: bool,
    ) -> pages.Page[audit.Record]:
        """A page of a chain's events that fit; raises `errors.NotFound` (namespace)."""
        policy.require(caller, policy.Action.READ_AUDIT, chain.owner)
        async with self._db.connection() as connection:
            found = await rows.get_chain(connection, chain)
            return await rows.list_page(connection, found, wanted, page, oldest_first=oldest_first)

    async def verify(
        self, caller: callers.Caller, chain: audit.ChainName | None
    ) -> AsyncGenerator[audit.Progress, None]:
        """Verify a chain, or all of them; raises `errors.NotFound` (namespace).

        Says how far it is; the last of each chain has the verdict.
        """
        policy.require(caller, policy.Action.VERIFY_AUDIT, chain.owner if chain else None)
        async for found in self._chains(chain):
            async for progress in chain_walking.verify(self._db, self._signer, found):
                yield progress

    async def export(
        self, caller: callers.Caller, chain: audit.ChainName, since: audit.Since
    ) -> AsyncGenerator[tuple[Sequence[str], int], None]:
        """The lines of a chain's export, some at a time, each time with the last sequence.

        Raises `errors.NotFound` (namespace), `errors.OutOfRange` if it begins ahead of the chain.
        """
        policy.require(caller, policy.Action.EXPORT_AUDIT, chain.owner)
        async with self._db.connection() as connection:
            found = await rows.get_chain(connection, chain)
            audit.require_there(chain, found.end.sequence, since.after)
            after = since.after
            if since.start_at is not None:
                first = await rows.find_first(connection, found, since.start_at)
                after = max(after, first - 1)
            before = links.Head(after, await rows.get_hash(connection, found, after))
        yield [lines.write(lines.Start(chain.namespace, before))], after
        async for part in chain_walking.exported(self._db, found, before):
            yield part

    async def list_checkpoints(
        self, caller: callers.Caller, chain: audit.ChainName, page: pages.PageRequest
    ) -> pages.Page[lines.Signed]:
        """A page of a chain's checkpoints, the oldest first; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_AUDIT, chain.owner)
        async with self._db.connection() as connection:
            found = await rows.get_chain(connection, chain)
            return await checkpoints.list_page(connection, found.namespace_id, chain, page)

    def keys(self, caller: callers.Caller) -> Sequence[audit.Key]:
        """The public keys of the server, the one that signs first; none if it has none."""
        policy.require(caller, policy.Action.READ_AUDIT)
        return self._signer.keys

    async def _chains(self, chain: audit.ChainName | None) -> AsyncIterator[rows.Chain]:
        if chain is not None:
            async with self._db.connection() as connection:
                found = [await rows.get_chain(connection, chain)]
            yield found[0]
            return
        after = 0
        while True:
            async with self._db.everywhere(sight.Work.LIST_CHAINS) as connection:
                found = await rows.list_chains(connection, after, _CHAINS_AT_ONCE)
            for one in found:
                yield one
            if len(found) < _CHAINS_AT_ONCE:
                return
            after = found[-1].namespace_id
