-- Signatures over sealed versions, and whom a namespace trusts. A signature never changes; of a
-- trusted signer nothing ever does but that it is revoked, once.

CREATE TABLE signature (
    signature_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What its name ends with; chosen by chance.
    key          text COLLATE "C" NOT NULL CHECK (key ~ '^[0-9a-f]{16}$'),
    namespace_id bigint NOT NULL REFERENCES namespace,
    version_id   bigint NOT NULL REFERENCES version,
    bundle       bytea NOT NULL CHECK (length(bundle) BETWEEN 1 AND 2097152),
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    kind         text NOT NULL CHECK (kind IN ('key', 'identity')),
    key_hint     text NOT NULL,
    identities   text[] NOT NULL,
    issuer       text NOT NULL,
    actor        text NOT NULL CHECK (actor <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signature_key_unique UNIQUE (version_id, key),
    CONSTRAINT signature_bundle_unique UNIQUE (version_id, digest)
);
CREATE INDEX signature_of_version ON signature (version_id, signature_id);

CREATE TABLE trusted_signer (
    trusted_signer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id      bigint NOT NULL REFERENCES namespace,
    name              text COLLATE "C" NOT NULL CHECK (name <> ''),
    public_key        text NOT NULL,
    identity          text NOT NULL,
    issuer            text NOT NULL,
    roots             text NOT NULL,
    log_key           text NOT NULL,
    key_id            text NOT NULL,
    algorithm         text NOT NULL,
    not_before        timestamptz,
    not_after         timestamptz,
    description       text NOT NULL,
    actor             text NOT NULL CHECK (actor <> ''),
    created_at        timestamptz NOT NULL DEFAULT now(),
    revoked_at        timestamptz,
    revoked_by        text NOT NULL DEFAULT '',
    revoke_reason     text NOT NULL DEFAULT '',
    distrusted_from   timestamptz,
    CONSTRAINT trusted_signer_name_unique UNIQUE (namespace_id, name),
    CONSTRAINT trusted_signer_is_key_or_identity CHECK
        ((public_key = '') <> (identity = '') AND (identity = '') = (roots = '')),
    CONSTRAINT trusted_signer_window CHECK (not_before < not_after),
    CONSTRAINT trusted_signer_revocation CHECK
        ((revoked_at IS NULL) = (revoked_by = '') AND (revoked_at IS NULL) = (revoke_reason = '')
         AND (distrusted_from IS NULL OR revoked_at IS NOT NULL))
);

CREATE FUNCTION refuse_signature_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a signature never changes'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'signature_append_only';
END $$;
CREATE TRIGGER signature_append_only BEFORE UPDATE OR DELETE ON signature
    FOR EACH ROW EXECUTE FUNCTION refuse_signature_change();

CREATE FUNCTION refuse_trust_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    revocation text[] := '{revoked_at,revoked_by,revoke_reason,distrusted_from}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.revoked_at IS NULL AND to_jsonb(NEW) - revocation = to_jsonb(OLD) - revocation THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a trusted signer never changes; it is revoked, once'
        USING ERRCODE = 'raise_exception', CONSTRAINT = 'trusted_signer_append_only';
END $$;
CREATE TRIGGER trusted_signer_append_only BEFORE UPDATE OR DELETE ON trusted_signer
    FOR EACH ROW EXECUTE FUNCTION refuse_trust_change();
