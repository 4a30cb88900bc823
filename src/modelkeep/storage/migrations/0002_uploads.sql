-- Uploads: what is durable of a blob that is not there yet, so that any replica can go on.

CREATE TABLE upload (
    upload_id       text COLLATE "C" PRIMARY KEY CHECK (upload_id ~ '^[0-9a-f]{32}$'),
    namespace_id    bigint NOT NULL REFERENCES namespace,
    digest          bytea NOT NULL CHECK (length(digest) = 32),
    size_bytes      bigint NOT NULL CHECK (size_bytes >= 0),
    part_size_bytes bigint NOT NULL CHECK (part_size_bytes > 0),
    state           text NOT NULL
                    CHECK (state IN ('active', 'verifying', 'committed', 'failed', 'aborted')),
    storage_key     text NOT NULL,
    -- The store's id of the multipart upload; NULL before the first part, and for single requests.
    multipart_id    text,
    -- Of the whole, computed while the bytes came in; NULL means they must be read back.
    sha256          bytea CHECK (length(sha256) = 32),
    -- Counts the streams; a later one takes a part over from an earlier one.
    last_stream     bigint NOT NULL DEFAULT 0,
    -- Who verifies may take so long; then somebody else may. Fenced by the count.
    verifier        bigint NOT NULL DEFAULT 0,
    verifying_until timestamptz NOT NULL DEFAULT '-infinity',
    failure         text NOT NULL DEFAULT '',
    failure_reason  text NOT NULL DEFAULT '',
    creator         text NOT NULL CHECK (creator <> ''),
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    CONSTRAINT upload_failed_says_why CHECK ((state = 'failed') = (failure <> ''))
);
CREATE UNIQUE INDEX upload_one_open ON upload (namespace_id, digest, size_bytes, creator)
    WHERE state IN ('active', 'verifying');
CREATE INDEX upload_by_blob ON upload (namespace_id, digest) WHERE state = 'committed';
CREATE INDEX upload_to_verify ON upload (verifying_until) WHERE state = 'verifying';

-- A row exists only for bytes that the store has acknowledged.
CREATE TABLE upload_part (
    upload_id  text COLLATE "C" NOT NULL REFERENCES upload,
    number     integer NOT NULL CHECK (number > 0),
    crc32c     bigint NOT NULL CHECK (crc32c BETWEEN 0 AND 4294967295),
    etag       text NOT NULL,
    PRIMARY KEY (upload_id, number)
);

-- Which stream may make a part durable: the latest that began it.
CREATE TABLE upload_claim (
    upload_id text COLLATE "C" NOT NULL REFERENCES upload,
    number    integer NOT NULL CHECK (number > 0),
    stream    bigint NOT NULL,
    PRIMARY KEY (upload_id, number)
);
