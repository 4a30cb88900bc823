"""`modelkeep dev`, without its command line."""

import asyncio
import logging
import signal
from collections.abc import Mapping
from pathlib import Path

from modelkeep import config, own_files
from modelkeep.local import (
    child,
    files,
    lock,
    postgres,
    seaweed,
    server,
    supervisor,
)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PLACEHOLDERS = {"DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"}


def run(data: Path | None, listen: str, environ: Mapping[str, str], *, verbose: bool) -> None:
    """Run the whole tree in this process's main thread until a signal ends it.

    Args:
        data: the data directory; None for the user's default one.
        listen: HOST:PORT for the server.
        environ: environment that the server inherits.
        verbose: say what happens on stderr.

    Raises:
        config.ConfigError: the environment holds a setting that the server refuses.
        errors.LocalError: it cannot start or go on; the message says why.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="modelkeep dev: %(message)s"
    )
    _check(environ, listen)
    directory = (data or files.default_directory(environ)).absolute()
    files.private_directory(directory)
    with lock.held(directory, listen) as held:
        asyncio.run(_supervise(directory, listen, environ, held))


def _check(environ: Mapping[str, str], listen: str) -> None:
    ours = {config.PREFIX + name: "chosen-at-start" for name in _PLACEHOLDERS}
    config.from_environ({**environ, **ours, "MODELKEEP_LISTEN": listen})


async def _supervise(data: Path, listen: str, environ: Mapping[str, str], held: lock.Lock) -> None:
    stop = asyncio.Event()
    for sign in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    services = (postgres.Postgres(data), seaweed.SeaweedFS(data))
    front = server.Server(data, services, listen, environ)

    notes: list[Path] = []

    def announce(endpoint: str) -> None:
        held.describe(endpoint)
        notes.append(own_files.note_local_server(environ, endpoint, data))
        print(f"{server.READY}{endpoint}", flush=True)

    try:
        await supervisor.Supervisor(services, front, child.Places(data)).run(stop, announce)
    finally:
        for note in notes:
            note.unlink(missing_ok=True)
