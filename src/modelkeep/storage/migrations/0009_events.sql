-- Events are told to subscribers: who acted, what was there before, and how far the past is gone.

ALTER TABLE event_log
    ADD COLUMN actor text NOT NULL DEFAULT '',
    ADD COLUMN before json;
UPDATE event_log l SET actor = a.actor, before = a.before
    FROM audit_event a WHERE a.namespace_id = l.namespace_id AND a.seq = l.seq;

-- Events up to this sequence have been deleted; there are no gaps behind it.
ALTER TABLE event_counter ADD COLUMN compacted_seq bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT event_counter_compacts_the_past
        CHECK (compacted_seq BETWEEN 0 AND last_seq);

-- Deliveries are derived from the log behind `cursor_seq`, in the transaction that advances it.
CREATE TABLE webhook (
    webhook_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid              text COLLATE "C" NOT NULL CONSTRAINT webhook_uid_unique UNIQUE
                     CHECK (uid ~ '^[0-9a-f]{16}$'),
    namespace_id     bigint NOT NULL REFERENCES namespace,
    url              text NOT NULL,
    description      text NOT NULL,
    filter           jsonb NOT NULL,
    -- Encrypted by the server's key, and bound to the uid.
    secret           bytea NOT NULL,
    -- The one before, which signs beside the present one for a while.
    previous_secret  bytea,
    previous_until   timestamptz,
    enabled          boolean NOT NULL DEFAULT true,
    disabled_reason  text NOT NULL DEFAULT '',
    cursor_seq       bigint NOT NULL CHECK (cursor_seq >= 0),
    -- Since when nothing but failure; NULL while the last attempt succeeded.
    failing_since    timestamptz,
    last_success_at  timestamptz,
    creator          text NOT NULL CHECK (creator <> ''),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    revision         bigint NOT NULL DEFAULT 1,
    CONSTRAINT webhook_disabled_says_why CHECK (enabled = (disabled_reason = '')),
    CONSTRAINT webhook_previous_secret_ends
        CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);
CREATE INDEX webhook_by_namespace ON webhook (namespace_id, uid);

-- Of the pending deliveries of one webhook about one resource only the first is ready: it has a
-- `next_attempt_at`. The others wait for it.
CREATE TABLE webhook_delivery (
    webhook_id      bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
    seq             bigint NOT NULL,
    action          text NOT NULL,
    resource        text NOT NULL,
    state           text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- Counts the attempts that were begun, and fences them.
    attempts        integer NOT NULL DEFAULT 0,
    -- Those since it was last made ready, which is since when its patience counts.
    tries           integer NOT NULL DEFAULT 0,
    ready_at        timestamptz,
    next_attempt_at timestamptz,
    -- Somebody attempts it and has so long; then it is due again.
    leased_until    timestamptz,
    planned_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    error           text NOT NULL DEFAULT '',
    PRIMARY KEY (webhook_id, seq),
    CONSTRAINT webhook_delivery_finished_says_when
        CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT webhook_delivery_finished_is_not_due
        CHECK (state = 'pending' OR next_attempt_at IS NULL)
);
CREATE UNIQUE INDEX webhook_delivery_one_ready ON webhook_delivery (webhook_id, resource)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, resource, seq)
    WHERE state = 'pending';
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook_id, seq)
    WHERE state = 'pending';
CREATE INDEX webhook_delivery_failed ON webhook_delivery (webhook_id, seq DESC)
    WHERE state = 'failed';
CREATE INDEX webhook_delivery_to_forget ON webhook_delivery (finished_at)
    WHERE finished_at IS NOT NULL;

CREATE TABLE webhook_attempt (
    webhook_id  bigint NOT NULL,
    seq         bigint NOT NULL,
    number      integer NOT NULL CHECK (number > 0),
    started_at  timestamptz NOT NULL,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    -- NULL if there was no answer; `error` then says why.
    status      integer,
    error       text NOT NULL,
    -- The beginning of the answer's body.
    response    text NOT NULL,
    PRIMARY KEY (webhook_id, seq, number),
    CONSTRAINT webhook_attempt_delivery FOREIGN KEY (webhook_id, seq)
        REFERENCES webhook_delivery ON DELETE CASCADE
);
