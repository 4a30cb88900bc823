"""`make demo`: three releases of a real model, pushed, promoted, pulled back, compared.

Runs the command line as a user would, against a registry of its own on a free port, and ends with
nothing left running. Exit code 0 means that every step did what it says, every byte was compared.
"""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import by_reflection
import grpc
import registry_tree
import silero
import storyboard

from modelkeep import own_files

MODEL = "acme/voice-activity"
WHEELS = Path(__file__).parents[2] / "build" / "demo" / "wheels"
REGISTRY_SERVICE = "modelkeep.v1.RegistryService"
_REFUSED = 4  # the command line's exit code for "refused by a rule"


class Demo:
    """The story, one method a scene; each scene fails loudly if the registry does not keep it."""

    def __init__(self, scratch: Path, board: storyboard.Storyboard) -> None:
        self._scratch = scratch
        self._board = board
        self._started = time.monotonic()
        self._endpoint = ""
        self._models: list[silero.Model] = []
        self._pushed: list[dict[str, Any]] = []
        self._pulled: dict[str, Any] = {}
        self._refusal = ""

    def run(self) -> None:
        """Play all scenes, then say what happened."""
        self._fetch()
        self._started = time.monotonic()
        self._board.scene("Start a registry: Postgres, an S3 store and the server, one command")
        with registry_tree.running(self._scratch / "registry") as tree:
            self._start(tree)
            self._push()
            self._promote()
            self._resolve()
            self._pull()
            self._push_again()
            self._reflect()
            self._refuse()
        left = [name for name, pid in tree.pids.items() if registry_tree.alive(pid)]
        storyboard.require(not left, f"still running: {', '.join(left)}")
        self._sum_up(len(tree.pids))

    def _fetch(self) -> None:
        self._board.scene("Fetch three releases of a real model: silero-vad, from its wheels")
        for release in silero.RELEASES:
            wheel = silero.fetch(release, WHEELS)
            model = silero.unpack(release, wheel, self._scratch / "releases" / release.version)
            size = sum(file.stat().st_size for file in model.files)
            self._models.append(model)
            self._board.note(
                f"{release.version}  {len(model.files)} model files, {size:>10,} bytes"
                f"   wheel sha256 {release.sha256[:12]}… as pinned"
            )

    def _start(self, tree: registry_tree.Tree) -> None:
        self._endpoint = tree.endpoint
        self._board.command(["modelkeep", "dev", "--data", "registry", "--listen", "127.0.0.1:0"])
        seconds = time.monotonic() - self._started
        self._board.answer(f"{registry_tree.READY}{tree.endpoint}")
        parts = ", ".join(f"{name} {pid}" for name, pid in tree.pids.items())
        self._board.note(f"in {seconds:.1f} s; processes: {parts}")

    def _push(self) -> None:
        self._board.scene("Push each release as a version, with what is known about it")
        for model in self._models:
            self._pushed.append(self._json(*_push_command(model)))
        saved = sum(push["total_bytes"] - push["sent_bytes"] for push in self._pushed)
        storyboard.require(saved > 0, "the file that all three share was sent more than once")
        self._board.note(
            f"silero_vad_half.onnx is the same in all three: {saved:,} bytes were never sent twice"
        )

    def _promote(self) -> None:
        self._board.scene("Promote the newest, with reasons that stay in its history")
        newest = f"{MODEL}@{self._models[-1].release.version}"
        self._cli("stage", newest, "staging", "--reason", "files verified")
        self._cli("stage", newest, "production", "--reason", "release 6.2.3 goes live")
        self._cli("alias", "set", f"{MODEL}@5.1.2", "fallback", "--reason", "last of the v5 line")
        self._cli("ls", MODEL)

    def _resolve(self) -> None:
        self._board.scene("Resolve what people and deployers write")
        for selector, expected in (("production", "6.2.3"), ("fallback", "5.1.2"), ("^6", "6.2.3")):
            found = self._json("resolve", f"{MODEL}@{selector}")
            storyboard.require(
                found["version"] == expected, f"@{selector} means {found['version']}"
            )

    def _pull(self) -> None:
        self._board.scene("Pull @production to a fresh directory and compare every byte")
        target = self._scratch / "pulled"
        self._pulled = self._json("pull", f"{MODEL}@production", str(target))
        model = self._models[-1]
        names = [file.name for file in model.files]
        there = sorted(file.name for file in target.iterdir())
        storyboard.require(there == names, f"pulled {there}, pushed {names}")
        same, *different = filecmp.cmpfiles(model.directory, target, names, shallow=False)
        storyboard.require(not any(different), f"not the same bytes: {different}")
        total = self._pulled["total_bytes"]
        self._board.note(f"{len(same)} files, {total:,} bytes: all the same as the original")

    def _push_again(self) -> None:
        self._board.scene("Push the same release again: nothing is sent, nothing changes")
        again = self._json(*_push_command(self._models[-1])[:3])
        storyboard.require(again["sent_bytes"] == 0, f"sent {again['sent_bytes']} bytes again")

    def _reflect(self) -> None:
        self._board.scene("Call it from any language: the server describes itself")
        with grpc.insecure_channel(self._endpoint) as channel:
            token = own_files.local_token(os.environ, self._endpoint)
            described = by_reflection.Described(channel, token)
            self._board.command(["grpcurl", "-plaintext", self._endpoint, "list"])
            self._board.answer("\n".join(described.services()))
            name = f"namespaces/acme/models/voice-activity/versions/{self._pulled['version']}"
            request = {"name": name}
            self._board.command(
                [
                    *("grpcurl", "-plaintext", "-H", "authorization: Bearer mk_…"),
                    *("-d", json.dumps(request)),
                    *(self._endpoint, f"{REGISTRY_SERVICE}/GetVersion"),
                ]
            )
            answer = described.call(REGISTRY_SERVICE, "GetVersion", request)
        version = answer["version"]
        storyboard.require(version["stage"] == "production", f"it is in {version['stage']}")
        self._board.answer(storyboard.outlined(version))
        self._board.note("asked through reflection alone, without generated code: as grpcurl does")

    def _refuse(self) -> None:
        self._board.scene("Try what must not happen: delete the version that production runs")
        newest = f"{MODEL}@{self._pulled['version']}"
        self._refusal = self._cli("rm", "--yes", newest, expected=_REFUSED).strip()
        self._board.note(f"exit code {_REFUSED}: refused by a rule")

    def _sum_up(self, processes: int) -> None:
        total = sum(push["total_bytes"] for push in self._pushed)
        sent = sum(push["sent_bytes"] for push in self._pushed)
        self._board.slide(
            [
                ("pushed", f"{len(self._pushed)} releases of silero-vad as {MODEL}"),
                ("content", f"{sum(p['files'] for p in self._pushed)} files, {total:,} bytes"),
                ("sent", f"{sent:,} bytes; the rest was there already"),
                ("production", f"{self._pulled['version']}, by way of staging, with reasons"),
                ("pulled", f"{self._pulled['total_bytes']:,} bytes, every one compared: the same"),
                ("pushed again", "0 bytes sent"),
                ("refused", self._refusal.removeprefix("error: ")),
                ("left running", f"nothing ({processes} processes started, all ended)"),
            ],
            f"{time.monotonic() - self._started:.0f} s",
        )

    def _cli(self, *arguments: str, expected: int = 0) -> str:
        return self._board.run(self._endpoint, arguments, expected)

    def _json(self, *arguments: str) -> dict[str, Any]:
        output = self._board.run(self._endpoint, (*arguments, "-o", "json"), 0)
        read: dict[str, Any] = json.loads(output)
        return read


def _push_command(model: silero.Model) -> list[str]:
    release = model.release
    options = ["--framework", "onnx", "--task", "voice-activity-detection"]
    options += [word for pair in model.params.items() for word in ("--param", "=".join(pair))]
    for name, value in model.metrics.items():
        options += ["--metric", f"{name}={value}"]
    options += ["--label", "upstream=silero-vad", "--source-repository", silero.REPOSITORY]
    if release.commit:
        options += ["--source-commit", release.commit]
    return ["push", str(model.directory), f"{MODEL}@{release.version}", *options]


def main() -> int:
    """Play the demo in a scratch directory that is gone afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scratch = Path(tempfile.mkdtemp(prefix="modelkeep-demo-"))
    board = storyboard.Storyboard(scratch)
    try:
        Demo(scratch, board).run()
    except KeyboardInterrupt:
        board.failed("interrupted; everything that was started has ended")
        return 130
    except (storyboard.Broken, subprocess.SubprocessError) as broken:
        board.failed(str(broken))
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
