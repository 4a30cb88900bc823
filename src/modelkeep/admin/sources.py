"""Where the figures come from: parts of a running server, each of which counts for itself."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field

from modelkeep.blobs import metered
from modelkeep.service import artifacts as artifact_service
from modelkeep.service import reaping, rereading
from modelkeep.service import uploads as upload_service
from modelkeep.storage import database


@dataclass(slots=True)
class Sources:
    """Parts of one server, filled in as it is built; what it does not run stays None."""

    db: database.Database | None = None
    meters: dict[str, metered.Meter] = field(default_factory=dict)
    refused_calls: dict[str, int] = field(default_factory=dict)
    certificate_expires_at: Callable[[], datetime.datetime] | None = None
    uploads: upload_service.Uploads | None = None
    artifacts: artifact_service.Artifacts | None = None
    reaper: reaping.Reaper | None = None
    rereader: rereading.Rereader | None = None
