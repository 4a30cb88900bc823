-- Models move to other namespaces: their rows follow, and blobs that are to come are held. ADR 0036.

-- A blob that a model needs in the namespace it is to move to: no garbage until then, whether it is
-- there already or is being copied.
CREATE TABLE blob_hold (
    namespace_id bigint NOT NULL REFERENCES namespace,
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    model_id     bigint NOT NULL REFERENCES model,
    held_until   timestamptz NOT NULL,
    PRIMARY KEY (namespace_id, digest, model_id)
);
CREATE INDEX blob_hold_of_model ON blob_hold (model_id);
CREATE INDEX blob_hold_by_age ON blob_hold (held_until);

-- What never changes may follow its model, and only there: nothing else of the row differs.
CREATE FUNCTION only_followed(before jsonb, after jsonb, home bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
SELECT (after ->> 'namespace_id')::bigint IS NOT DISTINCT FROM home
    AND before ->> 'namespace_id' <> after ->> 'namespace_id'
    AND before - 'namespace_id' = after - 'namespace_id'
$$;

-- As before, but a version may follow its model, a purged one too.
CREATE OR REPLACE FUNCTION refuse_change_of_sealed_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.namespace_id <> OLD.namespace_id THEN
        IF only_followed(to_jsonb(OLD), to_jsonb(NEW),
            (SELECT m.namespace_id FROM model m WHERE m.model_id = NEW.model_id))
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'version % is not where its model is', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
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

-- As before, but files may follow their version. The foreign key sees that their bytes are there.
CREATE OR REPLACE FUNCTION refuse_change_of_sealed_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF only_followed(to_jsonb(OLD), to_jsonb(NEW),
            (SELECT v.namespace_id FROM version v WHERE v.version_id = NEW.version_id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    IF EXISTS (SELECT FROM version
               WHERE version_id IN (OLD.version_id, NEW.version_id) AND finalized_at IS NOT NULL
               AND (state <> 'purged' OR TG_OP <> 'DELETE'))
    THEN
        RAISE EXCEPTION 'the files of version % are sealed', COALESCE(OLD.version_id, NEW.version_id)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
-- Which replacing it has taken back: an invariant looks at all there is.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION refuse_change_of_sealed_files() SECURITY DEFINER SET search_path = %I, pg_temp',
        current_schema());
END $$;

CREATE OR REPLACE FUNCTION refuse_evaluation_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'evaluation' AND TG_OP = 'UPDATE' THEN
        IF OLD.superseded_at IS NULL AND to_jsonb(NEW) - 'superseded_at'
                = to_jsonb(OLD) - 'superseded_at' THEN
            RETURN NEW;
        END IF;
        IF only_followed(to_jsonb(OLD), to_jsonb(NEW),
            (SELECT m.namespace_id FROM model m WHERE m.model_id = NEW.model_id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'an evaluation never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'evaluation_append_only';
END $$;

CREATE OR REPLACE FUNCTION refuse_signature_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF only_followed(to_jsonb(OLD), to_jsonb(NEW),
            (SELECT v.namespace_id FROM version v WHERE v.version_id = NEW.version_id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a signature never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'signature_append_only';
END $$;

CREATE OR REPLACE FUNCTION refuse_change_of_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    home bigint;
BEGIN
    IF TG_TABLE_NAME = 'transition' AND TG_OP = 'UPDATE' THEN
        IF OLD.state IS NULL
            AND to_jsonb(NEW) - '{state,ended_at,end_actor,end_reason,assignment_id}'::text[]
                = to_jsonb(OLD) - '{state,ended_at,end_actor,end_reason,assignment_id}'::text[] THEN
            RETURN NEW;
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF TG_TABLE_NAME = 'transition' THEN
            home := (SELECT m.namespace_id FROM model m WHERE m.model_id = NEW.model_id);
        ELSIF TG_TABLE_NAME = 'transition_verdict' THEN
            home := (SELECT t.namespace_id FROM transition t
                     WHERE t.transition_id = NEW.transition_id);
        ELSE
            home := (SELECT a.namespace_id FROM stage_assignment a
                     WHERE a.assignment_id = NEW.assignment_id);
        END IF;
        IF only_followed(to_jsonb(OLD), to_jsonb(NEW), home) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'what was asked, said and judged about a move never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'transition_append_only';
END $$;

-- Where something ran is known by the environment's name, which is the same in both namespaces.
CREATE OR REPLACE FUNCTION refuse_deployment_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ended_at IS NULL
            AND to_jsonb(NEW) - '{ended_at,outcome,ended_by,end_reason,exclusive}'::text[]
                = to_jsonb(OLD) - '{ended_at,outcome,ended_by,end_reason,exclusive}'::text[] THEN
            RETURN NEW;
        END IF;
        IF only_followed(to_jsonb(OLD) - 'environment_id', to_jsonb(NEW) - 'environment_id',
                (SELECT m.namespace_id FROM model m WHERE m.model_id = NEW.model_id))
            AND EXISTS (
                SELECT FROM environment o JOIN environment n ON n.name = o.name
                WHERE o.environment_id = OLD.environment_id
                AND n.environment_id = NEW.environment_id AND n.namespace_id = NEW.namespace_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a deployment that has ended never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_append_only';
END $$;

-- A version that follows its model takes its bytes along from one namespace's usage to the other's.
CREATE OR REPLACE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE WHEN TG_OP = 'INSERT' OR OLD.state = 'purged' THEN 0
                          ELSE OLD.total_bytes END;
    after  bigint := CASE WHEN TG_OP = 'DELETE' OR NEW.state = 'purged' THEN 0
                          ELSE NEW.total_bytes END;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.namespace_id <> OLD.namespace_id THEN
        PERFORM note_usage(OLD.namespace_id, 0, 0, -before, 0);
        PERFORM note_usage(NEW.namespace_id, 0, 0, after, 0);
    ELSIF before <> after THEN
        PERFORM note_usage(coalesce(NEW.namespace_id, OLD.namespace_id), 0, 0, after - before, 0);
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER version_counted ON version;
CREATE TRIGGER version_counted
    AFTER INSERT OR UPDATE OF state, total_bytes, namespace_id OR DELETE ON version
    FOR EACH ROW EXECUTE FUNCTION count_version();
DROP TRIGGER version_usage_settled ON version;
CREATE CONSTRAINT TRIGGER version_usage_settled
    AFTER INSERT OR UPDATE OF state, total_bytes, namespace_id OR DELETE ON version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_usage();
