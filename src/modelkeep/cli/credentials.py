"""What the command line shows the server: from options and the environment."""

import os
from collections.abc import Callable

from modelkeep import client
from modelkeep.cli import settings
from modelkeep.client import logins


def chosen_by(chosen: settings.Settings) -> client.Credentials:
    """The credentials for a command."""
    return client.Credentials(
        token=token_for(chosen),
        ca_file=chosen.ca_file,
        certificate_file=chosen.certificate_file,
        key_file=chosen.key_file,
        is_plaintext_token_allowed=logins.is_plaintext_allowed(os.environ),
    )


def token_for(chosen: settings.Settings) -> str | Callable[[], str]:
    """The token for a command: the environment's, the one logged in with, a local server's own.

    None of a login goes to a server that is shown a certificate.
    """
    given = logins.given_token(os.environ)
    if given or chosen.certificate_file:
        return given
    return logins.kept_token(chosen.endpoint, os.environ)
