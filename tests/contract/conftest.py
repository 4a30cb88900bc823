"""Every store, alone and under every decorator."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent import futures

import pytest
from support import faulty_store

from modelkeep.blobs import metered, s3, s3_connection, store, verifying

_POOL_THREADS = 4
_COPY_PART_BYTES = 5 << 20  # the smallest that S3 allows before the last
_CONFIGURED = "MODELKEEP_TEST_S3_"
STORES = ("seaweedfs", "configured") if f"{_CONFIGURED}ENDPOINT" in os.environ else ("seaweedfs",)
STACKS = ("plain", "metered", "verifying", "faulty", "verifying-metered")


def _configured_settings(bucket: str) -> s3_connection.S3Settings:
    """The server that MODELKEEP_TEST_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY, _SECURE point at."""
    return s3_connection.S3Settings(
        endpoint=os.environ[f"{_CONFIGURED}ENDPOINT"],
        access_key=os.environ[f"{_CONFIGURED}ACCESS_KEY"],
        secret_key=os.environ[f"{_CONFIGURED}SECRET_KEY"],
        secure=os.environ.get(f"{_CONFIGURED}SECURE", "true") == "true",
        bucket=bucket,
        threads=_POOL_THREADS,
        copy_part_bytes=_COPY_PART_BYTES,
    )


@pytest.fixture(scope="session", params=STORES)
def settings(request: pytest.FixtureRequest) -> s3_connection.S3Settings:
    """A bucket of our own, not made yet, on each store there is."""
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "configured":
        return _configured_settings(bucket)
    s3 = request.getfixturevalue("s3")
    return s3_connection.S3Settings(
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        secure=False,
        bucket=bucket,
        threads=_POOL_THREADS,
        copy_part_bytes=_COPY_PART_BYTES,
    )


@pytest.fixture(scope="session")
async def bare(settings: s3_connection.S3Settings) -> AsyncIterator[s3.S3BlobStore]:
    """The S3 store itself, with its bucket made; gone afterwards, as it holds disk."""
    bare = s3.S3BlobStore(settings)
    await bare.ensure_bucket(create=True)
    yield bare
    for entry in await bare.list_page("", "", 10_000):
        await bare.delete(entry.key)
    bare._client.remove_bucket(settings.bucket)
    await bare.close()


@pytest.fixture(scope="session")
def checksum_pool() -> Iterator[futures.ThreadPoolExecutor]:
    with futures.ThreadPoolExecutor(2, thread_name_prefix="checksum") as pool:
        yield pool


@pytest.fixture(params=STACKS)
def blobs(
    request: pytest.FixtureRequest,
    bare: s3.S3BlobStore,
    checksum_pool: futures.ThreadPoolExecutor,
) -> store.BlobStore:
    """The store under each decorator, and under the stack that the server uses."""
    stacks: dict[str, store.BlobStore] = {
        "plain": bare,
        "metered": metered.MeteredBlobStore(bare),
        "verifying": verifying.VerifyingBlobStore(bare, checksum_pool),
        "faulty": faulty_store.FaultyBlobStore(bare),
        "verifying-metered": verifying.VerifyingBlobStore(
            metered.MeteredBlobStore(bare), checksum_pool
        ),
    }
    return stacks[request.param]


@pytest.fixture
def key() -> str:
    """A fresh key of the shape that the server uses."""
    return f"blobs/{uuid.uuid4()}"
