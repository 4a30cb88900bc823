"""The Python SDK of Modelkeep.

    from modelkeep import client

    async with client.connect("127.0.0.1:7420") as registry:
        pushed = await registry.push("./model", "acme/voice@1.2.0")
        await registry.pull("acme/voice@latest", "./copy")

    with client.connect_sync() as registry:      # the same, for code that is not async
        print(registry.resolve("acme/voice@production").version)

Values are frozen dataclasses, failures are `RegistryError` and its subclasses.
"""

from modelkeep.audit_chain.lines import Signed as SignedCheckpoint
from modelkeep.client.access_calls import EVERYBODY
from modelkeep.client.access_records import (
    AccessToken,
    Identity,
    NewToken,
    Role,
    RoleBinding,
    RoleGrant,
)
from modelkeep.client.audit_file import FileWalk as AuditFileWalk
from modelkeep.client.audit_file import read_checkpoints as read_audit_checkpoints
from modelkeep.client.audit_file import verify_lines as verify_audit_lines
from modelkeep.client.audit_records import (
    AuditCheckpoint,
    AuditEvent,
    AuditFault,
    AuditKey,
    AuditVerdict,
)
from modelkeep.client.batch_calls import BlobOutcome
from modelkeep.client.calls import DEFAULT_TIMEOUT_S
from modelkeep.client.channel import DEFAULT_ENDPOINT, NO_CREDENTIALS
from modelkeep.client.comparison_records import (
    ComparedCandidate,
    ComparedFigure,
    ComparedMetric,
    Comparison,
    ComparisonVerdict,
    SignificanceTest,
    UnmatchedVersion,
)
from modelkeep.client.compliance_records import (
    ComplianceEntry,
    ComplianceFinding,
    ComplianceReport,
    RiskTier,
)
from modelkeep.client.connecting import connect, connect_sync
from modelkeep.client.credentials import Credentials, token_in
from modelkeep.client.deployment_records import (
    Deployment,
    DeploymentOutcome,
    Environment,
    RecordedDeployment,
    RollbackMove,
    RollbackOutcome,
)
from modelkeep.client.diff_records import (
    Change,
    DiffSide,
    FileChange,
    FileChangeKind,
    FileCounts,
    MetricChange,
    TextChange,
    VersionDiff,
)
from modelkeep.client.errors import (
    BadAnswer,
    BadReference,
    BadSource,
    BadTree,
    Conflict,
    DataLoss,
    FileChanged,
    InvalidRequest,
    LimitReached,
    NotFound,
    Refused,
    RegistryError,
    StoreOutOfReach,
    TimedOut,
    TLSFailure,
    Unauthenticated,
    Unavailable,
    Violation,
)
from modelkeep.client.evaluation_records import (
    Evaluation,
    EvaluationDataset,
    EvaluationMetric,
    EvaluationReport,
    MetricDirection,
    ScoreSet,
)
from modelkeep.client.event_records import Event, EventFilter, Position
from modelkeep.client.exchange.reports import (
    Count,
    Difference,
    ExportReport,
    ImportReport,
    Verdict,
    VersionOutcome,
)
from modelkeep.client.file_facts import (
    FileFacts,
    PickleFacts,
    PicklePolicy,
    PickleVerdict,
    VersionWarning,
)
from modelkeep.client.folder_signatures import check_folder
from modelkeep.client.gate_records import Gate, GatePolicy, GateReport, GateVerdict
from modelkeep.client.history_records import AliasAssignment, HistoryEntry, StageAssignment
from modelkeep.client.judgement_records import (
    CandidateOutcome,
    ConsideredCandidate,
    EvaluationPlan,
    MetricTolerance,
    Recommendation,
    RegressionCheck,
    RegressionOutcome,
    RegressionReport,
)
from modelkeep.client.lineage import (
    Lineage,
    LineageDirection,
    LineageFound,
    LineageKind,
    LineageLink,
    LineageNode,
)
from modelkeep.client.lineage import parse_node as parse_lineage_node
from modelkeep.client.logins import found_for as credentials_for
from modelkeep.client.policy_file import document as policy_document
from modelkeep.client.policy_file import read_policy_file
from modelkeep.client.policy_file import written as policies_written
from modelkeep.client.progress import Progress, Step
from modelkeep.client.prompt_file import read_prompt_file
from modelkeep.client.prompts import render_prompt
from modelkeep.client.push import DEFAULT_STREAMS
from modelkeep.client.records import (
    Alias,
    AliasProtection,
    Bump,
    Capabilities,
    File,
    FileCheck,
    FileVerdict,
    GarbageBlob,
    GarbageReason,
    Model,
    ModelKind,
    Namespace,
    NamespaceUsage,
    PullResult,
    PushResult,
    Reuse,
    StageMove,
    Upload,
    UploadState,
    Version,
    VersionState,
)
from modelkeep.client.refs import Ref
from modelkeep.client.refs import parse as parse_ref
from modelkeep.client.registry import Registry
from modelkeep.client.routes import Via
from modelkeep.client.signature_records import (
    CheckedSignature,
    Signature,
    SignatureOutcome,
    SignatureVerdict,
    SignerKind,
    SignerProof,
    TrustedSigner,
)
from modelkeep.client.specs import (
    BaseModel,
    BaseRelation,
    Dataset,
    DatasetRole,
    Dependency,
    Draft,
    ModelSpec,
    PromptMessage,
    PromptSpec,
    PromptTool,
    Sampling,
    Source,
    TensorSpec,
)
from modelkeep.client.sync import SyncRegistry
from modelkeep.client.transition_records import (
    CommittedTransition,
    Transition,
    TransitionState,
    TransitionVerdict,
)
from modelkeep.client.webhook_convert import is_delivery_name
from modelkeep.client.webhook_records import (
    Delivery,
    DeliveryAttempt,
    DeliveryLog,
    DeliveryState,
    NewSecret,
    Webhook,
)

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_STREAMS",
    "DEFAULT_TIMEOUT_S",
    "EVERYBODY",
    "NO_CREDENTIALS",
    "AccessToken",
    "Alias",
    "AliasAssignment",
    "AliasProtection",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditFault",
    "AuditFileWalk",
    "AuditKey",
    "AuditVerdict",
    "BadAnswer",
    "BadReference",
    "BadSource",
    "BadTree",
    "BaseModel",
    "BaseRelation",
    "BlobOutcome",
    "Bump",
    "CandidateOutcome",
    "Capabilities",
    "Change",
    "CheckedSignature",
    "CommittedTransition",
    "ComparedCandidate",
    "ComparedFigure",
    "ComparedMetric",
    "Comparison",
    "ComparisonVerdict",
    "ComplianceEntry",
    "ComplianceFinding",
    "ComplianceReport",
    "Conflict",
    "ConsideredCandidate",
    "Count",
    "Credentials",
    "DataLoss",
    "Dataset",
    "DatasetRole",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryLog",
    "DeliveryState",
    "Dependency",
    "Deployment",
    "DeploymentOutcome",
    "DiffSide",
    "Difference",
    "Draft",
    "Environment",
    "Evaluation",
    "EvaluationDataset",
    "EvaluationMetric",
    "EvaluationPlan",
    "EvaluationReport",
    "Event",
    "EventFilter",
    "ExportReport",
    "File",
    "FileChange",
    "FileChangeKind",
    "FileChanged",
    "FileCheck",
    "FileCounts",
    "FileFacts",
    "FileVerdict",
    "GarbageBlob",
    "GarbageReason",
    "Gate",
    "GatePolicy",
    "GateReport",
    "GateVerdict",
    "HistoryEntry",
    "Identity",
    "ImportReport",
    "InvalidRequest",
    "LimitReached",
    "Lineage",
    "LineageDirection",
    "LineageFound",
    "LineageKind",
    "LineageLink",
    "LineageNode",
    "MetricChange",
    "MetricDirection",
    "MetricTolerance",
    "Model",
    "ModelKind",
    "ModelSpec",
    "Namespace",
    "NamespaceUsage",
    "NewSecret",
    "NewToken",
    "NotFound",
    "PickleFacts",
    "PicklePolicy",
    "PickleVerdict",
    "Position",
    "Progress",
    "PromptMessage",
    "PromptSpec",
    "PromptTool",
    "PullResult",
    "PushResult",
    "Recommendation",
    "RecordedDeployment",
    "Ref",
    "Refused",
    "Registry",
    "RegistryError",
    "RegressionCheck",
    "RegressionOutcome",
    "RegressionReport",
    "Reuse",
    "RiskTier",
    "Role",
    "RoleBinding",
    "RoleGrant",
    "RollbackMove",
    "RollbackOutcome",
    "Sampling",
    "ScoreSet",
    "Signature",
    "SignatureOutcome",
    "SignatureVerdict",
    "SignedCheckpoint",
    "SignerKind",
    "SignerProof",
    "SignificanceTest",
    "Source",
    "StageAssignment",
    "StageMove",
    "Step",
    "StoreOutOfReach",
    "SyncRegistry",
    "TLSFailure",
    "TensorSpec",
    "TextChange",
    "TimedOut",
    "Transition",
    "TransitionState",
    "TransitionVerdict",
    "TrustedSigner",
    "Unauthenticated",
    "Unavailable",
    "UnmatchedVersion",
    "Upload",
    "UploadState",
    "Verdict",
    "Version",
    "VersionDiff",
    "VersionOutcome",
    "VersionState",
    "VersionWarning",
    "Via",
    "Violation",
    "Webhook",
    "check_folder",
    "connect",
    "connect_sync",
    "credentials_for",
    "is_delivery_name",
    "parse_lineage_node",
    "parse_ref",
    "policies_written",
    "policy_document",
    "read_audit_checkpoints",
    "read_policy_file",
    "read_prompt_file",
    "render_prompt",
    "token_in",
    "verify_audit_lines",
]
