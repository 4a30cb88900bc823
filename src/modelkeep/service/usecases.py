"""All use cases, built over one database and one store."""

import datetime
from concurrent import futures
from dataclasses import dataclass
from typing import Self

from modelkeep.blobs import store
from modelkeep.domain import quotas as quota_rules
from modelkeep.domain import versions as version_rules
from modelkeep.service import (
    aliases,
    artifacts,
    batches,
    collecting,
    committing,
    comparing,
    deliveries,
    deployments,
    diffing,
    environments,
    evaluation_plans,
    evaluations,
    finalizing,
    gate_policies,
    histories,
    inspecting,
    lifecycle,
    lineage,
    model_copying,
    models,
    moving,
    namespaces,
    next_versions,
    protections,
    provenance,
    purging,
    quotas,
    recommending,
    regressions,
    rollback,
    searching,
    sheets,
    signatures,
    transfers,
    transition_verdicts,
    transitions,
    trusting,
    uploads,
    version_checks,
    versions,
    watching,
    webhooks,
)
from modelkeep.storage import database


@dataclass(frozen=True, slots=True)
class Registry:
    """The use cases of the registry and of the lifecycle."""

    namespaces: namespaces.Namespaces
    quotas: quotas.Quotas
    models: models.Models
    versions: versions.Versions
    next_versions: next_versions.NextVersions
    finalizing: finalizing.Finalizing
    aliases: aliases.Aliases
    protections: protections.Protections
    histories: histories.Histories
    searching: searching.Searching
    diffing: diffing.Diffing
    evaluations: evaluations.Evaluations
    comparing: comparing.Comparing
    lifecycle: lifecycle.Lifecycle
    gate_policies: gate_policies.GatePolicies
    transitions: transitions.Transitions
    transition_verdicts: transition_verdicts.TransitionVerdicts
    committing: committing.Committing
    lineage: lineage.Lineage
    moving: moving.Moving
    purging: purging.Purging
    environments: environments.Environments
    deployments: deployments.Deployments
    rollback: rollback.Rollback
    sheets: sheets.Sheets
    evaluation_plans: evaluation_plans.EvaluationPlans
    recommending: recommending.Recommending
    regressions: regressions.Regressions

    @classmethod
    def over(
        cls,
        db: database.Database,
        blobs: store.BlobStore,
        pool: futures.Executor,
        retention: datetime.timedelta | None = version_rules.RETENTION,
        new_quotas: quota_rules.Limits = quota_rules.NONE,
    ) -> Self:
        """Build them over this database and this store.

        Args:
            db: the database.
            blobs: the store.
            pool: where files are looked into.
            retention: how long a deleted version can be restored; None: until it is purged.
            new_quotas: of a new namespace whose maker states none.
        """
        looking = inspecting.Inspecting(db, blobs, pool)
        compare = comparing.Comparing(db)
        return cls(
            namespaces.Namespaces(db, new_quotas),
            quotas.Quotas(db),
            models.Models(db),
            versions.Versions(db, retention),
            next_versions.NextVersions(db),
            finalizing.Finalizing(db, blobs, looking),
            aliases.Aliases(db),
            protections.Protections(db),
            histories.Histories(db),
            searching.Searching(db),
            diffing.Diffing(db),
            evaluations.Evaluations(db),
            compare,
            lifecycle.Lifecycle(db),
            gate_policies.GatePolicies(db),
            transitions.Transitions(db),
            transition_verdicts.TransitionVerdicts(db),
            committing.Committing(db),
            lineage.Lineage(db),
            moving.Moving(db),
            purging.Purging(db),
            environments.Environments(db),
            deployments.Deployments(db),
            rollback.Rollback(db),
            sheets.Sheets(db),
            evaluation_plans.EvaluationPlans(db),
            recommending.Recommending(db),
            regressions.Regressions(db, compare),
        )


@dataclass(frozen=True, slots=True)
class Vouching:
    """The use cases of signatures and of where versions come from."""

    signatures: signatures.Signatures
    trusting: trusting.Trusting
    provenance: provenance.Provenance

    @classmethod
    def over(cls, db: database.Database) -> Self:
        """Build them over this database."""
        return cls(signatures.Signatures(db), trusting.Trusting(db), provenance.Provenance(db))


@dataclass(frozen=True, slots=True)
class Events:
    """The use cases of what happened."""

    watching: watching.Watching
    webhooks: webhooks.Webhooks
    deliveries: deliveries.Deliveries


@dataclass(frozen=True, slots=True)
class Artifact:
    """The use cases of bytes."""

    artifacts: artifacts.Artifacts
    uploads: uploads.Uploads
    batches: batches.Batches
    transfers: transfers.Transfers
    checks: version_checks.VersionChecks
    collecting: collecting.Collecting
    model_copying: model_copying.ModelCopying
