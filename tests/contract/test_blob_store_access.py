"""What a store says when it cannot be used, before anything is lost."""

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator

import pytest

from modelkeep.blobs import s3, s3_connection
from modelkeep.domain import errors


@pytest.fixture
def elsewhere(settings: s3_connection.S3Settings) -> s3_connection.S3Settings:
    """The same store, and a bucket that is not there."""
    return dataclasses.replace(settings, bucket=f"missing-{uuid.uuid4().hex[:12]}")


@pytest.fixture
async def fresh(elsewhere: s3_connection.S3Settings) -> AsyncIterator[s3.S3BlobStore]:
    fresh = s3.S3BlobStore(elsewhere)
    yield fresh
    await fresh.close()


async def test_a_missing_bucket_is_named(
    fresh: s3.S3BlobStore, elsewhere: s3_connection.S3Settings
) -> None:
    for _ in range(2):
        with pytest.raises(errors.FailedPrecondition, match=elsewhere.bucket) as raised:
            await fresh.ensure_bucket(create=False)
        assert "MODELKEEP_S3_BUCKET" in str(raised.value)


async def test_a_missing_bucket_is_made_once_where_that_is_allowed(fresh: s3.S3BlobStore) -> None:
    await asyncio.gather(*(fresh.ensure_bucket(create=True) for _ in range(4)))
    await fresh.check()
    await fresh.ensure_bucket(create=True)
    fresh._client.remove_bucket(fresh._settings.bucket)


@pytest.mark.parametrize("wrong", [{"secret_key": "not-the-one"}, {"access_key": "nobody"}])
@pytest.mark.parametrize("create", [True, False])
async def test_wrong_keys_are_told_from_a_missing_bucket(
    settings: s3_connection.S3Settings, bare: s3.S3BlobStore, wrong: dict[str, str], create: bool
) -> None:
    await bare.check()
    stranger = s3.S3BlobStore(dataclasses.replace(settings, **wrong))  # type: ignore[arg-type]
    with pytest.raises(errors.FailedPrecondition, match="MODELKEEP_S3_ACCESS_KEY") as raised:
        await stranger.ensure_bucket(create=create)
    assert settings.endpoint in str(raised.value)
    for secret in (settings.secret_key, *wrong.values()):
        assert secret not in str(raised.value)
    await stranger.close()


async def test_a_plain_endpoint_asked_for_tls_is_unavailable(
    settings: s3_connection.S3Settings,
) -> None:
    if settings.secure:
        pytest.skip("this store speaks TLS")
    puzzled = s3.S3BlobStore(dataclasses.replace(settings, secure=True))
    with pytest.raises(errors.Unavailable, match=settings.endpoint):
        await puzzled.check()
    await puzzled.close()
