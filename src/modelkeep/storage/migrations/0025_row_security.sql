-- A second wall behind the conditions of our statements: whoever acts as the server's role sees and
-- changes rows of those namespaces only that the session says are seen. ADR 0028 has the reasons.
--
-- The owner of the tables is not held by it: migrations, dumps and replicas of an older build work
-- as before. The server's connections act as a role that owns nothing, and refuse to work as any
-- for which the wall does not stand.

-- What is seen: names in one setting, and the rows they are of in another, found once for many
-- statements. Where nothing is set, nothing is seen.
CREATE FUNCTION seen_namespaces() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT coalesce(nullif(current_setting('modelkeep.namespaces', true), ''), '{}')::text[]
$$;
CREATE FUNCTION seen_namespace_ids() RETURNS bigint[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT coalesce(nullif(current_setting('modelkeep.namespace_ids', true), ''), '{}')::bigint[]
$$;

-- Show these namespaces from now on, or everything; the rows they are, NULL for one that is not.
-- The server says the same by itself once it knows the rows (storage/database.py).
CREATE FUNCTION show_namespaces(names text[], everything boolean) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM set_config('modelkeep.sees_everything', CASE WHEN everything THEN 'on' ELSE '' END, false);
    PERFORM set_config('modelkeep.namespaces', names::text, false);
    ids := ARRAY(SELECT n.namespace_id FROM unnest(names) WITH ORDINALITY AS u (name, place)
                 LEFT JOIN namespace n ON n.name = u.name ORDER BY u.place);
    PERFORM set_config('modelkeep.namespace_ids', array_remove(ids, NULL)::text, false);
    RETURN ids;
END $$;

-- Whoever may make a namespace sees what is made with it. Before `namespace_usage_begun`, by name.
CREATE FUNCTION see_new_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('modelkeep.namespace_ids',
        (seen_namespace_ids() || NEW.namespace_id)::text, false);
    RETURN NULL;
END $$;
CREATE TRIGGER namespace_seen AFTER INSERT ON namespace
    FOR EACH ROW EXECUTE FUNCTION see_new_namespace();

-- The role that the server acts as: named after the owner, so that two registries in one cluster
-- share it only if they share their owner, who may read both anyhow.
CREATE FUNCTION server_role() RETURNS text LANGUAGE sql STABLE AS $$
SELECT left(pg_get_userbyid(relowner)::text, 59) || '_app'
FROM pg_class WHERE oid = 'namespace'::regclass
$$;

-- What is tested for each row; sub-queries without a column of it are evaluated once for a
-- statement. That it takes the form of a comparison with 0 is for the planner: it guesses that most
-- rows are shown, which they are, as the statement asks for the same by itself.
CREATE FUNCTION condition_of_seeing(by text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT format('CASE WHEN %s THEN 1 WHEN current_setting(''modelkeep.sees_everything'', true) = ''on''
    THEN 1 ELSE 0 END <> 0', by)
$$;

-- Show rows of a table where this holds, and take no others. Does nothing if it was done before.
CREATE FUNCTION show_rows(of_table regclass, by text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = of_table) THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', of_table);
        EXECUTE format('CREATE POLICY seen ON %s USING (%s)', of_table, condition_of_seeing(by));
    END IF;
END $$;

-- Show rows of a table as far as the rows are shown that they belong to. Not by EXISTS, for which
-- the planner may read the whole of the other table first.
CREATE FUNCTION show_rows_with(of_table regclass, owner regclass, key name) RETURNS void
LANGUAGE sql AS $$
SELECT show_rows(of_table,
    format('(SELECT true FROM %1$s o WHERE o.%2$I = %3$s.%2$I)', owner, key, of_table))
$$;

-- Put up the wall in front of every table that says whose its rows are, and let the server do its
-- work behind it. `modelkeep migrate` calls this at its end; it changes what is not so yet.
CREATE FUNCTION secure_rows() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ours record;
    role text := server_role();
    append_only text[] := '{audit_event, audit_checkpoint, evaluation_metric, setting}';
BEGIN
    PERFORM admit_server(role);
    FOR ours IN
        SELECT c.oid::regclass AS name, c.relname, c.relkind, EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'namespace_id'
            AND NOT a.attisdropped) AS has_namespace, EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'namespace_id'
            AND NOT a.attnotnull) AS may_have_none
        FROM pg_class c JOIN pg_class k ON k.oid = 'namespace'::regclass
        WHERE c.relnamespace = k.relnamespace AND c.relowner = k.relowner
        AND c.relkind IN ('r', 'p', 'v') ORDER BY c.oid
    LOOP
        IF ours.relkind <> 'v' AND ours.has_namespace THEN
            PERFORM show_rows(ours.name, CASE ours.relname
                WHEN 'namespace' THEN 'name = ANY ((SELECT seen_namespaces())::text[])'
                ELSE CASE WHEN ours.may_have_none THEN 'namespace_id IS NULL OR ' ELSE '' END
                    || 'namespace_id = ANY ((SELECT seen_namespace_ids())::bigint[])' END);
        END IF;
        IF NOT has_table_privilege(role, ours.name, 'SELECT') THEN
            EXECUTE format('GRANT %s ON %s TO %I', CASE
                WHEN ours.relkind = 'v' OR ours.relname = 'schema_migration' THEN 'SELECT'
                WHEN ours.relname = ANY (append_only) THEN 'SELECT, INSERT'
                ELSE 'SELECT, INSERT, UPDATE, DELETE' END, ours.name, role);
        END IF;
    END LOOP;
END $$;

-- Make the role unless it is there, and let who runs this act as it.
CREATE FUNCTION admit_server(role text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    acting text := CASE WHEN current_setting('server_version_num')::int >= 160000
                        THEN 'SET' ELSE 'MEMBER' END;
    schema text := (SELECT relnamespace::regnamespace::text FROM pg_class
                    WHERE oid = 'namespace'::regclass);
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        IF NOT pg_has_role(current_user, role, acting) THEN
            EXECUTE format('GRANT %I TO %I', role, current_user);
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;  -- made at the same time, for another database of the same owner
        WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'the database user % may not make the role that the server acts as',
                current_user USING ERRCODE = 'insufficient_privilege', HINT = format(
                'have an administrator run: CREATE ROLE %1$I NOLOGIN; GRANT %1$I TO %2$I',
                role, current_user);
    END;
    IF NOT has_schema_privilege(role, schema, 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', schema, role);
    END IF;
END $$;

SELECT show_rows_with('upload_part', 'upload', 'upload_id');
SELECT show_rows_with('upload_claim', 'upload', 'upload_id');
SELECT show_rows_with('webhook_delivery', 'webhook', 'webhook_id');
SELECT show_rows_with('webhook_attempt', 'webhook', 'webhook_id');
SELECT show_rows_with('evaluation_metric', 'evaluation', 'evaluation_id');
-- Seen from both ends only: what a version elsewhere is made from is told there.
SELECT show_rows('lineage_edge',
    '(SELECT true FROM lineage_node o WHERE o.node_id = lineage_edge.source_id)
    AND (SELECT true FROM lineage_node o WHERE o.node_id = lineage_edge.target_id)');

-- What a view shows is what its reader may see, not what its owner may.
ALTER VIEW namespace_usage_counted SET (security_invoker = true);

-- Postgres vouches for few operators that they tell nothing of the rows they look at. Others it
-- applies behind the wall only, and so by no index: words, sums, numerics, parts of a text, coalesce.
-- Where one of these leads to the rows, a view of the owner's is searched that has the wall's
-- condition in it.
CREATE FUNCTION show_for_search(of_table regclass, columns text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %I AS SELECT %s FROM %s WHERE %s', of_table || '_to_search', columns,
        of_table, condition_of_seeing('namespace_id = ANY ((SELECT seen_namespace_ids())::bigint[])'));
END $$;
SELECT show_for_search('version', 'version_id, namespace_id, model_id, words');
SELECT show_for_search('model', 'model_id, namespace_id, words');
SELECT show_for_search('version_parameter',
    'version_id, namespace_id, name, number_value, text_value, bool_value');
SELECT show_for_search('audit_event',
    'namespace_id, seq, occurred_at, actor, client, request_id, action, resource, before, after');

SELECT show_for_search('stage_assignment',
    'namespace_id, assignment_id, version_id, stage, valid_from, valid_to');
SELECT show_for_search('event_log', 'namespace_id, seq, occurred_at');
SELECT show_for_search('deployment',
    'namespace_id, version_id, environment_id, started_at, ended_at');

-- An invariant looks at all there is, or a file could be slipped into a version that is not seen.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION refuse_change_of_sealed_files() SECURITY DEFINER SET search_path = %I, pg_temp',
        current_schema());
END $$;

SELECT secure_rows();
