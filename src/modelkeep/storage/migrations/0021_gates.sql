-- Gate policies, transitions with their verdicts, and what became of the gates at each move.

-- What a namespace, or a model, has before a stage. `rules` is the policy as the domain writes it.
CREATE TABLE gate_policy (
    policy_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL REFERENCES namespace,
    model_id     bigint REFERENCES model,
    stage        text NOT NULL,
    rules        json NOT NULL,
    actor        text NOT NULL CHECK (actor <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    revision     bigint NOT NULL DEFAULT 1,
    CONSTRAINT gate_policy_stage_gated CHECK (stage IN ('staging', 'production'))
);
CREATE UNIQUE INDEX gate_policy_of_model ON gate_policy (model_id, stage)
    WHERE model_id IS NOT NULL;
CREATE UNIQUE INDEX gate_policy_of_namespace ON gate_policy (namespace_id, stage)
    WHERE model_id IS NULL;
CREATE INDEX gate_policy_in_namespace ON gate_policy (namespace_id, model_id, stage);

-- Which way metrics get better in what was measured on a dataset last: a policy must know.
CREATE INDEX evaluation_on_dataset ON evaluation (namespace_id, dataset_name, evaluation_id DESC)
    WHERE superseded_at IS NULL;

CREATE TABLE transition (
    transition_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What its name ends with; chosen by chance.
    key                 text COLLATE "C" NOT NULL CHECK (key ~ '^[0-9a-f]{16}$'),
    namespace_id        bigint NOT NULL REFERENCES namespace,
    model_id            bigint NOT NULL REFERENCES model,
    version_id          bigint NOT NULL REFERENCES version,
    origin              text NOT NULL,
    target              text NOT NULL,
    reason              text NOT NULL CHECK (reason <> ''),
    requester           text COLLATE "C" NOT NULL CHECK (requester <> ''),
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,
    replaces_version_id bigint REFERENCES version,
    -- How it ended; NULL while it is open.
    state               text,
    ended_at            timestamptz,
    end_actor           text NOT NULL DEFAULT '',
    end_reason          text NOT NULL DEFAULT '',
    -- The move that it became.
    assignment_id       bigint REFERENCES stage_assignment,
    CONSTRAINT transition_key_unique UNIQUE (version_id, key),
    CONSTRAINT transition_leads_elsewhere CHECK (origin <> target),
    CONSTRAINT transition_expires CHECK (expires_at > created_at),
    CONSTRAINT transition_ends_somehow
        CHECK (state IN ('committed', 'cancelled', 'expired', 'stale')),
    CONSTRAINT transition_ended_is_dated
        CHECK ((state IS NULL) = (ended_at IS NULL) AND (state IS NULL) = (end_actor = '')),
    CONSTRAINT transition_committed_is_a_move
        CHECK ((state IS NOT DISTINCT FROM 'committed') = (assignment_id IS NOT NULL)),
    -- Verdicts refer to both, so that a verdict knows whose request it is about.
    CONSTRAINT transition_of_requester UNIQUE (transition_id, requester)
);
CREATE UNIQUE INDEX transition_one_open ON transition (version_id, target) WHERE state IS NULL;
CREATE INDEX transition_in_namespace ON transition (namespace_id, transition_id DESC);
CREATE INDEX transition_of_model ON transition (model_id, transition_id DESC);
CREATE INDEX transition_of_version ON transition (version_id, transition_id DESC);
CREATE INDEX transition_open_by_age ON transition (expires_at) WHERE state IS NULL;
CREATE UNIQUE INDEX transition_of_assignment ON transition (assignment_id)
    WHERE assignment_id IS NOT NULL;

CREATE TABLE transition_verdict (
    verdict_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id  bigint NOT NULL REFERENCES namespace,
    transition_id bigint NOT NULL,
    requester     text COLLATE "C" NOT NULL,
    approver      text COLLATE "C" NOT NULL CHECK (approver <> ''),
    approved      boolean NOT NULL,
    comment       text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    roles         text[] NOT NULL,
    groups        text[] NOT NULL,
    -- Invariant: nobody judges what they asked for themselves, whoever runs the statement.
    CONSTRAINT transition_verdict_of_request
        FOREIGN KEY (transition_id, requester) REFERENCES transition (transition_id, requester),
    CONSTRAINT transition_four_eyes CHECK (approver <> requester),
    CONSTRAINT transition_rejection_says_why CHECK (approved OR comment <> '')
);
CREATE INDEX transition_verdict_in_order ON transition_verdict (transition_id, verdict_id);

-- What became of each gate at a move: on what evidence a version stands where it stands.
CREATE TABLE gate_result (
    assignment_id bigint NOT NULL REFERENCES stage_assignment,
    position      int NOT NULL,
    namespace_id  bigint NOT NULL REFERENCES namespace,
    -- The gate as the domain writes it.
    gate          json NOT NULL,
    passed        boolean NOT NULL,
    sentence      text NOT NULL,
    evidence      text NOT NULL,
    policy        text NOT NULL,
    judged_at     timestamptz NOT NULL,
    PRIMARY KEY (assignment_id, position)
);

-- Invariant: who asked for what, and who said what, is never taken back; a transition ends once.
CREATE FUNCTION refuse_change_of_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'transition' AND TG_OP = 'UPDATE' THEN
        IF OLD.state IS NULL
            AND to_jsonb(NEW) - '{state,ended_at,end_actor,end_reason,assignment_id}'::text[]
                = to_jsonb(OLD) - '{state,ended_at,end_actor,end_reason,assignment_id}'::text[] THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'what was asked, said and judged about a move never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'transition_append_only';
END $$;
CREATE TRIGGER transition_append_only BEFORE UPDATE OR DELETE ON transition
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_transition();
CREATE TRIGGER transition_verdict_append_only BEFORE UPDATE OR DELETE ON transition_verdict
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_transition();
CREATE TRIGGER gate_result_append_only BEFORE UPDATE OR DELETE ON gate_result
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_transition();

-- Invariant: the times at which versions of a model stood in production do not overlap. A model by
-- itself as a range, because that needs no extension.
ALTER TABLE stage_assignment ADD CONSTRAINT stage_assignment_one_at_a_time
    EXCLUDE USING gist
        (int8range(model_id, model_id, '[]') WITH &&, tstzrange(valid_from, valid_to) WITH &&)
    WHERE (stage = 'production');
