"""Opening a registry, for code that is async and for code that is not."""

from modelkeep.client import calls, channel, logins, registry, sync
from modelkeep.client import credentials as shown_credentials


def connect(
    endpoint: str = channel.DEFAULT_ENDPOINT,
    *,
    timeout_s: float = calls.DEFAULT_TIMEOUT_S,
    credentials: shown_credentials.Credentials | None = None,
) -> registry.Registry:
    """A registry to use in `async with`; call it inside a running event loop.

    Args:
        endpoint: `HOST:PORT`, or `https://HOST:PORT` for a server that speaks TLS; nothing is
            connected before the first call.
        timeout_s: how long one unary call may take, in seconds.
        credentials: who calls, and by what the server is known; None for those that are found by
            `credentials_for`.

    Raises:
        InvalidRequest: the endpoint is not one, or the credentials are not for it.
    """
    shown = logins.found_for(endpoint) if credentials is None else credentials
    return registry.Registry(endpoint, timeout_s=timeout_s, shown=shown)


def connect_sync(
    endpoint: str = channel.DEFAULT_ENDPOINT,
    *,
    timeout_s: float = calls.DEFAULT_TIMEOUT_S,
    credentials: shown_credentials.Credentials | None = None,
) -> sync.SyncRegistry:
    """A registry whose calls block, to use in `with`; otherwise the same as `connect`."""
    shown = logins.found_for(endpoint) if credentials is None else credentials
    return sync.SyncRegistry(endpoint, timeout_s=timeout_s, shown=shown)
