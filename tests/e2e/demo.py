"""`make demo`: three releases of a real model, from a push to production and back.

Runs the command line as people would, against a registry of its own on a free port, and ends with
nothing left running. Exit code 0 means that every step did what it says, every byte was compared.
"""

import filecmp
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import by_reflection
import command_line
import evidence
import grpc
import registry_tree
import silero
import storyboard

from modelkeep import own_files

MODEL = "acme/vad"
WHEELS = Path(__file__).parents[2] / "build" / "demo" / "wheels"
DATASET = "no-speech@1"
REGISTRY_SERVICE = "modelkeep.v1.RegistryService"
POLICY = f"""\
apply_to: acme
stage: production
gates:
  - metric_threshold: {{dataset: {DATASET}, metric: false_alarm, op: "<=", value: 0.15}}
  - non_regression: {{dataset: {DATASET}, metric: false_alarm, significance: 0.05}}
  - approvals: {{count: 1, role: approver}}
"""
_REFUSED, _WAITS = 4, 5  # exit codes of the command line


class Demo:
    """The story, one method a scene; each scene fails loudly if the registry does not keep it."""

    def __init__(self, scratch: Path, board: storyboard.Storyboard) -> None:
        self._scratch = scratch
        self._board = board
        self._started = time.monotonic()
        self._models: list[silero.Model] = []
        self._pushed: list[dict[str, Any]] = []
        self._alice = storyboard.Person(registry_tree.OWNER)
        self._ben = self._carla = self._alice
        self._refusals: list[str] = []

    def run(self) -> None:
        """Play all scenes, then say what happened."""
        self._board.title(
            "Three releases of a real model, to production and back (long answers are cut)"
        )
        self._fetch()
        self._started = time.monotonic()
        self._board.scene("Start a registry: Postgres, an S3 store and the server, in one command")
        with registry_tree.running(self._scratch / "registry") as tree:
            self._start(tree)
            self._push()
            self._measure()
            self._set_rules()
            self._promote()
            self._refuse_the_worse()
            self._follow()
            self._roll_back()
            self._vouch()
            self._pull()
            self._reflect()
            self._audit()
        left = [name for name, pid in tree.pids.items() if registry_tree.alive(pid)]
        storyboard.require(not left, f"still running: {', '.join(left)}")
        self._sum_up(len(tree.pids))

    def _fetch(self) -> None:
        self._board.scene("Fetch three releases of silero-vad, which hears whether somebody speaks")
        for release in silero.RELEASES:
            wheel = silero.fetch(release, WHEELS)
            model = silero.unpack(release, wheel, self._scratch / release.version)
            size = sum(file.stat().st_size for file in model.files)
            self._models.append(model)
            self._board.note(
                f"{release.version}  {len(model.files)} model files, {size:>10,} bytes"
                f"   wheel sha256 {release.sha256[:12]}… as pinned"
            )

    def _start(self, tree: registry_tree.Tree) -> None:
        self._board.endpoint = tree.endpoint
        self._board.command(
            ["modelkeep", "dev", "--data", "registry", "--listen", "127.0.0.1:0"], self._alice.name
        )
        seconds = time.monotonic() - self._started
        self._board.answer(f"{registry_tree.READY}{tree.endpoint}")
        self._board.note(f"in {seconds:.1f} s; whoever starts it is its administrator: alice")

    def _push(self) -> None:
        self._board.scene("Push each release as a version, with what its files tell")
        for model in self._models:
            shown = ("version", "files", "total_bytes", "sent_bytes")
            self._pushed.append(self._ask(*_push_command(model), fields=shown))
        saved = sum(push["total_bytes"] - push["sent_bytes"] for push in self._pushed)
        storyboard.require(saved > 0, "the file that all three share was sent more than once")
        self._board.note(f"what another release has already is not sent again: {saved:,} bytes")

    def _measure(self) -> None:
        self._board.scene(
            "Measure them: 80 generated sounds, none is speech, so each alarm is false"
        )
        for model in self._models:
            scores = evidence.scores(model, self._scratch)
            options = ("--dataset", DATASET, "--suite", "alarms", "--evaluator", "numpy@1")
            reference = f"{MODEL}@{model.release.version}"
            self._cli(
                *("eval", "push", reference, "--scores", scores, *options),
                *("--lower", "false_alarm"),
                lines=0,
            )
        self._cli("compare", f"{MODEL}@5.1.2", "@6.0.0", "@6.2.3", "--dataset", DATASET)
        self._board.note("inference was real, just now, in NumPy; real rooms are another matter")

    def _set_rules(self) -> None:
        self._board.scene("Say what must be so before production, and who may do what")
        (self._scratch / "policy.yaml").write_text(POLICY)
        self._board.command(["cat", "policy.yaml"], self._alice.name)
        self._board.answer(POLICY)
        self._cli("gates", "set", "policy.yaml", lines=0)
        self._cli("role", "grant", "user:ben", "deployer", "acme", lines=0)
        self._cli("role", "grant", "user:carla", "approver", "acme", lines=0)
        self._ben, self._carla = self._person("ben"), self._person("carla")
        self._board.note("each token is printed once; who types below is who shows theirs")
        self._cli("env", "create", "acme/prod", "--stage", "production", lines=0)

    def _person(self, name: str) -> storyboard.Person:
        words = ("token", "create", "--for", f"user:{name}", "--expires", "1d", "-o", "json")
        self._board.command(["modelkeep", *words], self._alice.name)
        made = self._board.quietly(self._alice, words)
        return storyboard.Person(name, json.loads(made)["text"])

    def _promote(self) -> None:
        self._board.scene(
            "Promote 6.0.0: alice asks, nobody approves their own request, carla does"
        )
        reference = f"{MODEL}@6.0.0"
        ask = ("promote", reference, "--to", "production", "--reason", "fewer false alarms")
        self._cli("stage", reference, "staging", "--reason", "files verified", lines=0)
        self._cli(*ask, expected=_WAITS)
        self._refused("approve", reference)
        self._cli(
            "approve", reference, "--comment", "looked at the scores", who=self._carla, lines=0
        )
        self._cli(*ask)
        self._deploy(reference)

    def _deploy(self, reference: str) -> None:
        self._cli("deploy", "record", reference, "--env", "prod", who=self._ben, lines=0)

    def _refuse_the_worse(self) -> None:
        self._board.scene(
            "Somebody wants 5.1.2 instead: approved by a person, refused by the gates"
        )
        reference = f"{MODEL}@5.1.2"
        ask = ("promote", reference, "--to", "production", "--reason", "it is smaller")
        self._cli("stage", reference, "staging", "--reason", "to try", lines=0)
        self._cli(*ask, "--request-only", lines=1)
        self._cli("approve", reference, who=self._carla, lines=0)
        self._refused(*ask)

    def _follow(self) -> None:
        self._board.scene(
            "6.2.3 has more alarms than 6.0.0, but no more than chance explains: it goes"
        )
        reference = f"{MODEL}@6.2.3"
        ask = ("promote", reference, "--to", "production", "--reason", "the newest")
        self._cli("stage", reference, "staging", "--reason", "files verified", lines=0)
        self._cli(*ask, "--request-only", lines=1)
        self._cli("approve", reference, who=self._carla, lines=0)
        self._cli(*ask)
        self._deploy(reference)

    def _roll_back(self) -> None:
        self._board.scene("A bad day: back to the last known good version, in one call")
        self._cli(
            "rollback", MODEL, "--env", "prod", "--reason", "the hum sets it off", who=self._ben
        )
        self._cli("sheet", f"{MODEL}@production", lines=8)

    def _vouch(self) -> None:
        self._board.scene("Sign it; only signatures by those whom the namespace trusts count")
        evidence.key_pair(self._scratch)
        self._cli("trust", "add", "acme", "release", "--key", "release.pub", lines=0)
        self._cli("sign", f"{MODEL}@production", "--key", "release.key", lines=0)
        self._cli("verify", f"{MODEL}@production", "--trusted")

    def _pull(self) -> None:
        self._board.scene("Pull @production and compare every byte; push it again: nothing is sent")
        shown = ("version", "files", "total_bytes", "fetched_bytes")
        pulled = self._ask("pull", f"{MODEL}@production", "pulled", fields=shown)
        model = next(one for one in self._models if one.release.version == pulled["version"])
        self._compare(model, self._scratch / "pulled")
        again = self._ask(*_push_command(model)[:3], fields=("version", "sent_bytes", "is_new"))
        storyboard.require(again["sent_bytes"] == 0, f"sent {again['sent_bytes']} bytes again")

    def _compare(self, model: silero.Model, target: Path) -> None:
        names = [file.name for file in model.files]
        there = sorted(file.name for file in target.iterdir())
        storyboard.require(there == names, f"pulled {there}, pushed {names}")
        same, *different = filecmp.cmpfiles(model.directory, target, names, shallow=False)
        storyboard.require(not any(different), f"not the same bytes: {different}")
        size = sum(file.stat().st_size for file in model.files)
        self._board.note(f"{len(same)} files, {size:,} bytes: all the same as the original")

    def _reflect(self) -> None:
        self._board.scene("Ask from any language: the server describes itself, as to grpcurl here")
        request = {"ref": f"{MODEL}@production"}
        self._board.command(
            [
                *("grpcurl", "-plaintext", "-H", "authorization: Bearer mk_…"),
                *("-d", json.dumps(request)),
                *(self._board.endpoint, f"{REGISTRY_SERVICE}/ResolveVersion"),
            ]
        )
        with grpc.insecure_channel(self._board.endpoint) as channel:
            described = by_reflection.Described(channel, self._token())
            answer = described.call(REGISTRY_SERVICE, "ResolveVersion", request)["version"]
        storyboard.require(answer["version"] == "6.0.0", f"production is {answer['version']}")
        shown = ("name", "stage", "manifest_digest", "creator")
        self._board.answer(storyboard.some_of(answer, shown))

    def _token(self) -> str:
        return own_files.local_token(self._alice.environ(), self._board.endpoint)

    def _audit(self) -> None:
        self._board.scene("Try to delete what runs; then prove that nobody touched the record")
        self._refused("rm", "--yes", f"{MODEL}@6.0.0")
        self._cli("audit", "verify", "acme")

    def _sum_up(self, processes: int) -> None:
        total = sum(push["total_bytes"] for push in self._pushed)
        sent = sum(push["sent_bytes"] for push in self._pushed)
        self._board.slide(
            [
                ("pushed", f"3 releases, {total:,} bytes, of which {sent:,} were sent"),
                ("promoted", "6.0.0 and 6.2.3: by evidence, and by two people each"),
                ("refused", f"{len(self._refusals)} times, each with its reason"),
                ("rolled back", "6.2.3 to 6.0.0, in one call"),
                ("verified", "signature, every byte that was pulled, the audit chain"),
                ("left running", f"nothing ({processes} processes started, all ended)"),
            ],
            f"{time.monotonic() - self._started:.0f} s",
        )

    def _cli(
        self,
        *arguments: str,
        who: storyboard.Person | None = None,
        expected: int = 0,
        lines: int = storyboard.ANSWER_LINES,
    ) -> str:
        return self._board.run(who or self._alice, arguments, expected=expected, lines=lines)

    def _refused(self, *arguments: str) -> None:
        self._refusals.append(self._cli(*arguments, expected=_REFUSED))

    def _ask(self, *arguments: str, fields: tuple[str, ...]) -> dict[str, Any]:
        return self._board.ask(self._alice, arguments, fields)


def _push_command(model: silero.Model) -> list[str]:
    release = model.release
    options = ["--framework", "onnx"]
    options += [word for pair in model.params.items() for word in ("--param", "=".join(pair))]
    for name, value in model.metrics.items():
        options += ["--metric", f"{name}={value}"]
    if release.commit:
        options += ["--source-repository", silero.REPOSITORY, "--source-commit", release.commit]
    return ["push", release.version, f"{MODEL}@{release.version}", *options]


def main() -> int:
    """Play the demo in a scratch directory that is gone afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scratch = Path(tempfile.mkdtemp(prefix="modelkeep-demo-"))
    commands = command_line.CommandLine(scratch)
    board = storyboard.Storyboard(scratch, commands)
    try:
        with commands:
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
