"""What the commands of the server side share: they need extras, and the settings of a server."""

import contextlib
from collections.abc import Iterator

import click

from modelkeep import config

_EXTRAS = {
    "aiohttp": "server",
    "asyncpg": "server",
    "cryptography": "server",
    "grpc_health": "server",
    "grpc_reflection": "server",
    "jwt": "server",
    "minio": "server",
    "pydantic": "server",
    "rfc8785": "server",
    "structlog": "server",
    "psutil": "local",
}


class WrongSetting(click.ClickException):
    """Which setting is wrong, in one sentence; exit code 2, as for any wrong use."""

    exit_code = 2


@contextlib.contextmanager
def plain_failures() -> Iterator[None]:
    """Say in one sentence what is wrong with a setting, a service or the installation."""
    try:
        yield
    except config.ConfigError as error:
        raise WrongSetting(str(error)) from None
    except config.CannotServe as error:
        raise click.ClickException(str(error)) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(package)
        if extra is None:
            raise
        raise click.ClickException(
            f'{package} is not installed; run: pip install "modelkeep[{extra}]"'
        ) from None
