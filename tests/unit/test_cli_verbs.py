"""The command line against a registry in memory: results, exit codes, words."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click import testing
from support import fake_registry

from modelkeep.cli import main
from modelkeep.cli import push as push_verb
from modelkeep.v1 import registry_service_pb2 as pb

Run = Callable[..., testing.Result]


@pytest.fixture
def fake() -> fake_registry.FakeRegistry:
    return fake_registry.FakeRegistry()


@pytest.fixture
def endpoint(fake: fake_registry.FakeRegistry) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server, address = asyncio.run_coroutine_threadsafe(fake_registry.start(fake), loop).result()
    yield address
    asyncio.run_coroutine_threadsafe(server.stop(None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def run(endpoint: str) -> Run:
    def invoke(*words: str) -> testing.Result:
        return testing.CliRunner().invoke(
            main.modelkeep, ["--endpoint", endpoint, *words], prog_name="modelkeep"
        )

    return invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "weights.onnx").write_bytes(b"w" * 100_000)
    (root / "config.json").write_text("{}")
    return root


@pytest.fixture
def pushed(run: Run, folder: Path) -> None:
    done = run(
        "push", str(folder), "acme/voice@1.2.0", "--param", "lr=0.001", "--metric", "auc=0.93"
    )
    assert done.exit_code == 0, done.output


def test_push_and_pull_answer_the_keys_that_are_promised(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    done = run("push", str(folder), "acme/voice@1.2.0", "-o", "json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    promised = ["version", "files", "total_bytes", "sent_bytes", "direct_bytes", "seconds"]
    promised += ["state", "warnings", "is_new"]
    assert list(document) == promised
    assert (document["version"], document["state"]) == ("1.2.0", "ready")
    assert (document["files"], document["total_bytes"], document["sent_bytes"]) == (
        2,
        100_002,
        100_002,
    )
    done = run("pull", "acme/voice", str(tmp_path / "copy"), "-o", "json")
    document = json.loads(done.stdout)
    promised = ["version", "files", "total_bytes", "fetched_bytes", "left_out", "direct_bytes"]
    promised += ["seconds"]
    assert list(document) == promised
    assert document["fetched_bytes"] == 100_002
    assert (tmp_path / "copy" / "weights.onnx").read_bytes() == b"w" * 100_000


@pytest.mark.usefixtures("pushed")
def test_resolve_answers_the_keys_that_are_promised(run: Run) -> None:
    document = json.loads(run("resolve", "acme/voice@latest", "-o", "json").stdout)
    assert list(document) == ["name", "version", "ordinal", "manifest_digest", "stage"]
    assert document["name"] == "namespaces/acme/models/voice/versions/1.2.0"
    assert yaml.safe_load(run("resolve", "acme/voice", "-o", "yaml").stdout) == document


def test_progress_and_notes_never_reach_standard_output(run: Run, folder: Path) -> None:
    done = run("push", str(folder), "acme/voice@1.2.0")
    assert done.stdout.startswith("acme/voice@1.2.0 pushed: 2 files, 97.7 KiB; sent 97.7 KiB")
    assert "sending 2 files, 97.7 KiB" in done.stderr
    again = run("push", str(folder), "acme/voice@1.2.0")
    assert "is there already" in again.stdout
    assert "nothing was sent" in again.stdout


def test_what_is_said_about_a_version_arrives_typed(
    run: Run, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "card.md").write_text("# Voice\n")
    done = run(
        *("push", str(folder), "acme/voice@1.2.0", "--kind", "pipeline"),
        *("--param", "lr=0.001", "--param", "layers=12", "--param", "bias=true"),
        *("--param", 'seed="42"', "--metric", "auc=0.93", "--label", "team=speech"),
        *("--dataset", "calls@v3", "--source-commit", "abc", "--source-repository", "git://x"),
        *("--base", "https://example.com/base", "--base-relation", "fine_tune"),
        *("--card", str(tmp_path / "card.md"), "--description", "Hears.", "--task", "vad"),
        *("--framework", "onnx@1.19"),
    )
    assert done.exit_code == 0, done.output
    version = fake.versions["namespaces/acme/models/voice/versions/1.2.0"]
    parameters = {
        name: scalar.WhichOneof("kind") for name, scalar in version.model.parameters.items()
    }
    assert parameters == {
        "lr": "double_value",
        "layers": "int_value",
        "bias": "bool_value",
        "seed": "string_value",
    }
    assert version.metrics[0].value == 0.93
    assert (version.model.framework, version.model.framework_version) == ("onnx", "1.19")
    assert version.model.base.uri == "https://example.com/base"
    assert (version.source.commit, version.source.repository) == ("abc", "git://x")
    assert (version.card, version.description, version.labels["team"]) == (
        "# Voice\n",
        "Hears.",
        "speech",
    )
    assert fake.models["namespaces/acme/models/voice"].kind == pb.MODEL_KIND_PIPELINE


@pytest.mark.usefixtures("pushed")
def test_a_base_is_resolved_to_the_version_it_means_now(
    run: Run, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    done = run(
        "push", str(folder), "acme/other@0.1.0", "--base", "acme/voice@latest",
        "--base-relation", "adapter",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    version = fake.versions["namespaces/acme/models/other/versions/0.1.0"]
    assert version.model.base.version == "namespaces/acme/models/voice/versions/1.2.0"


def test_a_prompt_has_no_files(run: Run, fake: fake_registry.FakeRegistry, tmp_path: Path) -> None:
    prompt = tmp_path / "triage.yaml"
    prompt.write_text("{provider: p, model: m, messages: [{role: user, content: 'x {{y}}'}]}")
    done = run("push", "--prompt", str(prompt), "acme/triage@1.0.0", "-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sent_bytes"] == 0
    assert fake.models["namespaces/acme/models/triage"].kind == pb.MODEL_KIND_PROMPT
    prompt.write_text("{provider: p, modle: m}")
    done = run("push", "--prompt", str(prompt), "acme/triage@1.0.1")
    assert done.exit_code == 2
    assert "did you mean 'model'" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("push", "x"),
        ("push", "a", "b", "c"),
        ("push", ".", "acme/voice@production"),
        ("push", ".", "acme/voice@1.0.0", "--param", "x"),
        ("push", ".", "acme/voice@1.0.0", "--kind", "prompt"),
        ("pull", "acme/voice"),
        ("pull", "ACME/voice", "x"),
        ("stage", "acme/voice@1.2.0", "live", "--reason", "x"),
        ("stage", "acme/voice@1.2.0", "staging"),
        ("alias", "set", "acme/voice", "champion"),
        ("resolve", "acme/voice", "--at", "noon"),
        ("psuh",),
    ],
)
def test_wrong_usage_ends_with_2(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_misspelt_verb_is_told_the_nearest_one(run: Run) -> None:
    assert "Did you mean 'push'?" in run("psuh").stderr


def test_what_is_not_there_ends_with_3(run: Run) -> None:
    done = run("show", "acme/none@1.0.0")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "acme/none@1.0.0 does not exist" in done.stderr
    assert "code:" not in done.stderr


def test_details_are_shown_with_v_before_or_behind_the_verb(run: Run) -> None:
    for words in (("-v", "show", "acme/none@1.0.0"), ("show", "acme/none@1.0.0", "-v")):
        stderr = run(*words).stderr
        assert "code: NOT_FOUND" in stderr
        assert "request id: req-1" in stderr


@pytest.mark.usefixtures("pushed")
def test_a_rule_that_refuses_ends_with_4(
    run: Run, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    (folder / "config.json").write_text("[]")
    done = run("push", str(folder), "acme/voice@1.2.0")
    assert done.exit_code == 4
    assert "never changes" in done.stderr
    fake.versions["namespaces/acme/models/voice/versions/1.2.0"].stage = "production"
    assert run("rm", "acme/voice@1.2.0", "-y").exit_code == 4


def test_a_failure_ends_with_1_and_says_what_to_do() -> None:
    done = testing.CliRunner().invoke(main.modelkeep, ["--endpoint", "127.0.0.1:1", "ls"])
    assert done.exit_code == 1
    assert "127.0.0.1:1" in done.stderr
    assert "modelkeep dev" in done.stderr


def test_a_hostile_tree_ends_with_1_naming_the_path(
    run: Run, folder: Path, fake: fake_registry.FakeRegistry
) -> None:
    (folder / "evil\\name").touch()
    done = run("push", str(folder), "acme/voice@1.2.0")
    assert done.exit_code == 1
    assert "evil" in done.stderr
    assert fake.versions == {}


@pytest.mark.usefixtures("pushed")
def test_a_directory_that_cannot_be_written_ends_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("pull", "acme/voice", str(tmp_path / "file" / "deeper"))
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 1


@pytest.mark.usefixtures("pushed")
def test_tables_are_aligned_and_for_people(run: Run) -> None:
    lines = run("ls", "acme/voice").stdout.splitlines()
    assert lines[0].split() == [
        *("VERSION", "#", "STAGE", "ALIASES", "STATE", "FILES", "SIZE", "CREATED", "BY", "DIGEST")
    ]
    assert lines[1].index("97.7 KiB") + len("97.7 KiB") == lines[0].index("SIZE") + len("SIZE")
    assert all(line == line.rstrip() for line in lines)
    (entry,) = json.loads(run("ls", "acme/voice", "-o", "json").stdout)
    assert entry["total_bytes"] == 100_002
    assert entry["created_at"].endswith("Z")


@pytest.mark.usefixtures("pushed")
def test_show_tells_all_of_it(run: Run) -> None:
    shown = run("show", "acme/voice@1.2.0").stdout
    for word in ("acme/voice@1.2.0", "lr", "0.001", "auc", "0.93", "weights.onnx", "sha256:"):
        assert word in shown
    document = json.loads(run("show", "acme/voice@1.2.0", "-o", "json").stdout)
    assert document["metrics"] == {"auc": 0.93}
    assert document["spec"]["parameters"] == {"lr": 0.001}
    assert [file["path"] for file in document["files"]] == ["config.json", "weights.onnx"]
    assert json.loads(run("show", "acme/voice", "-o", "json").stdout)["kind"] == "model"
    assert json.loads(run("show", "acme", "-o", "json").stdout)["models"][0]["kind"] == "model"


@pytest.mark.usefixtures("pushed")
def test_a_card_cannot_move_the_cursor(run: Run, fake: fake_registry.FakeRegistry) -> None:
    version = fake.versions["namespaces/acme/models/voice/versions/1.2.0"]
    version.card = version.description = version.labels["x"] = "hi \x1b]0;owned\x07"
    shown = run("show", "acme/voice@1.2.0")
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout


@pytest.mark.usefixtures("pushed")
def test_alias_stage_and_version(run: Run) -> None:
    assert run("alias", "set", "acme/voice@latest", "champion").exit_code == 0
    (entry,) = json.loads(run("alias", "ls", "acme/voice", "-o", "json").stdout)
    assert entry["version"].endswith("/versions/1.2.0")
    moved = run("stage", "acme/voice@1.2.0", "staging", "--reason", "tried")
    assert moved.stdout == "acme/voice@1.2.0 is now in staging\n"
    document = json.loads(run("version", "-o", "json").stdout)
    assert document["server"] == "9.9.9"


def test_version_without_a_server_still_tells_the_clients() -> None:
    words = ["--endpoint", "127.0.0.1:1", "version", "-o", "json"]
    done = testing.CliRunner().invoke(main.modelkeep, words)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["server"] is None


def test_every_verb_has_the_summary_of_its_list() -> None:
    for verbs in main.SECTIONS.values():
        for name, verb in verbs.items():
            module = verb.place.partition(":")[0]
            if module.endswith(".server"):
                continue
            listed = main.modelkeep.get_command(None, name)
            assert listed is not None
            assert listed.get_short_help_str(limit=200) == verb.summary


def test_help_loads_neither_grpc_nor_rich() -> None:
    code = (
        "import sys\nfrom modelkeep.cli import main\n"
        "try:\n main.modelkeep(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('grpc', 'rich', 'yaml', 'google') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Exit codes: 0 done" in done.stdout


def test_ctrl_c_says_how_to_go_on(
    endpoint: str, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    fake.faults.stall_writes = 10
    words = ["--endpoint", endpoint, "push", str(folder), "acme/voice@1.2.0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "modelkeep", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + 30
    while "WriteUpload" not in fake.calls and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""


def test_the_push_module_is_the_one_the_list_names() -> None:
    assert main.modelkeep.get_command(None, "push") is push_verb.push
