-- When what is stored may go: blobs that nobody refers to, and records of uploads that are over.

-- When somebody was last told that the blob is there; who was told may refer to it for a while.
ALTER TABLE blob ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE upload ADD COLUMN finished_at timestamptz;
UPDATE upload SET finished_at = now() WHERE state NOT IN ('active', 'verifying');
ALTER TABLE upload ADD CONSTRAINT upload_finished_says_when
    CHECK ((state IN ('active', 'verifying')) = (finished_at IS NULL));
CREATE INDEX upload_to_expire ON upload (expires_at) WHERE state = 'active';
CREATE INDEX upload_to_forget ON upload (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX upload_listed ON upload (namespace_id, upload_id);
CREATE INDEX upload_listed_open ON upload (namespace_id, upload_id)
    WHERE state IN ('active', 'verifying');
