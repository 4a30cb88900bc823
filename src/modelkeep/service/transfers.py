"""Use cases of direct transfer: URLs for the store, and the parts that came by them.

A client that has a URL is trusted with nothing. The store refuses bytes without the signed CRC32C
and length; that it has a part is asked of the store itself; and the whole is read back and hashed
after the multipart upload is completed, when no URL can change it any more.
"""

import datetime
from collections.abc import Iterable, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.blobs import transfers as signing
from modelkeep.domain import blobs, errors, limits, names, transfers, uploads
from modelkeep.service import part_storing, readable
from modelkeep.storage import database
from modelkeep.storage import files as blob_rows
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows

Readable = names.BlobName | names.FileName


class Transfers:
    """Gives out URLs and records what was sent by them.

    Args:
        db: where uploads are recorded.
        blobs: the store.
        signer: what signs the URLs.
        lifetime: how long a URL is good.
    """

    def __init__(
        self,
        db: database.Database,
        blobs: store.BlobStore,
        signer: signing.TransferStore,
        lifetime: datetime.timedelta,
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._signer = signer
        self._lifetime = lifetime

    @property
    def offered(self) -> bool:
        """Whether this server gives URLs out."""
        return self._signer.offered

    async def send_urls(
        self, caller: callers.Caller, name: names.UploadName, parts: Sequence[transfers.PartToSend]
    ) -> transfers.PartUrls:
        """URLs by which these parts can be put, without those that are durable already.

        The parts are claimed as by a new stream: whoever wrote one of them before loses it.

        Raises:
            NotFound: no such upload.
            FailedPrecondition: it takes no more bytes, or URLs are not given out here.
            InvalidArgument: it has no part of such a number.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, name)
        stored = await self._get(name)
        uploads.require_active(stored.upload)
        self._require_offered()
        transfers.require_parts(stored.upload.layout, (part.number for part in parts), "parts")
        claimed = await self._claimed(stored, parts)
        expires_at = self._expiry()
        urls = tuple(self._part_url(claimed.stored, part, expires_at) for part in claimed.parts)
        return transfers.PartUrls(claimed.stream, urls, claimed.stored.upload)

    async def read_urls(
        self, caller: callers.Caller, name: Readable, span: blobs.Span
    ) -> transfers.RangeUrls:
        """URLs by which the first ranges of a span can be read, `limits.TRANSFER_URLS` at most.

        Raises as `Artifacts.read` does, and `errors.FailedPrecondition` if none are given out here.
        """
        policy.require(caller, policy.Action.READ_BLOB, name)
        blob = await readable.find(self._db, name)
        self._require_offered()
        length = span.length_in(blob.size_bytes)
        layout = uploads.Layout(blob.size_bytes, blob.part_size_bytes or limits.MIN_PART_BYTES)
        ranges = transfers.ranges_of(layout, span.offset, span.offset + length)
        expires_at = self._expiry()
        urls = tuple(
            self._range_url(blob, layout, place, expires_at)
            for place, _ in zip(ranges, range(limits.TRANSFER_URLS), strict=False)
        )
        return transfers.RangeUrls(blobs.Descriptor(blob.digest, blob.size_bytes), urls)

    async def confirm(
        self,
        caller: callers.Caller,
        name: names.UploadName,
        stream: int,
        parts: Sequence[transfers.SentPart],
    ) -> uploads.Upload:
        """Record parts that were put by URLs of this stream, each once the store says it has it.

        A part that is durable already is no error, whoever brought it.

        Raises:
            NotFound: no such upload.
            FailedPrecondition: it takes no more bytes, or the store has no such part.
            InvalidArgument: it has no part of such a number.
            Aborted: another stream has taken a part over.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, name)
        stored = await self._get(name)
        uploads.require_active(stored.upload)
        transfers.require_parts(stored.upload.layout, (part.number for part in parts), "sent_parts")
        await self._require_stored(stored, parts)
        for part in parts:
            await self._record(stored, stream, part)
        return (await self._get(name)).upload

    async def close(self) -> None:
        """Ask the store no more."""
        await self._signer.close()

    async def _get(self, name: names.UploadName) -> rows.Stored:
        async with self._db.connection() as connection:
            return await rows.get(connection, name)

    def _require_offered(self) -> None:
        if not self.offered:
            raise transfers.not_offered()

    def _expiry(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + self._lifetime

    async def _claimed(
        self, stored: rows.Stored, parts: Sequence[transfers.PartToSend]
    ) -> "_Claimed":
        started = await self._start_multipart(stored)
        claiming = _Claiming(stored.upload.name, started, parts)
        try:
            claimed = await claiming.carry_out(self._db)
        except BaseException:
            await self._drop(stored, started)
            raise
        if started and claimed.stored.multipart_id != started:
            await self._drop(stored, started)  # another was faster, or there is nothing to send
        return claimed

    async def _start_multipart(self, stored: rows.Stored) -> str:
        """A new multipart upload if none is known, even for a single part; else ''.

        A URL that puts a whole object could be used until it expires, so also after the bytes were
        verified. The id of a multipart upload is dead when it is completed or aborted.
        """
        if stored.multipart_id:
            return ""
        return await self._blobs.start_multipart(stored.storage_key)

    async def _drop(self, stored: rows.Stored, multipart_id: str) -> None:
        if multipart_id:
            await self._blobs.abort_multipart(stored.storage_key, multipart_id)

    def _part_url(
        self, stored: rows.Stored, part: transfers.PartToSend, expires_at: datetime.datetime
    ) -> transfers.TransferUrl:
        place = stored.upload.layout.range_of(part.number)
        signed = self._signer.sign_part(
            stored.storage_key,
            stored.multipart_id,
            part.number,
            size_bytes=place.end - place.start,
            crc32c=part.crc32c,
        )
        return transfers.TransferUrl(
            signed.method, signed.url, signed.headers, place, expires_at, part.number, part.crc32c
        )

    def _range_url(
        self,
        blob: blob_rows.StoredBlob,
        layout: uploads.Layout,
        place: uploads.ByteRange,
        expires_at: datetime.datetime,
    ) -> transfers.TransferUrl:
        signed = self._signer.sign_range(
            blob.storage_key, blob.storage_offset + place.start, place.end - place.start
        )
        crc32c = _known_crc32c(blob, layout, place)
        return transfers.TransferUrl(
            signed.method, signed.url, signed.headers, place, expires_at, crc32c=crc32c
        )

    async def _require_stored(
        self, stored: rows.Stored, parts: Sequence[transfers.SentPart]
    ) -> None:
        layout = stored.upload.layout
        listed = await self._listed(stored, [part.number for part in parts])
        known = {(part.number, part.etag, part.size_bytes) for part in listed}
        for part in parts:
            place = layout.range_of(part.number)
            if (part.number, part.etag, place.end - place.start) not in known:
                raise transfers.not_stored(stored.upload, part.number)

    async def _listed(
        self, stored: rows.Stored, numbers: Sequence[int]
    ) -> list[signing.ListedPart]:
        if not stored.multipart_id:
            return []
        try:
            return await self._signer.list_parts(
                stored.storage_key,
                stored.multipart_id,
                numbers,
                _durable_below(stored.upload, min(numbers)),
            )
        except errors.NotFound as error:
            await part_storing.require_active(self._db, stored.upload.name)
            raise part_storing.lost_by_store(stored.upload.name) from error

    async def _record(self, stored: rows.Stored, stream: int, part: transfers.SentPart) -> None:
        name = stored.upload.name
        async with self._db.connection() as connection:
            recorded = await part_rows.record(
                connection,
                name,
                stream,
                part_rows.Part(part.number, part.crc32c, part.etag),
                storage_key=stored.storage_key,
                multipart_id=stored.multipart_id,
            )
            if recorded:
                return
            upload = (await rows.get(connection, name)).upload
        uploads.require_active(upload)
        if not _is_durable(upload, part.number):
            raise part_storing.lost(name, part.number)


class _Claimed:
    """Parts that are the stream's to send, and the upload as it was when they became so."""

    def __init__(
        self, stored: rows.Stored, stream: int, parts: Iterable[transfers.PartToSend]
    ) -> None:
        self.stored = stored
        self.stream = stream
        self.parts = tuple(parts)


class _Claiming:
    """Takes parts over for a new stream, in one transaction."""

    def __init__(
        self, name: names.UploadName, started: str, parts: Sequence[transfers.PartToSend]
    ) -> None:
        self._name = name
        self._started = started
        self._parts = parts

    async def carry_out(self, db: database.Database) -> _Claimed:
        """Claim what is not durable, under the lock of the upload."""
        async with db.transaction() as connection:
            stored = await rows.lock(connection, self._name)
            uploads.require_active(stored.upload)
            missing = [part for part in self._parts if not _is_durable(stored.upload, part.number)]
            if not missing:  # then a blob of one part may be there as a whole object
                return _Claimed(stored, 0, ())
            if not stored.multipart_id:
                await part_rows.set_multipart(connection, self._name, self._started)
            stream = await part_rows.next_direct_stream(connection, self._name)
            if stream is None:
                raise AssertionError("it is locked and active")
            for part in missing:
                await part_rows.claim(connection, self._name, part.number, stream)
            return _Claimed(await rows.get(connection, self._name), stream, missing)


def _is_durable(upload: uploads.Upload, number: int) -> bool:
    start = upload.layout.range_of(number).start
    return any(each.start <= start < each.end for each in upload.persisted)


def _durable_below(upload: uploads.Upload, number: int) -> int:
    """The highest durable part below that number, or 0."""
    start = upload.layout.range_of(number).start
    ends = [min(each.end, start) for each in upload.persisted if each.start < start]
    return upload.layout.number_at(max(ends) - 1) if ends else 0


def _known_crc32c(
    blob: blob_rows.StoredBlob, layout: uploads.Layout, place: uploads.ByteRange
) -> int | None:
    """The checksum of a range, if it is a whole part or the whole blob."""
    if place == uploads.ByteRange(0, blob.size_bytes):
        return blob.crc32c
    number = layout.number_at(place.start)
    if blob.part_crc32cs and place == layout.range_of(number):
        return blob.part_crc32cs[number - 1]
    return None
