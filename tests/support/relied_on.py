"""Versions that people rely on, by the thousand: written straight into the tables."""

MODELS = """
INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator, risk_tier,
revalidation_days)
SELECT n.namespace_id, 'm' || g, CASE g % 3 WHEN 0 THEN 'prompt' ELSE 'model' END,
CASE g % 4 WHEN 0 THEN '' ELSE 'team ' || g % 7 END, '', '{}', 'test',
(ARRAY['unclassified', 'low', 'medium', 'high', 'critical'])[1 + g % 5],
CASE g % 6 WHEN 0 THEN 10 ELSE 0 END
FROM namespace n, generate_series(1, $2::int) g WHERE n.name = $1"""
NAMES = """
INSERT INTO model_name (namespace_id, name, model_id)
SELECT namespace_id, name, model_id FROM model m WHERE creator = 'test'
AND NOT EXISTS (SELECT FROM model_name x WHERE x.model_id = m.model_id)"""
VERSIONS = """
INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease, state, stage,
manifest_digest, content, labels, description, card, creator, create_client, created_at,
finalized_at)
SELECT m.namespace_id, m.model_id, 1, '1.0.0', '1', false, 'ready',
(ARRAY['production', 'staging', 'development'])[1 + m.model_id % 3], sha256(m.name::bytea), '{}',
'{}', '', CASE m.model_id % 5 WHEN 0 THEN '' ELSE 'card' END, 'test', 'test',
$1::timestamptz - interval '400 days', $1::timestamptz - interval '1 hour' * (m.model_id % 9000)
FROM model m WHERE m.creator = 'test'"""
STAGES = """
INSERT INTO stage_assignment (namespace_id, model_id, version_id, stage, reason, actor, valid_from)
SELECT namespace_id, model_id, version_id, stage, 'test', 'test', finalized_at FROM version
WHERE creator = 'test'"""
EVALUATIONS = """
INSERT INTO evaluation (key, namespace_id, model_id, version_id, dataset_name, dataset_revision,
suite, evaluator, run_at, actor, created_at, metric_count)
SELECT lpad(to_hex(v.version_id), 16, '0'), v.namespace_id, v.model_id, v.version_id, 'd', '1', 's',
'e', $1::timestamptz - interval '7 hours' * (v.version_id % 1500), 'test',
$1::timestamptz - interval '7 hours' * (v.version_id % 1500), 1
FROM version v WHERE v.creator = 'test' AND v.version_id % 7 > 0"""
ENVIRONMENTS = """
INSERT INTO environment (namespace_id, name, description, labels, stages, allow_several, creator)
SELECT n.namespace_id, 'env-' || g, '', '{}', '{development,staging,production}', false, 'test'
FROM namespace n, generate_series(0, 3) g WHERE n.name = $1"""
DEPLOYMENTS = """
INSERT INTO deployment (key, namespace_id, model_id, version_id, environment_id, stage, target,
labels, reason, actor, started_at, exclusive)
SELECT lpad(to_hex(v.version_id), 16, '0') , v.namespace_id, v.model_id, v.version_id,
e.environment_id, v.stage, '', '{}', '', 'test', v.finalized_at, true
FROM version v JOIN environment e ON e.namespace_id = v.namespace_id
AND e.name = 'env-' || v.version_id % 4
WHERE v.creator = 'test' AND v.version_id % 2 = 0"""
SECOND_DEPLOYMENTS = """
INSERT INTO deployment (key, namespace_id, model_id, version_id, environment_id, stage, target,
labels, reason, actor, started_at, exclusive)
SELECT 'f' || lpad(to_hex(v.version_id), 15, '0') , v.namespace_id, v.model_id, v.version_id,
e.environment_id, v.stage, '', '{}', '', 'test', v.finalized_at, true
FROM version v JOIN environment e ON e.namespace_id = v.namespace_id
AND e.name = 'env-' || (v.version_id + 1) % 4
WHERE v.creator = 'test' AND v.version_id % 6 = 0"""
