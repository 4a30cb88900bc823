"""All files of a version, read page by page."""

from modelkeep.domain import limits, manifests, pages
from modelkeep.storage import database
from modelkeep.storage import files as rows


async def list_all(connection: database.Connection, version_id: int) -> list[manifests.File]:
    """A version's files by path; there are 10,000 at most."""
    found: list[manifests.File] = []
    after, more = "", True
    while more:
        page = await rows.list_page(
            connection, version_id, pages.PageRequest(limits.PAGE_MAX, after)
        )
        found += [file for _, file in page.entries]
        more = page.more
        after = page.entries[-1][0] if page.entries else ""
    return found
