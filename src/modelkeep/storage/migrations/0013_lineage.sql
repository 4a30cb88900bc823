-- Lineage: what sealed versions were made from, and what was made from them.

CREATE TABLE lineage_node (
    node_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL REFERENCES namespace,
    kind         text NOT NULL CHECK (kind IN ('version', 'dataset', 'code', 'hosted_model', 'other')),
    -- Of a version both are empty: its model may be given another name.
    name         text COLLATE "C" NOT NULL,
    revision     text COLLATE "C" NOT NULL,
    version_id   bigint REFERENCES version,
    -- SHA-256 of what tells the node from others; names may be longer than an index takes.
    key          bytea NOT NULL CHECK (length(key) = 32),
    CONSTRAINT lineage_node_unique UNIQUE (namespace_id, key),
    CONSTRAINT lineage_node_of_version CHECK ((kind = 'version') = (version_id IS NOT NULL))
);
CREATE INDEX lineage_node_by_dataset ON lineage_node (namespace_id, name) WHERE kind = 'dataset';

-- The target was made from, or with, the source.
CREATE TABLE lineage_edge (
    source_id  bigint NOT NULL REFERENCES lineage_node,
    target_id  bigint NOT NULL REFERENCES lineage_node,
    relation   text NOT NULL,
    -- Whether the target's own sealed content says so; such an edge stays as long as the version.
    sealed     boolean NOT NULL,
    reason     text NOT NULL DEFAULT '',
    actor      text NOT NULL CHECK (actor <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, target_id, relation),
    CONSTRAINT lineage_edge_between_two CHECK (source_id <> target_id)
);
CREATE INDEX lineage_edge_by_target ON lineage_edge (target_id);

-- What the versions say that are sealed already.
CREATE TEMPORARY TABLE said ON COMMIT DROP AS
SELECT v.version_id, v.namespace_id, v.creator, v.finalized_at, s.kind, s.name, s.revision,
    s.relation, NULL::bigint AS base_id, NULL::bigint AS base_namespace_id
FROM version v CROSS JOIN LATERAL (
    SELECT 'dataset' AS kind, d ->> 'name' AS name, d ->> 'revision' AS revision,
        coalesce(nullif(d ->> 'role', 'unspecified'), 'dataset') AS relation
    FROM json_array_elements(coalesce(v.content -> 'datasets', '[]')) d
    UNION ALL SELECT 'code', v.content #>> '{source,repository}',
        coalesce(v.content #>> '{source,commit}', ''), 'code'
    WHERE v.content #>> '{source,repository}' <> ''
    UNION ALL SELECT 'hosted_model', v.content #>> '{spec,provider}' || '/' ||
        (v.content #>> '{spec,hosted_model}'), '', 'prompt'
    WHERE v.content #>> '{spec,hosted_model}' <> ''
    UNION ALL SELECT 'other', v.content #>> '{spec,base,uri}', '',
        coalesce(nullif(v.content #>> '{spec,base,relation}', 'unspecified'), 'base')
    WHERE v.content #>> '{spec,base,uri}' <> '') s
WHERE v.finalized_at IS NOT NULL AND v.state <> 'purged'
UNION ALL
SELECT v.version_id, v.namespace_id, v.creator, v.finalized_at, 'version', '', '',
    coalesce(nullif(v.content #>> '{spec,base,relation}', 'unspecified'), 'base'),
    b.version_id, b.namespace_id
FROM version v JOIN version b ON b.version_id = v.base_version_id
WHERE v.finalized_at IS NOT NULL AND v.state <> 'purged';

INSERT INTO lineage_node (namespace_id, kind, name, revision, version_id, key)
SELECT namespace_id, 'version', '', '', version_id,
    sha256(convert_to('version' || E'\n' || version_id, 'UTF8'))
FROM (SELECT namespace_id, version_id FROM said
      UNION SELECT base_namespace_id, base_id FROM said WHERE kind = 'version') v;
INSERT INTO lineage_node (namespace_id, kind, name, revision, key)
SELECT DISTINCT namespace_id, kind, name, revision,
    sha256(convert_to(kind || E'\n' || name || E'\n' || revision, 'UTF8'))
FROM said WHERE kind <> 'version';
INSERT INTO lineage_edge (source_id, target_id, relation, sealed, actor, created_at)
SELECT DISTINCT ON (f.node_id, t.node_id, s.relation)
    f.node_id, t.node_id, s.relation, true, s.creator, s.finalized_at
FROM said s JOIN lineage_node t ON t.version_id = s.version_id
JOIN lineage_node f ON (s.kind = 'version' AND f.version_id = s.base_id)
    OR (s.kind <> 'version' AND f.namespace_id = s.namespace_id AND f.kind = s.kind
        AND f.name = s.name AND f.revision = s.revision);
