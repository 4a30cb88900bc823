"""The first administrator, and who is logged in with what."""

import asyncio
import dataclasses
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click import testing
from support import closed

from modelkeep import app, client, own_files
from modelkeep import config as configuration
from modelkeep.cli import main, own_admin
from modelkeep.client import logins
from modelkeep.v1 import audit_service_pb2

ALICE = "user:alice"


async def cli(*words: str, stdin: str = "", **environ: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""

    def run() -> testing.Result:
        return testing.CliRunner().invoke(main.modelkeep, words, input=stdin, env=environ)

    ended = await asyncio.to_thread(run)
    return ended.exit_code, ended.stdout.strip(), ended.stderr


async def test_the_first_administrator_is_made_once(config: configuration.Config) -> None:
    outcomes = await asyncio.gather(
        *(
            app.make_admin(config.database_url, f"user:a{number}", break_glass=False)
            for number in range(4)
        ),
        return_exceptions=True,
    )
    made = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, configuration.CannotServe)]
    assert (len(made), len(refused)) == (1, 3)
    assert "has an administrator already" in str(refused[0])


async def test_admin_init_and_login_at_the_command_line(
    config: configuration.Config, tmp_path: Path
) -> None:
    database = {"MODELKEEP_DATABASE_URL": config.database_url}
    code, token, said = await cli("admin", "init", ALICE, **database)
    assert (code, token[:3]) == (0, "mk_")
    assert "not shown again" in said
    assert token not in said
    code, nothing, said = await cli("admin", "init", ALICE, **database)
    assert (code, nothing) == (1, "")
    assert "--break-glass" in said
    code, nothing, said = await cli("admin", "init", "alice", **database)
    assert (code, nothing) == (1, "")
    assert "is not a principal" in said
    shut = dataclasses.replace(config, anonymous_role="")
    async with app.running(shut) as endpoint:
        home = {"XDG_CONFIG_HOME": str(tmp_path), "MODELKEEP_ENDPOINT": endpoint}
        code, _, said = await cli("login", "--token-stdin", stdin=token[:-1] + "\n", **home)
        assert code == 1
        code, said, _ = await cli("login", "--token-stdin", stdin=f"{token}\n", **home)
        assert (code, token in said) == (0, False)
        kept = tmp_path / "modelkeep" / "credentials.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert f"principal  {ALICE}" in (await cli("whoami", **home))[1]
        assert (await cli("token", "print", **home))[1].endswith(token)
        other = home | {"MODELKEEP_ENDPOINT": "127.0.0.1:1"}
        assert (await cli("token", "print", **other))[0] == 1  # it goes to no other server
        kept.chmod(0o644)
        code, _, said = await cli("whoami", **home)
        assert (code, "chmod 600" in said) == (2, True)
        kept.chmod(0o600)
        assert (await cli("logout", **home))[0] == 0
        code, _, said = await cli("whoami", **home)
        assert (code, "modelkeep login" in said) == (1, True)


async def test_breaking_the_glass_is_audited(config: configuration.Config) -> None:
    async with closed.running(config) as world:
        token = await app.make_admin(config.database_url, "user:rescue", break_glass=True)
        rescue = world.with_token(token)
        request = audit_service_pb2.ListAuditEventsRequest(
            parent=closed.REGISTRY, actions=["admin.made"]
        )
        newest, first = (await rescue.audit.ListAuditEvents(request)).events
        assert newest.after["principal"] == "user:rescue"
        assert newest.after["reason"].startswith("break-glass")
        assert first.after["reason"] == "the first administrator"
        assert newest.client == "modelkeep admin"


async def test_a_local_administrator_keeps_a_token_that_works(
    config: configuration.Config, tmp_path: Path
) -> None:
    path = tmp_path / own_files.TOKEN_FILE
    await own_admin.keep_token(path, config.database_url)
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await own_admin.keep_token(path, config.database_url)
    assert path.read_text() == first
    path.write_text("mk_0123456789abcdef_" + "A" * 43)  # of another database
    await own_admin.keep_token(path, config.database_url)
    assert path.read_text() != first


@pytest.mark.parametrize(
    ("environ", "principal"),
    [
        ({"LOGNAME": "alice"}, "user:alice"),
        ({"USER": "DOMAIN\\bob smith"}, "user:DOMAIN-bob-smith"),
        ({"LOGNAME": "---"}, "user:local"),
    ],
)
def test_whoever_runs_it_has_a_name(environ: dict[str, str], principal: str) -> None:
    assert own_admin.principal_of(environ) == principal


def environ_of(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}


def test_tokens_are_kept_for_each_server_apart(tmp_path: Path) -> None:
    environ = environ_of(tmp_path)
    logins.keep("127.0.0.1:1", "one", environ)
    logins.keep("https://127.0.0.1:1", "two", environ)
    assert logins.kept_token("127.0.0.1:1", environ) == "one"
    assert logins.kept_token("https://127.0.0.1:1", environ) == "two"
    assert logins.kept_token("127.0.0.1:2", environ) == ""
    assert logins.forget("127.0.0.1:1", environ)
    assert not logins.forget("127.0.0.1:1", environ)
    assert logins.kept_token("https://127.0.0.1:1", environ) == "two"


def test_a_local_servers_token_is_found_while_it_runs(tmp_path: Path) -> None:
    environ, data = environ_of(tmp_path), tmp_path / "data"
    data.mkdir()
    own_files.write_private(data / own_files.TOKEN_FILE, "mine\n")
    note = own_files.note_local_server(environ, "127.0.0.1:1", data)
    assert logins.kept_token("127.0.0.1:1", environ) == ""  # nobody holds the directory
    (data / "lock").write_text('{"endpoint": "127.0.0.1:1"}')
    assert logins.kept_token("127.0.0.1:1", environ) == "mine"
    assert logins.found_for("127.0.0.1:1", environ).token == "mine"
    (data / "lock").write_text('{"endpoint": "127.0.0.1:2"}')  # it answers elsewhere now
    assert logins.kept_token("127.0.0.1:1", environ) == ""
    note.unlink()
    assert logins.kept_token("127.0.0.1:1", environ) == ""


def test_what_is_said_comes_before_what_is_kept(tmp_path: Path) -> None:
    environ = environ_of(tmp_path)
    logins.keep("127.0.0.1:1", "kept", environ)
    assert logins.found_for("127.0.0.1:1", environ | {"MODELKEEP_TOKEN": "said"}).token == "said"
    file = tmp_path / "token"
    file.write_text("from-file\n")
    found: Any = logins.found_for("127.0.0.1:1", environ | {"MODELKEEP_TOKEN_FILE": str(file)})
    assert found.token() == "from-file"


@pytest.mark.parametrize("content", ["{", "[]x", '"text"'])
def test_a_file_that_is_not_ours_is_not_overwritten(tmp_path: Path, content: str) -> None:
    environ = environ_of(tmp_path)
    own_files.write_private(own_files.credentials_file(environ), content)
    with pytest.raises(client.InvalidRequest, match="log in again"):
        logins.keep("127.0.0.1:1", "x", environ)
    assert own_files.credentials_file(environ).read_text() == content


def test_nothing_of_the_secret_is_readable_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has its mode before it has its content, whatever the umask."""
    modes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(stat.S_IMODE(os.fstat(fd).st_mode)))
    before = os.umask(0)
    try:
        own_files.write_private(tmp_path / "a" / "secret", "x")
    finally:
        os.umask(before)
    assert modes == [0o600]
