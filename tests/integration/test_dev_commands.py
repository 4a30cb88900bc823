"""What `dev`, `serve` and `migrate` say before they start anything."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click import testing
from support import services

from modelkeep.cli import server

COMPLETE = {
    "MODELKEEP_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d",
    "MODELKEEP_S3_ENDPOINT": "127.0.0.1:1",
    "MODELKEEP_S3_ACCESS_KEY": "access",
    "MODELKEEP_S3_SECRET_KEY": "secret",
}


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> testing.CliRunner:
    monkeypatch.setattr("modelkeep.allocator.ensure", lambda _: None)
    return testing.CliRunner()


@pytest.mark.parametrize("command", [server.serve, server.migrate])
def test_a_missing_setting_is_wrong_use(runner: testing.CliRunner, command: click.Command) -> None:
    ended = runner.invoke(command, env=dict.fromkeys(COMPLETE))
    assert ended.exit_code == 2
    assert "MODELKEEP_DATABASE_URL" in ended.output


WITHOUT = """
import sys
sys.modules[{package!r}] = None
from modelkeep import allocator
allocator.ensure = lambda environ: None
from modelkeep.cli import server
server.{command}([])
"""


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("serve", "structlog", "server"),
        ("migrate", "asyncpg", "server"),
        ("dev", "psutil", "local"),
    ],
)
def test_a_missing_extra_is_one_plain_sentence(command: str, package: str, extra: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package=package, command=command)],
        env=services.clean_environ(**COMPLETE),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    expected = f'Error: {package} is not installed; run: pip install "modelkeep[{extra}]"\n'
    assert (ended.returncode, ended.stderr) == (1, expected)


def test_missing_binaries_are_one_plain_sentence(
    runner: testing.CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    ended = runner.invoke(server.dev, ["--data", str(tmp_path)])
    assert ended.exit_code == 1
    assert 'run: pip install "modelkeep[local]"' in ended.output
    assert not (tmp_path / "lock").exists()
