-- How long things last: deleted versions until they are purged, names of models for ever.

ALTER TABLE version
    -- When a deleted version's content goes for good; NULL: only if somebody asks.
    ADD COLUMN purge_at timestamptz,
    ADD COLUMN purged_at timestamptz,
    DROP CONSTRAINT version_state_check,
    DROP CONSTRAINT version_sealed_is_whole,
    DROP CONSTRAINT version_deleted_says_from,
    ADD CONSTRAINT version_state_known
        CHECK (state IN ('draft', 'ready', 'quarantined', 'deleted', 'purged')),
    ADD CONSTRAINT version_sealed_is_whole CHECK
        (state IN ('draft', 'deleted', 'purged')
         OR (manifest_digest IS NOT NULL AND finalized_at IS NOT NULL)),
    ADD CONSTRAINT version_deleted_says_from CHECK
        ((state IN ('deleted', 'purged')) = (deleted_at IS NOT NULL)
         AND (state IN ('deleted', 'purged')) = (deleted_from IS NOT NULL)),
    ADD CONSTRAINT version_purged_says_when CHECK ((state = 'purged') = (purged_at IS NOT NULL));
CREATE INDEX version_to_purge ON version (purge_at) WHERE state = 'deleted';

-- Every name a model ever had. A name that was a model's stays its own, so an old name is never
-- answered by another model.
CREATE TABLE model_name (
    namespace_id bigint NOT NULL REFERENCES namespace,
    name         text COLLATE "C" NOT NULL,
    model_id     bigint NOT NULL REFERENCES model,
    since        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_name_taken PRIMARY KEY (namespace_id, name)
);
INSERT INTO model_name (namespace_id, name, model_id, since)
SELECT namespace_id, name, model_id, created_at FROM model;
CREATE INDEX model_name_by_model ON model_name (model_id);

-- As before, but a version may be purged: its content goes, what it was stays. Nothing leads back.
CREATE OR REPLACE FUNCTION refuse_change_of_sealed_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finalized_at IS NOT NULL AND
       (NEW.manifest_digest, NEW.file_count, NEW.total_bytes, NEW.finalized_at)
       IS DISTINCT FROM
       (OLD.manifest_digest, OLD.file_count, OLD.total_bytes, OLD.finalized_at)
       OR OLD.finalized_at IS NOT NULL AND NEW.state <> 'purged'
       AND NEW.content::text IS DISTINCT FROM OLD.content::text
    THEN
        RAISE EXCEPTION 'version % is sealed', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    IF OLD.state = 'purged' OR (NEW.state = 'purged' AND OLD.state <> 'deleted') THEN
        RAISE EXCEPTION 'version % is purged, or not deleted', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_purged';
    END IF;
    IF (NEW.model_id, NEW.ordinal, NEW.version, NEW.created_at, NEW.creator)
       IS DISTINCT FROM (OLD.model_id, OLD.ordinal, OLD.version, OLD.created_at, OLD.creator)
    THEN
        RAISE EXCEPTION 'identity of version % cannot change', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION refuse_change_of_sealed_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM version
               WHERE version_id IN (OLD.version_id, NEW.version_id) AND finalized_at IS NOT NULL
               AND (state <> 'purged' OR TG_OP <> 'DELETE'))
    THEN
        RAISE EXCEPTION 'the files of version % are sealed', COALESCE(OLD.version_id, NEW.version_id)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
