"""Gates and promotions as people meet them: each with a token of their own."""

import asyncio
import functools
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click import testing
from support import promoting, services

from modelkeep import client
from modelkeep.cli import main
from modelkeep.local import postgres as embedded

JUNIT = Path(__file__).with_name("gates.golden.xml")
MARKDOWN = Path(__file__).with_name("gates.golden.md")
"""Accepted with MODELKEEP_TEST_ACCEPT=1; read the diff."""
POLICY = """
# What must be so before anybody hears this voice.
apply_to: {model}
stage: production
description: release gate
gates:
  - metric_threshold: {{dataset: dialogs, metric: score, op: ">=", value: 0.8}}
  - required_fields: {{fields: [card.limitations]}}
  - frozen_windows:
      time_zone: Europe/Berlin
      windows:
        - {{start: 2020-12-20T18:00, end: 2021-01-04T08:00}}
  - approvals: {{count: 1, role: approver}}
"""


@pytest.fixture(scope="module")
async def team(
    postgres: embedded.Postgres, _template: str, s3: services.S3
) -> AsyncIterator[promoting.Team]:
    # Commands run in this process, and what they print must be theirs alone.
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=quiet)
    async with promoting.team(postgres, _template, s3) as made:
        yield made
    structlog.configure(wrapper_class=before)


class Shell:
    """Runs `modelkeep` as somebody."""

    def __init__(self, team: promoting.Team, token: str, home: Path) -> None:
        self._endpoint, self._token, self._home = team.world.endpoint, token, home

    async def start(self, *words: object) -> asyncio.subprocess.Process:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MODELKEEP_")}
        environ |= {"MODELKEEP_ENDPOINT": self._endpoint, "MODELKEEP_TOKEN": self._token}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelkeep", *map(str, words)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ | {"HOME": str(self._home)},
        )

    async def run(self, *words: object) -> tuple[int, str, str]:
        """The same in this process, in a thread: a fraction of the time."""
        environ = {"MODELKEEP_ENDPOINT": self._endpoint, "MODELKEEP_TOKEN": self._token}
        invoke = functools.partial(
            testing.CliRunner().invoke, main.modelkeep, list(map(str, words)), env=environ
        )
        done = await asyncio.to_thread(invoke)
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
async def shells(team: promoting.Team, tmp_path: Path) -> dict[str, Shell]:
    """Shells of Ann, Bob and the administrator."""
    tokens = {"admin": team.world.admin_token}
    for who in ("ann", "bob"):
        tokens[who] = (await team.world.token(f"user:{who}")).text
    return {who: Shell(team, token, tmp_path) for who, token in tokens.items()}


def ref_of(version: str) -> str:
    _, namespace, _, model, _, semver = version.split("/")
    return f"{namespace}/{model}@{semver}"


async def test_a_policy_file_is_set_shown_and_set_again(
    team: promoting.Team, shells: dict[str, Shell], tmp_path: Path
) -> None:
    model = ref_of(f"{await team.admin.new_model()}/versions/1").partition("@")[0]
    file = tmp_path / "gates.yaml"
    file.write_text(POLICY.format(model=model))
    code, out, err = await shells["admin"].run("gates", "set", file, "--dry-run")
    assert (code, "nothing was changed" in err) == (0, True), err
    assert (await shells["admin"].run("gates", "show", model))[1] == (
        "no policy: every move that one may make is allowed\n"
    )
    code, out, _ = await shells["admin"].run("gates", "set", file, "-o", "json")
    assert (code, json.loads(out)[0]["actor"]) == (0, "user:owner")
    code, out, _ = await shells["ann"].run("gates", "show", model, "-o", "yaml")
    again = tmp_path / "again.yaml"
    again.write_text(out)
    assert client.read_policy_file(again)[0].gates == client.read_policy_file(file)[0].gates
    assert (await shells["admin"].run("gates", "set", again))[0] == 0
    code, out, _ = await shells["ann"].run("gates", "show", model)
    assert f"{model} before production" in out
    assert "dataset=dialogs  metric=score  op=>=  value=0.8" in out
    assert (await shells["ann"].run("gates", "set", file))[0] == 4
    assert (await shells["admin"].run("gates", "rm", model, "--to", "production"))[0] == 0
    assert (await shells["admin"].run("gates", "rm", model, "--to", "production"))[0] == 3


async def checked(team: promoting.Team, shells: dict[str, Shell], tmp_path: Path) -> str:
    """A version in staging behind the policy; its reference."""
    version = await team.staged()
    file = tmp_path / "gates.yaml"
    file.write_text(POLICY.format(model=ref_of(version).partition("@")[0]))
    assert (await shells["admin"].run("gates", "set", file))[0] == 0
    await team.measure(version, 0.7)
    return ref_of(version)


async def test_a_check_tells_what_is_not_met_in_every_form(
    team: promoting.Team, shells: dict[str, Shell], tmp_path: Path
) -> None:
    ref = await checked(team, shells, tmp_path)
    report = tmp_path / "gates.xml"
    words = ("gates", "check", ref, "--to", "production", "--junit", report)
    code, out, _ = await shells["ann"].run(*words)
    assert code == 4
    assert "2 of 4 gates not met" in out
    code, out, _ = await shells["ann"].run(*words, "-o", "json")
    told = json.loads(out)
    assert (code, told["passed"]) == (4, False)
    assert [(one["kind"], one["passed"], one["pending"]) for one in told["verdicts"]] == [
        ("metric_threshold", False, False),
        ("required_fields", False, False),
        ("frozen_windows", True, False),
        ("approvals", False, True),
    ]
    code, out, _ = await shells["ann"].run(*words, "-o", "markdown")
    assert code == 4
    evaluation = told["verdicts"][0]["evidence"].rpartition("/")[2]
    for golden, text in ((JUNIT, report.read_text()), (MARKDOWN, out)):
        shown = text.replace(evaluation, "0" * 16).replace(ref.partition("/")[0], "acme")
        if "MODELKEEP_TEST_ACCEPT" in os.environ:
            golden.write_text(shown)
        assert shown == golden.read_text()
    other = ref_of(await team.staged())
    assert (await shells["ann"].run("gates", "check", other, "--to", "production"))[0] == 0


async def test_a_promotion_waits_for_approvals_and_commits(
    team: promoting.Team, shells: dict[str, Shell]
) -> None:
    ref = ref_of(await team.staged())
    words = ("promote", ref, "--to", "production", "--reason", "better")
    code, out, err = await shells["ann"].run(*words)
    assert code == 5, err
    assert f"Somebody else says: modelkeep approve {ref}/" in err
    waiting = await shells["ann"].start(*words, "--wait", "-o", "json")
    assert waiting.stderr is not None
    first = await asyncio.wait_for(waiting.stderr.readline(), 60)
    assert first.startswith(b"waiting: 0 approved; 1 by somebody else is wanted.")
    code, _, err = await shells["ann"].run("approve", ref)
    assert code == 4, err
    code, out, err = await shells["bob"].run("approve", ref, "--comment", "go")
    assert (code, "is approved" in out) == (0, True), err
    stdout, stderr = await asyncio.wait_for(waiting.communicate(), 60)
    assert waiting.returncode == 0, stderr
    done: dict[str, Any] = json.loads(stdout)
    assert (done["transition"]["state"], done["transition"]["end_actor"]) == (
        "committed",
        "user:ann",
    )
    name = done["transition"]["name"].rpartition("/")[2]
    code, out, _ = await shells["bob"].run("transitions", "show", f"{ref}/{name}")
    assert "approved by  user:bob (approver)" in out
    code, out, _ = await shells["bob"].run("transitions", "ls", ref.partition("@")[0])
    assert f"{ref}/{name}" in out
    assert "+user:bob" in out


async def test_a_promotion_that_is_rejected_ends_the_wait(
    team: promoting.Team, shells: dict[str, Shell]
) -> None:
    ref = ref_of(await team.staged())
    words = ("promote", ref, "--to", "production", "--reason", "better")
    code, out, _ = await shells["ann"].run(*words, "--request-only", "-o", "json")
    assert (code, json.loads(out)["transition"]["state"]) == (0, "pending")
    waiting = await shells["ann"].start(*words, "--wait")
    assert waiting.stderr is not None
    await asyncio.wait_for(waiting.stderr.readline(), 60)
    assert (await shells["bob"].run("reject", ref, "--reason", "too slow"))[0] == 0
    stdout, _ = await asyncio.wait_for(waiting.communicate(), 60)
    assert waiting.returncode == 4
    assert b"is rejected by user:bob: too slow" in stdout
    assert (await shells["ann"].run("cancel", ref))[0] == 0
    code, _, err = await shells["ann"].run("cancel", ref)
    assert (code, "has no open transition" in err) == (3, True)


async def test_gates_that_are_not_met_are_told_one_by_one(
    team: promoting.Team, shells: dict[str, Shell], tmp_path: Path
) -> None:
    ref = await checked(team, shells, tmp_path)
    words = ("promote", ref, "--to", "production", "--reason", "better")
    assert (await shells["ann"].run(*words))[0] == 5
    assert (await shells["bob"].run("approve", ref))[0] == 0
    code, _, err = await shells["ann"].run("-v", *words)
    assert code == 4
    assert "metric_threshold: score on dialogs@1 is 0.7; >= 0.8 is wanted" in err
    assert "required_fields: nothing in card.limitations" in err
    code, _, err = await shells["bob"].run("stage", ref, "production", "--reason", "now")
    assert code == 4
    bypass = ("stage", ref, "production", "--reason", "fire", "--bypass-gates")
    assert (await shells["bob"].run(*bypass))[0] == 4
    assert (await shells["admin"].run(*bypass))[0] == 0
