"""Who signed a version, and whether the namespace trusts them."""

from modelkeep.domain import attestations, sheets
from modelkeep.service import signatures
from modelkeep.storage import database
from modelkeep.storage import versions as version_rows


async def listed(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Listed[sheets.Signing]:
    """Its signatures, judged by those whom the namespace trusts now."""
    verdict = await signatures.verdict(connection, stored)
    return sheets.listed(map(_signing, verdict.judgements), most)


def _signing(judged: attestations.Judgement) -> sheets.Signing:
    one = judged.signature
    by = ", ".join(one.identities) or (f"key {one.key_hint[:16]}" if one.key_hint else "")
    return sheets.Signing(
        name=one.name.signature,
        kind=one.kind.value,
        verdict=f"{'trusted' if judged.is_trusted else 'not trusted'}: {judged.reason}",
        identity=sheets.cut(by),
    )
