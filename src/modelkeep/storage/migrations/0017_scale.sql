-- What is asked of models with many versions: the newest of them, without sorting the others.

-- The newest release, however many pre-releases are newer.
CREATE INDEX version_newest ON version (model_id, prerelease, semver_key DESC, ordinal DESC)
    WHERE state = 'ready';
DROP INDEX version_by_semver;

-- What was moved to a stage last; many may have been at the same instant.
DROP INDEX stage_assignment_history;
CREATE INDEX stage_assignment_history
    ON stage_assignment (model_id, stage, valid_from DESC, assignment_id DESC);
