"""Use cases of signatures: attach them to versions, read them, and tell what they are worth."""

from modelkeep.domain import attestations
from modelkeep.service import judging_signatures
from modelkeep.storage import database
from modelkeep.storage import signatures as rows
from modelkeep.storage import trusted_signers as signer_rows
from modelkeep.storage import versions as version_rows


async def verdict(
    connection: database.Connection, stored: version_rows.Stored
) -> attestations.Verdict:
    """Whether somebody whom its namespace trusts now has signed a version.

    It reads what the connection's transaction sees: ask inside the transaction that decides by it.
    """
    signatures = await rows.list_all(connection, stored)
    signers = await signer_rows.list_all(connection, stored.namespace_id)
    judged = await judging_signatures.judge(signatures, signers)
    return attestations.Verdict(stored.version.name, judged)
