-- Packs: objects that hold many small blobs, one behind the other.

CREATE TABLE pack (
    storage_key  text PRIMARY KEY CHECK (storage_key LIKE 'blobs/pack-%'),
    namespace_id bigint NOT NULL REFERENCES namespace,
    size_bytes   bigint NOT NULL CHECK (size_bytes > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- Since when its blobs are in another pack. Who began to read it before may still do so.
    retired_at   timestamptz
);

ALTER TABLE blob
    -- Where the blob begins in its object, in bytes.
    ADD COLUMN storage_offset bigint NOT NULL DEFAULT 0 CHECK (storage_offset >= 0),
    -- The foreign key is the promise that a pack in which a blob lives is never given up.
    ADD COLUMN pack_key text GENERATED ALWAYS AS
        (CASE WHEN storage_key LIKE 'blobs/pack-%' THEN storage_key END) STORED
        CONSTRAINT blob_pack_exists REFERENCES pack,
    ADD CONSTRAINT blob_alone_begins_at_0 CHECK (pack_key IS NOT NULL OR storage_offset = 0),
    DROP CONSTRAINT blob_storage_key_unique,
    ADD CONSTRAINT blob_place_unique UNIQUE (storage_key, storage_offset);
CREATE INDEX blob_by_pack ON blob (pack_key) WHERE pack_key IS NOT NULL;
