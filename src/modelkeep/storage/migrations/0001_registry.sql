-- Namespaces, models, versions, files, blobs, aliases, stages; audit chain, event log, idempotency.
-- Names that people choose compare by bytes (COLLATE "C"), so that paging and ordering do not
-- depend on the machine's locale.

CREATE TABLE setting (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE namespace (
    namespace_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text COLLATE "C" NOT NULL CONSTRAINT namespace_name_unique UNIQUE,
    description  text NOT NULL,
    labels       jsonb NOT NULL,
    creator      text NOT NULL CHECK (creator <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    revision     bigint NOT NULL DEFAULT 1
);

CREATE TABLE model (
    model_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL REFERENCES namespace,
    name         text COLLATE "C" NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('model', 'adapter', 'pipeline', 'prompt')),
    owner        text NOT NULL,
    description  text NOT NULL,
    labels       jsonb NOT NULL,
    creator      text NOT NULL CHECK (creator <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz,
    last_ordinal bigint NOT NULL DEFAULT 0,
    revision     bigint NOT NULL DEFAULT 1,
    CONSTRAINT model_name_unique UNIQUE (namespace_id, name)
);

-- A row exists only for bytes whose SHA-256 the server computed itself.
CREATE TABLE blob (
    namespace_id bigint NOT NULL REFERENCES namespace,
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    storage_key  text NOT NULL CONSTRAINT blob_storage_key_unique UNIQUE,
    crc32c       bigint NOT NULL CHECK (crc32c BETWEEN 0 AND 4294967295),
    creator      text NOT NULL CHECK (creator <> ''),
    verified_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace_id, digest)
);

CREATE TABLE version (
    version_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id    bigint NOT NULL REFERENCES namespace,
    model_id        bigint NOT NULL REFERENCES model,
    ordinal         bigint NOT NULL CHECK (ordinal > 0),
    version         text COLLATE "C" NOT NULL,
    semver_key      text COLLATE "C" NOT NULL,
    prerelease      boolean NOT NULL,
    state           text NOT NULL CHECK (state IN ('draft', 'ready', 'quarantined', 'deleted')),
    deleted_from    text CHECK (deleted_from IN ('draft', 'ready', 'quarantined')),
    stage           text NOT NULL DEFAULT 'development',
    manifest_digest bytea CHECK (length(manifest_digest) = 32),
    file_count      integer NOT NULL DEFAULT 0,
    total_bytes     bigint NOT NULL DEFAULT 0,
    -- json, not jsonb: the text of numbers is kept, so that 1.0 does not come back as 1.
    content         json NOT NULL,
    base_version_id bigint REFERENCES version,
    labels          jsonb NOT NULL,
    description     text NOT NULL,
    card            text NOT NULL,
    creator         text NOT NULL CHECK (creator <> ''),
    create_client   text NOT NULL CHECK (create_client <> ''),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finalized_at    timestamptz,
    deleted_at      timestamptz,
    revision        bigint NOT NULL DEFAULT 1,
    CONSTRAINT version_ordinal_unique UNIQUE (model_id, ordinal),
    CONSTRAINT version_semver_unique UNIQUE (model_id, version),
    CONSTRAINT version_sealed_is_whole CHECK
        (state IN ('draft', 'deleted') OR (manifest_digest IS NOT NULL AND finalized_at IS NOT NULL)),
    CONSTRAINT version_draft_is_open CHECK (state <> 'draft' OR finalized_at IS NULL),
    CONSTRAINT version_deleted_says_from CHECK
        ((state = 'deleted') = (deleted_at IS NOT NULL)
         AND (state = 'deleted') = (deleted_from IS NOT NULL))
);
CREATE INDEX version_by_semver ON version (model_id, semver_key DESC, ordinal DESC)
    WHERE state = 'ready';
CREATE INDEX version_by_manifest ON version (model_id, manifest_digest, ordinal DESC);
CREATE INDEX version_by_base ON version (base_version_id) WHERE base_version_id IS NOT NULL;

-- The foreign key is the promise that every file of a version has verified bytes.
CREATE TABLE version_file (
    version_id   bigint NOT NULL REFERENCES version,
    namespace_id bigint NOT NULL,
    path         text COLLATE "C" NOT NULL,
    digest       bytea NOT NULL,
    size_bytes   bigint NOT NULL,
    media_type   text NOT NULL,
    PRIMARY KEY (version_id, path),
    CONSTRAINT version_file_blob_exists FOREIGN KEY (namespace_id, digest) REFERENCES blob
);
CREATE UNIQUE INDEX version_file_path_unique_ignoring_case ON version_file (version_id, lower(path));
CREATE INDEX version_file_by_blob ON version_file (namespace_id, digest);

CREATE TABLE alias_assignment (
    assignment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id  bigint NOT NULL REFERENCES namespace,
    model_id      bigint NOT NULL REFERENCES model,
    alias         text COLLATE "C" NOT NULL,
    version_id    bigint NOT NULL REFERENCES version,
    reason        text NOT NULL,
    actor         text NOT NULL CHECK (actor <> ''),
    valid_from    timestamptz NOT NULL DEFAULT now(),
    valid_to      timestamptz CHECK (valid_to >= valid_from)
);
CREATE UNIQUE INDEX alias_assignment_one_open ON alias_assignment (model_id, alias)
    WHERE valid_to IS NULL;
CREATE INDEX alias_assignment_by_version ON alias_assignment (version_id) WHERE valid_to IS NULL;
CREATE INDEX alias_assignment_history ON alias_assignment (model_id, alias, valid_from DESC);

CREATE TABLE stage_assignment (
    assignment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id  bigint NOT NULL REFERENCES namespace,
    model_id      bigint NOT NULL REFERENCES model,
    version_id    bigint NOT NULL REFERENCES version,
    stage         text NOT NULL,
    reason        text NOT NULL,
    actor         text NOT NULL CHECK (actor <> ''),
    valid_from    timestamptz NOT NULL DEFAULT now(),
    valid_to      timestamptz CHECK (valid_to >= valid_from)
);
CREATE UNIQUE INDEX stage_assignment_one_open ON stage_assignment (version_id)
    WHERE valid_to IS NULL;
CREATE UNIQUE INDEX stage_assignment_one_in_production ON stage_assignment (model_id)
    WHERE valid_to IS NULL AND stage = 'production';
CREATE INDEX stage_assignment_history ON stage_assignment (model_id, stage, valid_from DESC);

-- One row a namespace, held to commit by whoever appends: sequence order is commit order.
CREATE TABLE event_counter (
    namespace_id bigint PRIMARY KEY REFERENCES namespace,
    last_seq     bigint NOT NULL DEFAULT 0,
    last_hash    bytea NOT NULL CHECK (length(last_hash) = 32)
);

CREATE TABLE audit_event (
    namespace_id bigint NOT NULL REFERENCES namespace,
    seq          bigint NOT NULL CHECK (seq > 0),
    occurred_at  timestamptz NOT NULL,
    actor        text NOT NULL CHECK (actor <> ''),
    client       text NOT NULL,
    request_id   text NOT NULL,
    action       text NOT NULL,
    resource     text NOT NULL,
    before       json,
    after        json,
    prev_hash    bytea NOT NULL CHECK (length(prev_hash) = 32),
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (namespace_id, seq)
);

CREATE TABLE event_log (
    namespace_id bigint NOT NULL REFERENCES namespace,
    seq          bigint NOT NULL,
    occurred_at  timestamptz NOT NULL,
    action       text NOT NULL,
    resource     text NOT NULL,
    payload      json NOT NULL,
    PRIMARY KEY (namespace_id, seq)
);

CREATE TABLE idempotency_key (
    principal   text NOT NULL,
    request_id  text NOT NULL,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    answer      json,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, request_id)
);
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);

-- Invariant: the content of a sealed version never changes, whoever runs the statement.
CREATE FUNCTION refuse_change_of_sealed_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finalized_at IS NOT NULL AND
       (NEW.content::text, NEW.manifest_digest, NEW.file_count, NEW.total_bytes, NEW.finalized_at)
       IS DISTINCT FROM
       (OLD.content::text, OLD.manifest_digest, OLD.file_count, OLD.total_bytes, OLD.finalized_at)
    THEN
        RAISE EXCEPTION 'version % is sealed', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    IF (NEW.model_id, NEW.ordinal, NEW.version, NEW.created_at, NEW.creator)
       IS DISTINCT FROM (OLD.model_id, OLD.ordinal, OLD.version, OLD.created_at, OLD.creator)
    THEN
        RAISE EXCEPTION 'identity of version % cannot change', OLD.version_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER version_sealed BEFORE UPDATE ON version
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sealed_version();

CREATE FUNCTION refuse_change_of_sealed_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM version
               WHERE version_id IN (OLD.version_id, NEW.version_id) AND finalized_at IS NOT NULL)
    THEN
        RAISE EXCEPTION 'the files of version % are sealed', COALESCE(OLD.version_id, NEW.version_id)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'version_sealed';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER version_file_sealed BEFORE INSERT OR UPDATE OR DELETE ON version_file
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sealed_files();

-- Invariant: what the audit log says is never taken back.
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_append_only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
