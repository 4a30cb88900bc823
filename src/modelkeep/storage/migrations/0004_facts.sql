-- What is inside files, what a namespace thinks of pickles, and why a version is set aside.

ALTER TABLE namespace ADD COLUMN pickle_policy text NOT NULL DEFAULT 'warn'
    CONSTRAINT namespace_pickle_policy_known CHECK (pickle_policy IN ('allow', 'warn', 'quarantine'));

ALTER TABLE version
    -- json, not jsonb: read as text, and most often '[]', which nobody needs to parse.
    ADD COLUMN warnings json NOT NULL DEFAULT '[]',
    ADD COLUMN quarantine_reason text NOT NULL DEFAULT '';
UPDATE version SET quarantine_reason = 'set aside before reasons were kept'
    WHERE 'quarantined' IN (state, deleted_from);
ALTER TABLE version ADD CONSTRAINT version_quarantined_says_why
    CHECK (state <> 'quarantined' OR quarantine_reason <> '');

-- Facts belong to bytes: found once for a blob, whatever files of whatever versions have it.
CREATE TABLE blob_facts (
    namespace_id    bigint NOT NULL,
    digest          bytea NOT NULL,
    -- Which rules found them; facts of older rules are found again.
    rules           integer NOT NULL CHECK (rules > 0),
    format          text NOT NULL,
    tensor_count    bigint CHECK (tensor_count >= 0),
    parameter_count bigint CHECK (parameter_count >= 0),
    dtypes          text[] NOT NULL,
    architecture    text NOT NULL,
    quantisation    text NOT NULL,
    opset           bigint,
    pickle_verdict  text NOT NULL
                    CHECK (pickle_verdict IN ('none', 'plain', 'imports', 'dangerous', 'unknown')),
    -- All facts, these included.
    facts           json NOT NULL,
    inspected_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace_id, digest),
    CONSTRAINT blob_facts_of_blob
        FOREIGN KEY (namespace_id, digest) REFERENCES blob ON DELETE CASCADE
);
