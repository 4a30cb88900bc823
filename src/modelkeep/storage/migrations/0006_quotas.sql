-- What a namespace takes, counted as it changes, and how much it may take.
--
-- Triggers count, so that nothing is missed whoever runs the statement, a replica of an older build
-- included. A transaction notes its changes as it goes (`note_usage`) and settles them when it
-- commits (`settle_usage`): only then is the namespace's one row locked, after the event counter
-- and everything else, so that nobody waits in a ring, nor longer than a commit takes.

ALTER TABLE namespace
    -- 0: no limit.
    ADD COLUMN stored_bytes_quota bigint NOT NULL DEFAULT 0
        CONSTRAINT namespace_stored_bytes_quota_valid CHECK (stored_bytes_quota >= 0),
    ADD COLUMN logical_bytes_quota bigint NOT NULL DEFAULT 0
        CONSTRAINT namespace_logical_bytes_quota_valid CHECK (logical_bytes_quota >= 0),
    ADD COLUMN open_uploads_quota bigint NOT NULL DEFAULT 0
        CONSTRAINT namespace_open_uploads_quota_valid CHECK (open_uploads_quota >= 0);

CREATE TABLE namespace_usage (
    namespace_id   bigint PRIMARY KEY REFERENCES namespace,
    -- Of blobs, each once.
    stored_bytes   bigint NOT NULL DEFAULT 0,
    -- Of open uploads, whole, however much of them has come.
    reserved_bytes bigint NOT NULL DEFAULT 0,
    -- Of all versions' files, as if no two shared a blob; deleted versions count until purged.
    logical_bytes  bigint NOT NULL DEFAULT 0,
    open_uploads   bigint NOT NULL DEFAULT 0
);

-- What the counters must be.
CREATE VIEW namespace_usage_counted AS
SELECT n.namespace_id,
    coalesce((SELECT sum(b.size_bytes) FROM blob b
              WHERE b.namespace_id = n.namespace_id), 0)::bigint AS stored_bytes,
    coalesce((SELECT sum(u.size_bytes) FROM upload u WHERE u.namespace_id = n.namespace_id
              AND u.state IN ('active', 'verifying')), 0)::bigint AS reserved_bytes,
    coalesce((SELECT sum(v.total_bytes) FROM version v WHERE v.namespace_id = n.namespace_id
              AND v.state <> 'purged'), 0)::bigint AS logical_bytes,
    (SELECT count(*) FROM upload u WHERE u.namespace_id = n.namespace_id
     AND u.state IN ('active', 'verifying')) AS open_uploads
FROM namespace n;

-- Add to what this transaction changes. It is kept in a setting that ends with the transaction,
-- and that a savepoint takes back as well.
CREATE FUNCTION note_usage(
    of_namespace bigint, stored bigint, reserved bigint, logical bigint, uploads bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    noted  jsonb := coalesce(nullif(current_setting('modelkeep.usage', true), ''), '{}')::jsonb;
    before jsonb := coalesce(noted -> of_namespace::text, '[0, 0, 0, 0]');
BEGIN
    PERFORM set_config('modelkeep.usage', (noted || jsonb_build_object(of_namespace,
        jsonb_build_array((before ->> 0)::bigint + stored, (before ->> 1)::bigint + reserved,
                          (before ->> 2)::bigint + logical, (before ->> 3)::bigint + uploads)
    ))::text, true);
END $$;

CREATE FUNCTION count_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    way integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM note_usage(namespace_id, way * sum(size_bytes)::bigint, 0, 0, 0)
    FROM changed GROUP BY namespace_id;
    RETURN NULL;
END $$;

CREATE FUNCTION count_upload() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before boolean := TG_OP <> 'INSERT' AND OLD.state IN ('active', 'verifying');
    after  boolean := TG_OP <> 'DELETE' AND NEW.state IN ('active', 'verifying');
BEGIN
    IF before THEN
        PERFORM note_usage(OLD.namespace_id, 0, -OLD.size_bytes, 0, -1);
    END IF;
    IF after THEN
        PERFORM note_usage(NEW.namespace_id, 0, NEW.size_bytes, 0, 1);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE WHEN TG_OP = 'INSERT' OR OLD.state = 'purged' THEN 0
                          ELSE OLD.total_bytes END;
    after  bigint := CASE WHEN TG_OP = 'DELETE' OR NEW.state = 'purged' THEN 0
                          ELSE NEW.total_bytes END;
BEGIN
    IF before <> after THEN
        PERFORM note_usage(coalesce(NEW.namespace_id, OLD.namespace_id), 0, 0, after - before, 0);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION refuse_beyond_quota(
    of_namespace text, quota text, quota_value bigint, used bigint, asked bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- What takes nothing more is never refused, even where a quota was set below what is taken.
    IF quota_value > 0 AND asked > 0 AND used > quota_value THEN
        RAISE EXCEPTION 'quota % of namespace % is exceeded', quota, of_namespace
            USING ERRCODE = 'check_violation', CONSTRAINT = 'namespace_quota',
            DETAIL = jsonb_build_object('namespace', of_namespace, 'quota', quota,
                'limit', quota_value, 'used', used - asked, 'asked', asked)::text;
    END IF;
END $$;

CREATE FUNCTION settle_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('modelkeep.usage', true), '');
    more  record;
    used  namespace_usage;
    quota namespace;
BEGIN
    IF noted = '' THEN
        RETURN NULL;  -- the first row of the transaction has settled for all
    END IF;
    PERFORM set_config('modelkeep.usage', '', true);
    FOR more IN
        SELECT key::bigint AS namespace_id, (value ->> 0)::bigint AS stored,
            (value ->> 1)::bigint AS reserved, (value ->> 2)::bigint AS logical,
            (value ->> 3)::bigint AS uploads
        FROM jsonb_each(noted::jsonb) ORDER BY 1
    LOOP
        UPDATE namespace_usage u SET stored_bytes = u.stored_bytes + more.stored,
            reserved_bytes = u.reserved_bytes + more.reserved,
            logical_bytes = u.logical_bytes + more.logical,
            open_uploads = u.open_uploads + more.uploads
        WHERE u.namespace_id = more.namespace_id RETURNING u.* INTO used;
        -- Read once the row is ours, so that these are the quotas of now.
        SELECT n.* INTO quota FROM namespace n WHERE n.namespace_id = more.namespace_id;
        PERFORM refuse_beyond_quota(quota.name, 'stored_bytes', quota.stored_bytes_quota,
            used.stored_bytes + used.reserved_bytes, more.stored + more.reserved);
        PERFORM refuse_beyond_quota(quota.name, 'logical_bytes', quota.logical_bytes_quota,
            used.logical_bytes, more.logical);
        PERFORM refuse_beyond_quota(quota.name, 'open_uploads', quota.open_uploads_quota,
            used.open_uploads, more.uploads);
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION begin_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO namespace_usage (namespace_id) VALUES (NEW.namespace_id);
    RETURN NULL;
END $$;

CREATE TRIGGER namespace_usage_begun AFTER INSERT ON namespace
    FOR EACH ROW EXECUTE FUNCTION begin_usage();
CREATE TRIGGER blob_counted_in AFTER INSERT ON blob REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_blobs();
CREATE TRIGGER blob_counted_out AFTER DELETE ON blob REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_blobs();
CREATE TRIGGER upload_counted AFTER INSERT OR UPDATE OF state OR DELETE ON upload
    FOR EACH ROW EXECUTE FUNCTION count_upload();
CREATE TRIGGER version_counted AFTER INSERT OR UPDATE OF state, total_bytes OR DELETE ON version
    FOR EACH ROW EXECUTE FUNCTION count_version();
CREATE CONSTRAINT TRIGGER blob_usage_settled AFTER INSERT OR DELETE ON blob
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_usage();
CREATE CONSTRAINT TRIGGER upload_usage_settled AFTER INSERT OR UPDATE OF state OR DELETE ON upload
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_usage();
CREATE CONSTRAINT TRIGGER version_usage_settled
    AFTER INSERT OR UPDATE OF state, total_bytes OR DELETE ON version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_usage();

-- The triggers keep all others from writing until this commits, so nothing is counted twice.
INSERT INTO namespace_usage (namespace_id, stored_bytes, reserved_bytes, logical_bytes, open_uploads)
SELECT namespace_id, stored_bytes, reserved_bytes, logical_bytes, open_uploads
FROM namespace_usage_counted;
