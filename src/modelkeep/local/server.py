"""The registry server as a child: `modelkeep serve` with the addresses of the other two."""

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from modelkeep import allocator, own_files
from modelkeep.local import child, errors, files, postgres, seaweed

READY = "modelkeep ready on "
_SEALING = "MODELKEEP_SECRET_KEY"
_SIGNING = "MODELKEEP_AUDIT_SIGNING_KEY"
_START_TIMEOUT_S = 60.0
_DRAIN_TIMEOUT_S = 10
_MARGIN_S = 5


class Server:
    """The server over an embedded database and store.

    Args:
        listen: HOST:PORT it serves on; port 0 takes a free one.
        environ: environment it inherits; the addresses of its services are added.
    """

    name = "server"

    def __init__(
        self,
        data: Path,
        services: tuple[postgres.Postgres, seaweed.SeaweedFS],
        listen: str,
        environ: Mapping[str, str],
    ) -> None:
        self._data = data
        self._places = child.Places(data)
        self._database, self._store = services
        self._listen = listen
        self._environ = dict(environ)
        self._started_with: dict[str, str] = {}
        self.endpoint = listen
        self.child: child.Child | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether a service has moved since the server was started."""
        return self._started_with != self._settings()

    async def start(self) -> None:
        """Start and return once it serves; `endpoint` then says where.

        Raises:
            errors.LocalError: it cannot start; the message carries the end of its log.
        """
        await self.end_leftovers()
        self._started_with = self._settings()
        self.child = child.start(self._program(), self._places)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready():
            if self.child.exit_code is not None or time.monotonic() > deadline:
                await self.stop()
                log = files.tail(self._places.log(self.name))
                raise errors.LocalError(f"The server does not start:\n{log}")
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Let it drain and end it; nothing is left when this returns."""
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def end_leftovers(self) -> None:
        """End a server that an earlier run left behind."""
        await child.end_leftover(self.name, self._places, signal.SIGTERM)

    @property
    def _output(self) -> Path:
        return self._data / "run" / "server.out"

    def _ready(self) -> bool:
        for line in self._output.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                self._keep(line.removeprefix(READY).strip())
                return True
        return False

    def _keep(self, endpoint: str) -> None:
        """Remember where it answers: a restart must answer there again, not on a new free port."""
        self.endpoint = endpoint
        if self._listen.endswith(":0"):
            self._listen = endpoint
            self._started_with = self._settings()

    def _settings(self) -> dict[str, str]:
        return {
            "MODELKEEP_DATABASE_URL": self._database.url,
            "MODELKEEP_S3_ENDPOINT": self._store.endpoint,
            "MODELKEEP_S3_ACCESS_KEY": self._store.access_key,
            "MODELKEEP_S3_SECRET_KEY": self._store.secret_key,
            "MODELKEEP_S3_SECURE": "false",
            # Whoever reaches this server over loopback reaches its store as well.
            "MODELKEEP_S3_PUBLIC_ENDPOINT": self._store.endpoint,
            "MODELKEEP_S3_PUBLIC_SECURE": "false",
            "MODELKEEP_LISTEN": self._listen,
            "MODELKEEP_DRAIN_TIMEOUT_S": str(_DRAIN_TIMEOUT_S),
            _SEALING: self._environ.get(_SEALING) or files.kept_key(self._data / "webhook.key"),
            _SIGNING: self._environ.get(_SIGNING) or files.kept_key(self._data / "audit.key"),
        }

    def _program(self) -> child.Program:
        token = str(self._data / own_files.TOKEN_FILE)
        return child.Program(
            name=self.name,
            argv=[sys.executable, "-m", "modelkeep", "serve", "--migrate", "--admin-token", token],
            # The allocator's settings at once: the server need not start again to obtain them.
            environ=allocator.SETTINGS | self._environ | self._started_with,
            directory=self._data,
            death_signal=signal.SIGKILL,  # it survives that; without its database it cannot drain
            stop_signals=(signal.SIGTERM,),
            stop_timeout_s=_DRAIN_TIMEOUT_S + _MARGIN_S,
            output=self._output,
        )
