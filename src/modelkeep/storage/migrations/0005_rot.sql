-- Bytes at rest: checksums that tell where a blob is damaged, and who re-reads it when.

ALTER TABLE blob
    -- CRC32C of each part, 4 bytes each, most significant first; empty: only that of the whole.
    ADD COLUMN part_size_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN part_crc32cs bytea NOT NULL DEFAULT '',
    -- Set while the store is known to have lost or damaged the bytes; the same bytes sent again
    -- clear it. Such a blob counts as missing.
    ADD COLUMN rotten_at timestamptz,
    ADD COLUMN rot text NOT NULL DEFAULT '',
    -- Who re-reads it has so long; then somebody else may.
    ADD COLUMN reading_until timestamptz NOT NULL DEFAULT '-infinity',
    ADD CONSTRAINT blob_parts_are_whole
        CHECK (length(part_crc32cs) = 0 OR (part_size_bytes > 0 AND
               length(part_crc32cs) = 4 * ((size_bytes + part_size_bytes - 1) / part_size_bytes))),
    ADD CONSTRAINT blob_rotten_says_why CHECK ((rotten_at IS NULL) = (rot = ''));
CREATE INDEX blob_by_age_of_verification ON blob (verified_at);
CREATE INDEX blob_rotten ON blob (namespace_id, digest) WHERE rotten_at IS NOT NULL;
