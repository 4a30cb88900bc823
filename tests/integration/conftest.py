"""One deployment of each test's own: a database, a store, and replicas over both."""

from collections.abc import AsyncIterator

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.storage import database


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[database.Database]:
    """The test's own database, with the namespace `acme`."""
    db = await database.Database.open(database_url, 8)
    await uploading.make_namespace(db)
    yield db
    await db.close()


@pytest.fixture
def memory() -> memory_store.MemoryBlobStore:
    """The store itself, for a look at what is in it."""
    return memory_store.MemoryBlobStore()


@pytest.fixture
def faulty(memory: memory_store.MemoryBlobStore) -> faulty_store.FaultyBlobStore:
    """The same store as the replicas see it."""
    return faulty_store.FaultyBlobStore(memory)


@pytest.fixture
async def replica(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> AsyncIterator[uploading.Replica]:
    """A server's services."""
    replica = uploading.Replica(db, faulty)
    yield replica
    await replica.uploads.close()


@pytest.fixture
async def other(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> AsyncIterator[uploading.Replica]:
    """A second server over the same database and store."""
    other = uploading.Replica(db, faulty)
    yield other
    await other.uploads.close()
