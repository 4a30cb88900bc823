"""Every limit of the registry, once; the proto comments and GetCapabilities state the same.

A limit may be raised. Lowering one makes stored values unreadable and needs a migration.
"""

KIB = 1024
MIB = 1024 * KIB

ID_CHARS = 128
ALIAS_PROTECTIONS = 64
"""Of one model, and of one namespace."""
LABELS = 64
LABEL_VALUE_CHARS = 256
DESCRIPTION_CHARS = 4096
CARD_CHARS = 256 * KIB
REASON_CHARS = 1024
OWNER_CHARS = 256
SEMVER_CHARS = 128
SEMVER_NUMBER = 10**15
REF_CHARS = 512
ORDINAL_DIGITS = 18
REQUEST_ID_CHARS = 128
ETAG_CHARS = 64

TOKEN_CHARS = 64
TASK_CHARS = 128
REVISION_CHARS = 128
NAME_CHARS = 256
URI_CHARS = 2048
SCALAR_CHARS = 4096
PARAMETERS = 1000
TENSORS = 256
DIMENSIONS = 16
DEPENDENCIES = 1000
DATASETS = 256
METRICS = 1000
PROMPT_MESSAGES = 256
PROMPT_CHARS = 256 * KIB
PROMPT_VARIABLES = 256
PROMPT_TOOLS = 128
TOOL_NAME_CHARS = 128
TOOL_DESCRIPTION_CHARS = 8192
SCHEMA_CHARS = 64 * KIB
STOP_STRINGS = 64
STOP_CHARS = 1024

PATH_BYTES = 1024
MEDIA_TYPE_CHARS = 128
FILES_PER_VERSION = 10_000

PAGE_DEFAULT = 50
PAGE_MAX = 1000
INSPECTED_PAGE = 100
DIFF_FILES = 1000
DIFF_BYTES = 3 * MIB
"""Of one answer; clients of gRPC take 4 MiB unless told otherwise."""

CHUNK_BYTES = 1 * MIB
MAX_CHUNK_BYTES = 2 * MIB
MAX_MESSAGE_BYTES = MAX_CHUNK_BYTES + 64 * KIB
STREAM_WINDOW_BYTES = 2 * MIB
"""What a client may send ahead of the server's reading; over a line of 50 ms, 40 MiB/s a stream."""
MIN_PART_BYTES = 16 * MIB
MAX_PARTS = 10_000
MAX_BLOB_BYTES = 5 * 1024 * 1024 * MIB
"""5 TiB, the largest object S3 takes."""
FIND_MISSING = 1000
COLLECT_BLOBS = 100
"""In one transaction, which has an event for each and holds the namespace's event counter."""
BATCH_BLOB_BYTES = 256 * KIB
BATCH_BYTES = 2 * MIB
BATCH_BLOBS = 500
"""So many digests and headers fit into a message beside `BATCH_BYTES` of content."""
TRANSFER_URLS = 64
"""In one CreateTransferUrls, and parts in one ConfirmParts."""
STREAMS_PER_UPLOAD = 8

LINEAGE_DEPTH = 20
LINEAGE_NODES = 1000
LINEAGE_EDGES = 4000

EVALUATION_METRICS = 1000
"""Of one evaluation, slices included."""
SCORES = 20_000
"""Of one evaluation, all metrics and slices together."""
MEASURED = 1e100
"""Size of a figure or score, either way: sums of squares of so many do not overflow."""
COMPARED_VERSIONS = 16
TOLERANCES = 64
"""Guards of one evaluation plan, and tolerances of one regression check."""
REVALIDATION_DAYS = 3650
PLAN_PER_WEEK = 10_000
COMPARISON_BYTES = 3 * MIB
"""Of one answer; clients of gRPC take 4 MiB unless told otherwise."""

GATES = 64
"""Of one policy."""
GATE_ENTRIES = 64
"""Datasets, fields or windows of one gate."""
TRANSITION_VERDICTS = 200
"""Approvals and rejections of one transition, all that were ever given."""

TOKEN_SCOPES = 32
TOKEN_GROUPS = 64
TOKENS_OF_ONE = 200
"""Of one principal, those that ended or were revoked aside."""
BINDINGS_OF_ONE = 500
"""Of one principal: each is looked at whenever it asks for something."""
TESTED_ACTIONS = 200

SIGNATURES = 32
"""Of one version."""
TRUSTED_SIGNERS = 100
"""Of one namespace, revoked ones aside."""
DOCUMENT_BYTES = 3 * MIB
"""Of one statement or bill of materials; clients of gRPC take 4 MiB unless told otherwise."""

FILTER_PATTERNS = 32
FILTER_CHARS = 4096
FILTER_CONDITIONS = 32
FILTER_DEPTH = 16
FILTER_METRICS = 16
ORDER_CHARS = 512
RESOURCE_CHARS = 4 * ID_CHARS + PATH_BYTES
WEBHOOKS = 50
"""In one namespace."""
WEBHOOK_URL_CHARS = 2048

INT64_MAX = 2**63 - 1
JSON_INT_MAX = 2**53 - 1
"""Largest integer that RFC 8785 can represent exactly."""
