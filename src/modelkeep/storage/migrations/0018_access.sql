-- Who may do what: API tokens, and what principals and groups were given. Both are asked before a
-- caller has been permitted anything, so they belong to no namespace; and nothing here is secret
-- but what cannot be turned back into a token.

CREATE TABLE api_token (
    token_id      text COLLATE "C" CONSTRAINT api_token_unique PRIMARY KEY
                  CHECK (token_id ~ '^[0-9a-f]{16}$'),
    -- SHA-256 of the token's text.
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    principal     text COLLATE "C" NOT NULL CHECK (principal ~ '^(user|service):'),
    description   text NOT NULL,
    groups        jsonb NOT NULL,
    scopes        jsonb NOT NULL,
    creator       text NOT NULL CHECK (creator <> ''),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    -- Written in batches, so it may lag a minute behind.
    last_used_at  timestamptz,
    revoked_at    timestamptz
);
CREATE INDEX api_token_of_principal ON api_token (principal, token_id);

-- A model keeps what was given in it when it is renamed, hence ids. NULL is wider: all models of the
-- namespace, or the registry as a whole.
CREATE TABLE role_binding (
    binding_id   text COLLATE "C" CONSTRAINT role_binding_id_unique PRIMARY KEY
                 CHECK (binding_id ~ '^[0-9a-f]{16}$'),
    principal    text COLLATE "C" NOT NULL CHECK (principal ~ '^(user|service|group):'),
    role         text NOT NULL CHECK
                 (role IN ('reader', 'contributor', 'approver', 'deployer', 'admin', 'auditor')),
    namespace_id bigint REFERENCES namespace,
    model_id     bigint REFERENCES model,
    stage        text COLLATE "C" NOT NULL DEFAULT '',
    alias        text COLLATE "C" NOT NULL DEFAULT '',
    reason       text NOT NULL DEFAULT '',
    creator      text NOT NULL CHECK (creator <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT role_binding_model_is_in_namespace
        CHECK (model_id IS NULL OR namespace_id IS NOT NULL),
    CONSTRAINT role_binding_one_limit CHECK (stage = '' OR alias = '')
);
CREATE UNIQUE INDEX role_binding_once ON role_binding
    (principal, role, coalesce(namespace_id, 0), coalesce(model_id, 0), stage, alias);
CREATE INDEX role_binding_of_namespace ON role_binding (namespace_id, binding_id);

-- What the actor presented: `token:` and the id of the token. Empty in what is older.
ALTER TABLE audit_event ADD COLUMN credential text NOT NULL DEFAULT '';
