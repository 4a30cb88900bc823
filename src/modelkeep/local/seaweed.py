"""Embedded S3: SeaweedFS's `weed mini`, its master, volume, filer and S3 parts in one process.

`mini` is ready in under a second, where `weed server` waits several for its election. It must be
told every port, or it takes well-known ones; and `-ip`, or it takes that of a network card.
"""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sysconfig
import time
from pathlib import Path

from modelkeep.local import child, errors, files, ports

_START_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_PARTS = ("master", "volume", "filer", "s3", "admin")
_SIGNED = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")


class SeaweedFS:
    """One object store in `DATA/s3`; its keys in `DATA/s3.access-key` and `DATA/s3.secret-key`.

    Args:
        data: the data directory.
        volume_size_mib: files it groups objects into; each bucket takes at least one of these
            from the free disk, which is divided into so many.
        stop_timeout_s: how long it may wait for idle connections of its clients to close.
    """

    name = "s3"

    def __init__(
        self, data: Path, *, volume_size_mib: int = 256, stop_timeout_s: float = 5
    ) -> None:
        self._places = child.Places(data)
        self._store = data / "s3"
        self._data = data
        self._volume_size_mib = volume_size_mib
        self._stop_timeout_s = stop_timeout_s
        self._weed = _weed()
        self._ports: dict[str, int] = {}
        self.child: child.Child | None = None

    @property
    def endpoint(self) -> str:
        """HOST:PORT of the S3 API, plain HTTP; valid from the last start on."""
        return f"{ports.LOOPBACK}:{self._ports['s3.port']}"

    @property
    def access_key(self) -> str:
        """Access key of the only identity."""
        return files.kept_secret(self._data / "s3.access-key")

    @property
    def secret_key(self) -> str:
        """Secret key of the only identity."""
        return files.kept_secret(self._data / "s3.secret-key")

    async def start(self) -> None:
        """Start and return once the S3 API is healthy.

        Raises:
            errors.LocalError: it cannot start; the message carries the end of its log.
        """
        await self.end_leftovers()
        for directory in (self._store, self._ports_file.parent):
            files.private_directory(directory)
        for _ in range(_ATTEMPTS):
            if await self._started():
                return
        log = files.tail(self._places.log(self.name))
        raise errors.LocalError(f"The embedded S3 store does not start:\n{log}")

    async def stop(self) -> None:
        """End it in good order; nothing is left when this returns."""
        if self.child is not None:
            await self.child.stop()
            self.child = None
        self._remove_sockets()

    async def end_leftovers(self) -> None:
        """End a store that an earlier run left behind."""
        await child.end_leftover(self.name, self._places, signal.SIGTERM)
        self._remove_sockets()

    async def _started(self) -> bool:
        self._choose_ports()
        self._forget_past()
        self.child = child.start(self._program(), self._places)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not await asyncio.to_thread(_healthy, self._ports["s3.port"]):
            if self.child.exit_code is not None or time.monotonic() > deadline:
                await self.stop()
                self._ports = {}  # one may have been taken
                return False
            await asyncio.sleep(0.02)
        return True

    def _choose_ports(self) -> None:
        names = [f"{part}.port" for part in _PARTS]
        names += [f"{name}.grpc" for name in names]
        # A restart within one run keeps its ports, so that the server still finds the store.
        self._ports = self._ports or dict(zip(names, ports.free_ports(len(names)), strict=True))
        files.write_private(self._ports_file, json.dumps(self._ports))

    def _forget_past(self) -> None:
        """Remove what it kept about its last start: its options, and an election for each port.

        The volumes say by themselves what they hold; a cluster of one has nothing else to keep.
        """
        (self._store / "mini.options").unlink(missing_ok=True)
        for past in self._store.iterdir():
            if re.fullmatch(r"m\d+", past.name):
                shutil.rmtree(past)

    def _program(self) -> child.Program:
        store = str(self._store)
        return child.Program(
            name=self.name,
            argv=[str(self._weed), "-logtostderr=true", "mini", f"-dir={store}", *self._options()],
            environ={
                "PATH": os.defpath,
                "HOME": store,  # it would read ~/.seaweedfs
                "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key,
                **self._internal_keys(),
            },
            directory=self._store,
            death_signal=signal.SIGKILL,  # it survives that, and may take ten seconds over SIGTERM
            stop_signals=(signal.SIGTERM,),
            stop_timeout_s=self._stop_timeout_s,
        )

    def _options(self) -> list[str]:
        listening = [f"-{name}={port}" for name, port in self._ports.items()]
        return [
            f"-ip={ports.LOOPBACK}",
            f"-ip.bind={ports.LOOPBACK}",
            *listening,
            f"-master.volumeSizeLimitMB={self._volume_size_mib}",
            *_OPTIONS,
        ]

    def _internal_keys(self) -> dict[str, str]:
        """Keys its parts sign their own HTTP calls with: else any local user could write."""
        key = files.kept_secret(self._data / "s3.internal-key")
        return {f"WEED_JWT_{part}_KEY": key for part in _SIGNED}

    @property
    def _ports_file(self) -> Path:
        return self._data / "run" / "s3.ports.json"

    def _remove_sockets(self) -> None:
        """Remove the sockets it leaves in /tmp when it is killed; each bears one of its ports."""
        if not self._ports_file.exists():
            return
        for port in json.loads(self._ports_file.read_text(encoding="utf-8")).values():
            for stale in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its choice
                with contextlib.suppress(FileNotFoundError, PermissionError):  # another user's
                    stale.unlink()
        self._ports_file.unlink()


_OPTIONS = (
    "-volume.max=0",  # as many volumes as the disk has room for
    "-volume.preStopSeconds=0",  # nobody else routes requests to it
    "-master.telemetry=false",
    "-admin.ui=false",
    "-webdav=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
)


def _weed() -> Path:
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise errors.MissingExtra
    return Path(found)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
