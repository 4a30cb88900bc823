-- Risk tiers of models, what their versions are judged by, and what compliance reports go by.

ALTER TABLE model
    ADD COLUMN risk_tier text NOT NULL DEFAULT 'unclassified'
        CONSTRAINT model_risk_tier_known
        CHECK (risk_tier IN ('unclassified', 'low', 'medium', 'high', 'critical')),
    -- Days between evaluations of versions that people rely on; 0 for those of the tier.
    ADD COLUMN revalidation_days integer NOT NULL DEFAULT 0
        CONSTRAINT model_revalidation_days_in_range CHECK (revalidation_days BETWEEN 0 AND 3650);

CREATE TABLE evaluation_plan (
    model_id     bigint PRIMARY KEY REFERENCES model,
    namespace_id bigint NOT NULL REFERENCES namespace,
    plan         json NOT NULL,
    actor        text NOT NULL CHECK (actor <> ''),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    revision     bigint NOT NULL DEFAULT 1
);

-- What stood in a stage that people rely on, and what ran, at an instant: what is still so lies at
-- the end.
CREATE INDEX stage_assignment_relied_on ON stage_assignment
    (namespace_id, (coalesce(valid_to, 'infinity'))) WHERE stage IN ('staging', 'production');
CREATE INDEX deployment_relied_on ON deployment
    (namespace_id, (coalesce(ended_at, 'infinity')));
