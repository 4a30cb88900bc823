"""What the command line shows the server: from options and the environment."""

import os
from pathlib import Path

from modelkeep import client
from modelkeep.cli import settings

TOKEN = "MODELKEEP_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "MODELKEEP_TOKEN_FILE"  # noqa: S105
ALLOW_PLAINTEXT_TOKEN = "MODELKEEP_ALLOW_PLAINTEXT_TOKEN"  # noqa: S105


def chosen_by(chosen: settings.Settings) -> client.Credentials:
    """The credentials for a command."""
    token_file = os.environ.get(TOKEN_FILE, "")
    return client.Credentials(
        token=os.environ.get(TOKEN, "").strip()
        or (client.token_in(Path(token_file)) if token_file else ""),
        ca_file=chosen.ca_file,
        certificate_file=chosen.certificate_file,
        key_file=chosen.key_file,
        is_plaintext_token_allowed=os.environ.get(ALLOW_PLAINTEXT_TOKEN, "").lower()
        in {"1", "true", "yes"},
    )
