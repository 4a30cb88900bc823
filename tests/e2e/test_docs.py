"""Runs every command of the documentation against a real server and compares the answers.

Needs `go` for the grpcurl lines: grpcurl is built once, into build/e2e/bin. Without it those lines
are left out, all others are run, and the test is skipped saying so.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import console
from support import dev_tree, services, wire

from modelkeep import config

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "e2e" / "bin"
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"
ENDPOINT = "127.0.0.1:7420"
DOCUMENTS = sorted(
    path for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")) if console.commands(path)
)


@pytest.fixture(scope="session")
def grpcurl() -> Path | None:
    """The directory that holds grpcurl, built if need be; None where that is not possible."""
    found = shutil.which("grpcurl")
    if found:
        return Path(found).parent
    if not (BUILT / "grpcurl").exists() and shutil.which("go"):
        environ = {**os.environ, "GOBIN": str(BUILT)}
        subprocess.run(["go", "install", GRPCURL], env=environ, check=True)
    return BUILT if (BUILT / "grpcurl").exists() else None


@pytest.fixture
def tree() -> Iterator[dev_tree.Tree]:
    """An empty registry of this test's own, started as the README says."""
    with services.scratch_directory() as scratch, dev_tree.running(scratch / "data") as running:
        yield running


@pytest.mark.timeout(700)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_answers_as_documented(
    document: Path, tree: dev_tree.Tree, grpcurl: Path | None, tmp_path: Path
) -> None:
    listed = console.commands(document)
    if grpcurl is None and not any(command.runs("modelkeep") for command in listed):
        pytest.skip(f"{document.name} is about grpcurl, and there is no go to build it")
    left_out = [command for command in listed if grpcurl is None and command.runs("grpcurl")]
    played = [command for command in listed if command not in left_out]
    environ = services.clean_environ(MODELKEEP_ENDPOINT=tree.endpoint)
    environ["PATH"] = f"{Path(sys.executable).parent}:{grpcurl or ''}:{environ['PATH']}"
    directory = tmp_path / "work"
    directory.mkdir()
    outputs = console.play(played, directory, environ, {ENDPOINT: tree.endpoint})
    wrong = [
        f"{command.place}\n$ {command.typed}\n{output}\ndocumented:\n{command.answer}"
        for command, output in zip(played, outputs, strict=True)
        if not command.accepts(output)
    ]
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)
    if left_out:
        pytest.skip(f"left out, there is no go to build grpcurl: {len(left_out)} lines")


def test_every_rpc_is_called_in_the_documentation() -> None:
    text = (ROOT / "docs" / "grpcurl.md").read_text()
    methods = {
        f"{service.full_name}/{method.name}"
        for service in wire.SERVICES
        for method in service.methods
    }
    assert {method for method in methods if method not in text} == set()


def test_every_grpcurl_line_is_in_a_console_block() -> None:
    loose = [
        f"{document.name}: {line}"
        for document in DOCUMENTS
        for line in console.outside_blocks(document).splitlines()
        if re.match(r"\s*(\$ )?grpcurl\b", line)
    ]
    assert loose == []


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    keys = {config.PREFIX + field.name.upper() for field in dataclasses.fields(config.Config)}
    assert {key for key in keys | config.CLIENT_KEYS if f"| `{key}` |" not in text} == set()
