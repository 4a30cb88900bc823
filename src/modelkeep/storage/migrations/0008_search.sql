-- What versions are searched by: columns, rows and indexes made of their content, labels and texts.
--
-- Triggers make them, within the statement that changes the version, so that they are in step
-- whoever runs it, a replica of an older build included, and cost no round trip.

ALTER TABLE version
    -- From the content; NULL where it says nothing.
    ADD COLUMN framework text COLLATE "C",
    ADD COLUMN task text COLLATE "C",
    ADD COLUMN architecture text COLLATE "C",
    ADD COLUMN provider text COLLATE "C",
    ADD COLUMN hosted_model text COLLATE "C",
    ADD COLUMN source_repository text COLLATE "C",
    ADD COLUMN source_commit text COLLATE "C",
    ADD COLUMN base_uri text COLLATE "C",
    -- Words of the version's number, description and card.
    ADD COLUMN words tsvector;

-- The words are taken as they are written ('simple'): names, codes and languages other than English
-- are found as well. A card's words beyond its first 65,536 characters are not found: a tsvector
-- has a limit of 1 MB.
ALTER TABLE model ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple',
    name || ' ' || translate(name, '-_.', '   ') || ' ' || description)) STORED;

CREATE FUNCTION version_words(version text, description text, card text) RETURNS tsvector
LANGUAGE sql IMMUTABLE AS $$
SELECT to_tsvector('simple', version || ' ' || description || ' ' || left(card, 65536))
$$;

CREATE TABLE version_label (
    version_id   bigint NOT NULL REFERENCES version,
    namespace_id bigint NOT NULL,
    key          text COLLATE "C" NOT NULL,
    value        text COLLATE "C" NOT NULL,
    PRIMARY KEY (version_id, key)
);
CREATE INDEX version_label_by_value ON version_label (namespace_id, key, value, version_id);

-- A figure: reported by who made the version (part of its content), or found by an evaluation.
CREATE TABLE version_metric (
    version_id   bigint NOT NULL REFERENCES version,
    namespace_id bigint NOT NULL,
    model_id     bigint NOT NULL,
    name         text COLLATE "C" NOT NULL CHECK (name <> ''),
    value        double precision NOT NULL,
    source       text NOT NULL DEFAULT 'reported' CHECK (source IN ('reported', 'evaluated')),
    -- `name@revision`; '' for none. And which part of it: `lang=de`; '' for all.
    dataset      text COLLATE "C" NOT NULL DEFAULT '',
    slice        text COLLATE "C" NOT NULL DEFAULT '',
    direction    text NOT NULL DEFAULT '' CHECK (direction IN ('', 'higher', 'lower')),
    sample_count bigint CHECK (sample_count >= 0),
    ci_low       double precision,
    ci_high      double precision,
    CONSTRAINT version_metric_reported_is_plain
        CHECK (source <> 'reported' OR (dataset = '' AND slice = ''))
);
CREATE UNIQUE INDEX version_metric_reported_once ON version_metric (version_id, name)
    WHERE source = 'reported';
CREATE INDEX version_metric_by_value ON version_metric (namespace_id, name, value, version_id)
    WHERE source = 'reported';
CREATE INDEX version_metric_in_model ON version_metric (model_id, name, value, version_id)
    WHERE source = 'reported';
CREATE INDEX version_metric_evaluated
    ON version_metric (namespace_id, name, dataset, slice, value, version_id)
    WHERE source = 'evaluated';
CREATE INDEX version_metric_evaluated_of ON version_metric (version_id, name)
    WHERE source = 'evaluated';

-- Exactly one of the values is there, with the type that the parameter has.
CREATE TABLE version_parameter (
    version_id   bigint NOT NULL REFERENCES version,
    namespace_id bigint NOT NULL,
    name         text COLLATE "C" NOT NULL,
    number_value numeric,
    text_value   text COLLATE "C",
    bool_value   boolean,
    PRIMARY KEY (version_id, name),
    CONSTRAINT version_parameter_has_one_value
        CHECK (num_nonnulls(number_value, text_value, bool_value) = 1)
);
CREATE INDEX version_parameter_by_number
    ON version_parameter (namespace_id, name, number_value, version_id)
    WHERE number_value IS NOT NULL;
-- An entry of an index has room for so much.
CREATE INDEX version_parameter_by_text
    ON version_parameter (namespace_id, name, left(text_value, 128), version_id)
    WHERE text_value IS NOT NULL;

CREATE TABLE version_dataset (
    version_id   bigint NOT NULL REFERENCES version,
    namespace_id bigint NOT NULL,
    name         text COLLATE "C" NOT NULL,
    revision     text COLLATE "C" NOT NULL
);
CREATE INDEX version_dataset_of ON version_dataset (version_id);
CREATE INDEX version_dataset_by_name ON version_dataset (namespace_id, name, revision, version_id);

CREATE FUNCTION metrics_in(content json) RETURNS TABLE (name text, value double precision)
LANGUAGE sql IMMUTABLE AS $$
SELECT m ->> 'name', (m ->> 'value')::double precision
FROM json_array_elements(coalesce(content -> 'metrics', '[]')) m
$$;

CREATE FUNCTION datasets_in(content json) RETURNS TABLE (name text, revision text)
LANGUAGE sql IMMUTABLE AS $$
SELECT DISTINCT d ->> 'name', d ->> 'revision'
FROM json_array_elements(coalesce(content -> 'datasets', '[]')) d
$$;

-- Of a model spec its parameters, of a prompt spec its sampling; lists are left out.
CREATE FUNCTION parameters_in(content json)
RETURNS TABLE (name text, number_value numeric, text_value text, bool_value boolean)
LANGUAGE sql IMMUTABLE AS $$
SELECT p.key,
    CASE WHEN p.kind = 'number' THEN (p.value #>> '{}')::numeric END,
    CASE WHEN p.kind = 'string' THEN p.value #>> '{}' END,
    CASE WHEN p.kind = 'boolean' THEN (p.value #>> '{}')::boolean END
FROM (SELECT key, value, json_typeof(value) AS kind FROM json_each(
      coalesce(content #> '{spec,parameters}', content #> '{spec,sampling}', '{}'))) p
WHERE p.kind IN ('number', 'string', 'boolean')
$$;

-- Orders, each within a namespace and within a model, and what is looked for most.
CREATE INDEX version_in_namespace ON version (namespace_id, version_id);
CREATE INDEX version_in_model ON version (model_id, version_id);
CREATE INDEX version_created ON version (namespace_id, created_at, version_id);
CREATE INDEX version_created_in_model ON version (model_id, created_at, version_id);
CREATE INDEX version_updated ON version (namespace_id, updated_at, version_id);
CREATE INDEX version_updated_in_model ON version (model_id, updated_at, version_id);
CREATE INDEX version_finalized ON version (namespace_id, finalized_at, version_id);
CREATE INDEX version_finalized_in_model ON version (model_id, finalized_at, version_id);
CREATE INDEX version_by_size ON version (namespace_id, total_bytes, version_id);
CREATE INDEX version_by_size_in_model ON version (model_id, total_bytes, version_id);
CREATE INDEX version_by_precedence ON version (model_id, semver_key, version_id);
CREATE INDEX version_by_stage ON version (namespace_id, stage, version_id);
CREATE INDEX version_by_creator ON version (namespace_id, creator, version_id);
CREATE INDEX version_by_framework ON version (namespace_id, framework, version_id);
CREATE INDEX version_by_task ON version (namespace_id, task, version_id);
CREATE INDEX version_by_commit ON version (namespace_id, source_commit, version_id)
    WHERE source_commit IS NOT NULL;
CREATE INDEX version_by_words ON version USING gin (words);
CREATE INDEX alias_assignment_by_alias ON alias_assignment (namespace_id, alias, version_id)
    WHERE valid_to IS NULL;
CREATE INDEX blob_facts_by_format ON blob_facts (namespace_id, format);
CREATE INDEX blob_facts_by_parameters ON blob_facts (namespace_id, parameter_count);

-- What a key says of a value the planner would otherwise take for chance.
CREATE STATISTICS version_label_pairs (mcv, ndistinct, dependencies)
    ON namespace_id, key, value FROM version_label;
ALTER TABLE version_label ALTER COLUMN value SET STATISTICS 1000;
ALTER TABLE version ALTER COLUMN words SET STATISTICS 500;

-- What is there already. The version's own triggers stay out of it: nothing about it changes.
ALTER TABLE version DISABLE TRIGGER USER;
UPDATE version SET
    framework = nullif(content #>> '{spec,framework}', ''),
    task = nullif(content #>> '{spec,task}', ''),
    architecture = nullif(content #>> '{spec,architecture}', ''),
    provider = nullif(content #>> '{spec,provider}', ''),
    hosted_model = nullif(content #>> '{spec,hosted_model}', ''),
    source_repository = nullif(content #>> '{source,repository}', ''),
    source_commit = nullif(content #>> '{source,commit}', ''),
    base_uri = nullif(content #>> '{spec,base,uri}', ''),
    words = version_words(version, description, card);
ALTER TABLE version ENABLE TRIGGER USER;
INSERT INTO version_label (version_id, namespace_id, key, value)
SELECT v.version_id, v.namespace_id, l.key, l.value FROM version v, jsonb_each_text(v.labels) l;
INSERT INTO version_metric (version_id, namespace_id, model_id, name, value)
SELECT v.version_id, v.namespace_id, v.model_id, m.name, m.value
FROM version v, metrics_in(v.content) m;
INSERT INTO version_parameter (version_id, namespace_id, name, number_value, text_value, bool_value)
SELECT v.version_id, v.namespace_id, p.* FROM version v, parameters_in(v.content) p;
INSERT INTO version_dataset (version_id, namespace_id, name, revision)
SELECT v.version_id, v.namespace_id, d.* FROM version v, datasets_in(v.content) d;

CREATE FUNCTION describe_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.framework := nullif(NEW.content #>> '{spec,framework}', '');
    NEW.task := nullif(NEW.content #>> '{spec,task}', '');
    NEW.architecture := nullif(NEW.content #>> '{spec,architecture}', '');
    NEW.provider := nullif(NEW.content #>> '{spec,provider}', '');
    NEW.hosted_model := nullif(NEW.content #>> '{spec,hosted_model}', '');
    NEW.source_repository := nullif(NEW.content #>> '{source,repository}', '');
    NEW.source_commit := nullif(NEW.content #>> '{source,commit}', '');
    NEW.base_uri := nullif(NEW.content #>> '{spec,base,uri}', '');
    NEW.words := version_words(NEW.version, NEW.description, NEW.card);
    RETURN NEW;
END $$;
CREATE TRIGGER version_described
    BEFORE INSERT OR UPDATE OF content, description, card ON version
    FOR EACH ROW EXECUTE FUNCTION describe_version();

CREATE FUNCTION index_version_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.labels = OLD.labels THEN
            RETURN NULL;
        END IF;
        DELETE FROM version_label WHERE version_id = NEW.version_id;
    END IF;
    INSERT INTO version_label (version_id, namespace_id, key, value)
    SELECT NEW.version_id, NEW.namespace_id, l.key, l.value FROM jsonb_each_text(NEW.labels) l;
    RETURN NULL;
END $$;
CREATE TRIGGER version_labels_indexed AFTER INSERT OR UPDATE OF labels ON version
    FOR EACH ROW EXECUTE FUNCTION index_version_labels();

-- Evaluated figures stay: they are not part of the content. Those of a purged version go.
CREATE FUNCTION index_version_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM version_metric WHERE version_id = NEW.version_id
            AND (source = 'reported' OR NEW.state = 'purged');
        DELETE FROM version_parameter WHERE version_id = NEW.version_id;
        DELETE FROM version_dataset WHERE version_id = NEW.version_id;
    END IF;
    INSERT INTO version_metric (version_id, namespace_id, model_id, name, value)
    SELECT NEW.version_id, NEW.namespace_id, NEW.model_id, m.name, m.value
    FROM metrics_in(NEW.content) m;
    INSERT INTO version_parameter
        (version_id, namespace_id, name, number_value, text_value, bool_value)
    SELECT NEW.version_id, NEW.namespace_id, p.* FROM parameters_in(NEW.content) p;
    INSERT INTO version_dataset (version_id, namespace_id, name, revision)
    SELECT NEW.version_id, NEW.namespace_id, d.* FROM datasets_in(NEW.content) d;
    RETURN NULL;
END $$;
CREATE TRIGGER version_content_indexed AFTER INSERT OR UPDATE OF content ON version
    FOR EACH ROW EXECUTE FUNCTION index_version_content();
