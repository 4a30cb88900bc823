"""Resource names: what they are made of, and their one spelling."""

from modelkeep.domain.names import artifacts, evidence, models, notices, promotion

RESERVED_ALIASES = models.RESERVED_ALIASES
NamespaceName = models.NamespaceName
ModelName = models.ModelName
VersionName = models.VersionName
AliasName = models.AliasName
FileName = models.FileName
BlobName = artifacts.BlobName
UploadName = artifacts.UploadName
WebhookName = notices.WebhookName
DeliveryName = notices.DeliveryName
EvaluationName = evidence.EvaluationName
SignatureName = evidence.SignatureName
TrustedSignerName = evidence.TrustedSignerName
TransitionName = promotion.TransitionName
GatePolicyName = promotion.GatePolicyName
EnvironmentName = promotion.EnvironmentName
DeploymentName = promotion.DeploymentName

Resource = (
    NamespaceName
    | ModelName
    | VersionName
    | AliasName
    | FileName
    | BlobName
    | UploadName
    | WebhookName
    | DeliveryName
    | EvaluationName
    | SignatureName
    | TrustedSignerName
    | TransitionName
    | GatePolicyName
    | EnvironmentName
    | DeploymentName
)
"""Whatever a caller may do something to."""
