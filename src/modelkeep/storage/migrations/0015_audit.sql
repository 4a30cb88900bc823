-- What the head of a chain of audit events was, signed by the server's key.
CREATE TABLE audit_checkpoint (
    namespace_id bigint NOT NULL REFERENCES namespace,
    seq          bigint NOT NULL CHECK (seq > 0),
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    signed_at    timestamptz NOT NULL,
    public_key   bytea NOT NULL CHECK (length(public_key) = 32),
    signature    bytea NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (namespace_id, seq)
);
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
