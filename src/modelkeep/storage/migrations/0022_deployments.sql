-- Environments, and what ran in them from when to when.

CREATE TABLE environment (
    environment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id   bigint NOT NULL REFERENCES namespace,
    name           text COLLATE "C" NOT NULL,
    description    text NOT NULL,
    labels         jsonb NOT NULL,
    stages         text[] NOT NULL,
    allow_several  boolean NOT NULL,
    creator        text NOT NULL CHECK (creator <> ''),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    revision       bigint NOT NULL DEFAULT 1,
    CONSTRAINT environment_name_unique UNIQUE (namespace_id, name),
    CONSTRAINT environment_stages_known
        CHECK (stages <@ ARRAY['development', 'staging', 'production'])
);

CREATE TABLE deployment (
    deployment_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What its name ends with; chosen by chance.
    key            text COLLATE "C" NOT NULL CHECK (key ~ '^[0-9a-f]{16}$'),
    namespace_id   bigint NOT NULL REFERENCES namespace,
    model_id       bigint NOT NULL REFERENCES model,
    version_id     bigint NOT NULL REFERENCES version,
    environment_id bigint NOT NULL CONSTRAINT deployment_environment_exists REFERENCES environment,
    -- Where the version stood when this was recorded.
    stage          text NOT NULL,
    target         text NOT NULL,
    labels         jsonb NOT NULL,
    reason         text NOT NULL,
    actor          text NOT NULL CHECK (actor <> ''),
    started_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    outcome        text CHECK (outcome IN ('succeeded', 'failed', 'superseded', 'rolled_back')),
    ended_by       text CHECK (ended_by <> ''),
    end_reason     text,
    rollback_of_id bigint REFERENCES deployment,
    -- Whether nothing else of the model may have run there meanwhile.
    exclusive      boolean NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT deployment_key_unique UNIQUE (model_id, key),
    CONSTRAINT deployment_ends_after_start CHECK (ended_at > started_at),
    CONSTRAINT deployment_end_is_whole
        CHECK (num_nulls(ended_at, outcome, ended_by, end_reason) IN (0, 4)),
    -- Ids as ranges of one: a plain comparison in such an index would need an extension.
    CONSTRAINT deployment_one_at_a_time EXCLUDE USING gist (
        int8range(model_id, model_id, '[]') WITH &&,
        int8range(environment_id, environment_id, '[]') WITH &&,
        tstzrange(started_at, ended_at) WITH &&) WHERE (exclusive)
);
CREATE INDEX deployment_by_namespace ON deployment (namespace_id, deployment_id DESC);
CREATE INDEX deployment_by_model ON deployment (model_id, deployment_id DESC);
CREATE INDEX deployment_by_start ON deployment (model_id, started_at DESC, deployment_id DESC);
CREATE INDEX deployment_by_place ON deployment (environment_id, model_id, started_at DESC);
CREATE INDEX deployment_running_by_version ON deployment (version_id) WHERE ended_at IS NULL;

-- Invariant: what was recorded stays; only its end is added, once.
CREATE FUNCTION refuse_deployment_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ended_at IS NULL
            AND to_jsonb(NEW) - '{ended_at,outcome,ended_by,end_reason,exclusive}'::text[]
                = to_jsonb(OLD) - '{ended_at,outcome,ended_by,end_reason,exclusive}'::text[] THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a deployment that has ended never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_append_only';
END $$;
CREATE TRIGGER deployment_append_only BEFORE UPDATE OR DELETE ON deployment
    FOR EACH ROW EXECUTE FUNCTION refuse_deployment_change();

-- Invariant: what runs somewhere is not deleted, whoever runs the statement. A version is locked
-- before it is deployed, so the one of the two that comes second sees the other.
CREATE FUNCTION refuse_deletion_of_deployed_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM deployment WHERE version_id = OLD.version_id AND ended_at IS NULL) THEN
        RAISE EXCEPTION 'version % is deployed', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_deployed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER version_deployed BEFORE UPDATE OF state ON version FOR EACH ROW
    WHEN (NEW.state IN ('deleted', 'purged') AND NEW.state <> OLD.state)
    EXECUTE FUNCTION refuse_deletion_of_deployed_version();
