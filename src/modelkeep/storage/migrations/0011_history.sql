-- Next versions, protected aliases, and histories.

-- What a draft's files will be, if its maker said so; tells a push that was cut its own draft again.
ALTER TABLE version ADD COLUMN intended_digest bytea
    CONSTRAINT version_intended_digest_is_sha256 CHECK (length(intended_digest) = 32);
CREATE INDEX version_by_intent ON version (model_id, intended_digest, ordinal DESC)
    WHERE state = 'draft' AND intended_digest IS NOT NULL;
-- Every release whatever its state: a version that was deleted is not made a second time.
CREATE INDEX version_by_release ON version (model_id, semver_key DESC) WHERE NOT prerelease;

-- Which aliases of a model, or of all models of a namespace, not everybody may move.
CREATE TABLE alias_protection (
    protection_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id  bigint NOT NULL REFERENCES namespace,
    model_id      bigint REFERENCES model,
    pattern       text COLLATE "C" NOT NULL CHECK (pattern <> ''),
    reason        text NOT NULL CHECK (reason <> ''),
    actor         text NOT NULL CHECK (actor <> ''),
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX alias_protection_of_model ON alias_protection (model_id, pattern)
    WHERE model_id IS NOT NULL;
CREATE UNIQUE INDEX alias_protection_of_namespace ON alias_protection (namespace_id, pattern)
    WHERE model_id IS NULL;

-- The newest first of one model: who moved what, and everything that happened.
CREATE INDEX stage_assignment_by_model ON stage_assignment (model_id, assignment_id DESC);
CREATE INDEX audit_event_by_model ON audit_event
    (namespace_id, (split_part(resource, '/', 4)), seq DESC)
    WHERE split_part(resource, '/', 3) = 'models';
