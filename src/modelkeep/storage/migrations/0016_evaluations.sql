-- Evaluations: figures that were measured of sealed versions. Nothing of them ever changes, but
-- that another supersedes one.

CREATE TABLE evaluation (
    evaluation_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What its name ends with; chosen by chance.
    key              text COLLATE "C" NOT NULL CHECK (key ~ '^[0-9a-f]{16}$'),
    namespace_id     bigint NOT NULL REFERENCES namespace,
    model_id         bigint NOT NULL REFERENCES model,
    version_id       bigint NOT NULL REFERENCES version,
    dataset_name     text COLLATE "C" NOT NULL CHECK (dataset_name <> ''),
    dataset_revision text COLLATE "C" NOT NULL CHECK (dataset_revision <> ''),
    dataset_digest   bytea CHECK (length(dataset_digest) = 32),
    suite            text COLLATE "C" NOT NULL CHECK (suite <> ''),
    evaluator        text COLLATE "C" NOT NULL CHECK (evaluator <> ''),
    run_at           timestamptz NOT NULL,
    note             text NOT NULL DEFAULT '',
    actor            text NOT NULL CHECK (actor <> ''),
    created_at       timestamptz NOT NULL DEFAULT now(),
    metric_count     int NOT NULL CHECK (metric_count > 0),
    supersedes_id    bigint REFERENCES evaluation,
    superseded_at    timestamptz,
    CONSTRAINT evaluation_key_unique UNIQUE (version_id, key),
    CONSTRAINT evaluation_superseded_once UNIQUE (supersedes_id),
    CONSTRAINT evaluation_supersedes_another CHECK (supersedes_id <> evaluation_id)
);
CREATE INDEX evaluation_of_version ON evaluation (version_id, evaluation_id);
CREATE INDEX evaluation_by_suite ON evaluation (model_id, suite) WHERE superseded_at IS NULL;

CREATE TABLE evaluation_metric (
    evaluation_id  bigint NOT NULL REFERENCES evaluation,
    position       int NOT NULL,
    name           text COLLATE "C" NOT NULL CHECK (name <> ''),
    slice          text COLLATE "C" NOT NULL,
    value          double precision NOT NULL,
    direction      text NOT NULL CHECK (direction IN ('higher', 'lower')),
    unit           text NOT NULL,
    sample_count   bigint CHECK (sample_count > 0),
    standard_error double precision CHECK (standard_error >= 0),
    ci_low         double precision,
    ci_high        double precision,
    ci_level       double precision NOT NULL CHECK (ci_level > 0.5 AND ci_level < 1),
    is_proportion  boolean NOT NULL,
    -- Scores of the single examples in the order of their ids, 8 bytes each, and SHA-256 of these
    -- ids, one in a line: those of equal ids compare example by example.
    examples       bytea CHECK (length(examples) = 32),
    scores         bytea CHECK (length(scores) % 8 = 0),
    PRIMARY KEY (evaluation_id, position),
    CONSTRAINT evaluation_metric_once UNIQUE (evaluation_id, name, slice),
    -- In Postgres NaN is greater than everything, and equal to itself.
    CONSTRAINT evaluation_metric_finite
        CHECK (value > '-Infinity' AND value < 'Infinity' AND standard_error < 'Infinity'
            AND ci_low > '-Infinity' AND ci_high < 'Infinity'),
    CONSTRAINT evaluation_metric_interval
        CHECK (num_nonnulls(ci_low, ci_high) <> 1 AND ci_low <= ci_high),
    CONSTRAINT evaluation_metric_proportion
        CHECK (NOT is_proportion OR (value BETWEEN 0 AND 1 AND sample_count IS NOT NULL)),
    CONSTRAINT evaluation_metric_scores CHECK (num_nonnulls(examples, scores) <> 1)
);

CREATE FUNCTION refuse_evaluation_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'evaluation' AND TG_OP = 'UPDATE' THEN
        IF OLD.superseded_at IS NULL AND to_jsonb(NEW) - 'superseded_at'
                = to_jsonb(OLD) - 'superseded_at' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'an evaluation never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'evaluation_append_only';
END $$;
CREATE TRIGGER evaluation_append_only BEFORE UPDATE OR DELETE ON evaluation
    FOR EACH ROW EXECUTE FUNCTION refuse_evaluation_change();
CREATE TRIGGER evaluation_metric_append_only BEFORE UPDATE OR DELETE ON evaluation_metric
    FOR EACH ROW EXECUTE FUNCTION refuse_evaluation_change();

-- Search finds each figure once: that of the last run that nothing supersedes.
CREATE UNIQUE INDEX version_metric_evaluated_once
    ON version_metric (version_id, name, dataset, slice) WHERE source = 'evaluated';
