-- Direct transfer: parts that a client sends to the store itself, by URLs that we sign.

ALTER TABLE upload
    -- Whether URLs were given out that write this upload's parts. Whoever has one can change a part
    -- behind our back until the multipart upload is completed, so a digest computed before that
    -- proves nothing: the whole must be read back.
    ADD COLUMN direct boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT upload_direct_is_read_back CHECK (NOT direct OR sha256 IS NULL);
