"""Plans, recommendations, regression tests and prompts as a person or a pipeline meets them."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import structlog
from click import testing

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.cli import main

ON = ("--dataset", "satisfaction@2026-10")
GOLDEN = Path(__file__).parent
"""Accepted with MODELKEEP_TEST_ACCEPT=1; read the diff."""
Run = Callable[..., Awaitable[testing.Result]]
PROMPT = """
provider: vllm
model: qwen2.5-7b-instruct
messages:
  - {role: system, content: "You sort tickets of {{company}}."}
  - {role: user, content: "{{ ticket }} {{company}}"}
parameters: {temperature: 0.2, stop: ["END"]}
tools:
  - {name: look_up, parameters: {type: object}}
"""


@pytest.fixture
async def run(config: configuration.Config) -> AsyncIterator[Run]:
    """Runs a command against the test's own server, in this process.

    What a command prints is caught from the whole process, so the server says nothing.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with app.running(config) as endpoint:

        async def command(*words: object) -> testing.Result:
            runner = testing.CliRunner(env={"MODELKEEP_ENDPOINT": endpoint})
            return await asyncio.to_thread(runner.invoke, main.modelkeep, [*map(str, words)])

        yield command
    structlog.reset_defaults()


@pytest.fixture
async def chatbot(run: Run, tmp_path: Path) -> Path:
    """Three prompt versions, of which 1.0.0 is in production and all are evaluated."""
    for n, figures in enumerate(((0.79, 0.80, 812), (0.86, 0.82, 640), (0.84, 0.70, 600))):
        path = tmp_path / "prompt.yaml"
        path.write_text(PROMPT.replace("sort", f"sort {n}"))
        await done(run, "push", "--prompt", path, f"acme/chatbot@1.{n}.0")
        await done(run, "eval", "push", f"acme/chatbot@1.{n}.0", results(tmp_path, *figures), *ON)
        await done(run, "stage", f"acme/chatbot@1.{n}.0", "staging", "--reason", "try")
    await done(run, "stage", "acme/chatbot@1.0.0", "production", "--reason", "first")
    return tmp_path


async def done(run: Run, *words: object) -> str:
    result = await run(*words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.stdout


def results(folder: Path, score: float, german: float, latency: float, **more: Any) -> Path:
    """A results file as the documentation has it."""
    common = {"n": 400, "direction": "higher", "stderr": 0.019}
    metrics = [
        {"name": "score", "value": score, **common},
        {"name": "score", "value": german, **common, "slice": "lang=de"},
        {"name": "latency", "value": latency, "direction": "lower", "unit": "ms", "stderr": 5},
    ]
    path = folder / f"results-{score}.json"
    document = {"suite": "satisfaction", "evaluator": "judge@1.4", "metrics": metrics, **more}
    path.write_text(json.dumps(document))
    return path


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if "MODELKEEP_TEST_ACCEPT" in os.environ:
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.usefixtures("chatbot")
async def test_a_version_is_recommended_or_none(run: Run) -> None:
    without = await run("recommend", "acme/chatbot")
    assert without.exit_code == 4
    assert "modelkeep eval plan set" in without.stderr
    plan = ("eval", "plan", "set", "acme/chatbot", "--metric", "score", "--dataset", "satisfaction")
    guards = ("--guard", "latency=5%", "--strict-guard", "score[lang=de]=0.05")
    shown = await done(run, *plan, *guards)
    assert "score[lang=de]=0.05, chance or not" in shown
    assert json.loads(await done(run, "eval", "plan", "show", "acme/chatbot", "-o", "json"))[
        "guards"
    ][0] == {
        "metric": "latency", "slice": "", "tolerance": 0.05, "relative": True, "strict": False,
    }  # fmt: skip
    for form in ("table", "markdown"):
        text = await done(run, "recommend", "acme/chatbot", "--to", "production", "-o", form)
        golden(f"recommendation.golden.{'md' if form == 'markdown' else 'txt'}", text)
    found = json.loads(await done(run, "recommend", "acme/chatbot", "-o", "json"))
    assert (found["version"], found["baseline"]) == ("acme/chatbot@1.1.0", "acme/chatbot@1.0.0")
    none = await run("recommend", "acme/chatbot", "@1.2.0")
    assert (none.exit_code, "Move none to production; keep 1.0.0." in none.stdout) == (4, True)
    assert "Its guard does not hold: score of lang=de is 0.7" in none.stdout


async def test_a_change_is_tested_for_regressions(run: Run, chatbot: Path) -> None:
    base = ("regress", "acme/chatbot", "--baseline", "@production")
    good, bad = results(chatbot, 0.8, 0.81, 812), results(chatbot, 0.6, 0.82, 900)
    held = await run(*base, "--results", good, *ON)
    assert (held.exit_code, "holds against 1.0.0: 3 figures compared." in held.stdout) == (0, True)
    report = chatbot / "report.xml"
    failed = await run(*base, "--results", bad, *ON, "--junit", report)
    assert failed.exit_code == 4
    golden("regression.golden.txt", failed.stdout)
    golden("regression.golden.xml", report.read_text())
    suite = ElementTree.fromstring(report.read_text())[0]  # noqa: S314 - our own
    assert [(c.get("name"), len(c.findall("failure"))) for c in suite] == [
        ("latency", 1),
        ("score", 1),
        ("score [lang=de]", 0),
    ]
    tolerant = ("--tolerance", "score[*]=0.2", "--tolerance", "latency=20%")
    assert (await run(*base, "--results", bad, *ON, *tolerant)).exit_code == 0
    markdown = await run(*base, "--results", bad, *ON, "-o", "markdown")
    golden("regression.golden.md", markdown.stdout)


async def test_recorded_results_are_tested_and_new_ones_recorded(run: Run, chatbot: Path) -> None:
    base = ("regress", "acme/chatbot@1.2.0", "--baseline", "@production")
    recorded = await run(*base, *ON)
    assert (recorded.exit_code, "score of lang=de is 0.7" in recorded.stdout) == (4, True)
    better = results(chatbot, 0.87, 0.83, 590)
    assert (await run(*base, "--results", better, *ON, "--record")).exit_code == 0
    assert (await run(*base, *ON)).exit_code == 0
    other = await run(*base, "--results", better, "--dataset", "satisfaction@7")
    assert (other.exit_code, "not comparable" in other.stdout) == (4, True)
    allowed = await run(*base, "--results", better, "--dataset", "news@7", "--allow-missing")
    assert allowed.exit_code == 0
    for words in (base, (*base, "--record"), (*base, *ON, "--tolerance", "score")):
        assert (await run(*words)).exit_code == 2


async def test_a_prompt_is_rendered(run: Run, chatbot: Path) -> None:
    ref = ("prompt", "render", "acme/chatbot@1.0.0")
    values = chatbot / "values.yaml"
    values.write_text("company: Acme\nticket: 7\n")
    text = await done(run, *ref, "--vars", values, "--var", "ticket=It is {{company}}.")
    assert text == "[system]\nYou sort 0 tickets of Acme.\n\n[user]\nIt is {{company}}. Acme\n"
    document = json.loads(await done(run, *ref, "--vars", values, "-o", "json"))
    assert document["messages"][1] == {"role": "user", "content": "7 Acme"}
    assert (document["provider"], document["model"]) == ("vllm", "qwen2.5-7b-instruct")
    assert document["parameters"] == {"temperature": 0.2, "stop": ["END"]}
    assert document["tools"][0]["parameters"] == {"type": "object"}
    wrong = await run(*ref, "--var", "company=Acme", "--var", "tikcet=x", "--var", "b=y")
    assert wrong.exit_code == 2
    assert "needs a value for 'ticket'" in wrong.stderr
    assert "no variable 'tikcet', 'b'; it has 'company', 'ticket'" in wrong.stderr
    values.write_text("[1, 2]")
    assert (await run(*ref, "--vars", values)).exit_code == 2
    values.write_text("company: !!python/object/apply:os.system [exit]")
    assert (await run(*ref, "--vars", values)).exit_code == 2


@pytest.mark.usefixtures("chatbot")
async def test_a_model_says_how_much_harm_it_can_do(run: Run) -> None:
    words = ("model", "set", "acme/chatbot", "--risk", "high", "--revalidate-every", "45d")
    await done(run, *words, "--owner", "support team")
    shown = await done(run, "show", "acme/chatbot")
    assert "high, evaluated each 45 days" in shown
    await done(run, "model", "set", "acme/chatbot", "--revalidate-every", "tier")
    model = json.loads(await done(run, "show", "acme/chatbot", "-o", "json"))
    assert (model["risk_tier"], model["revalidation_days"]) == ("high", 0)
    assert model["owner"] == "support team"
    found = json.loads(await done(run, "search", "risk_tier = high", "-o", "json"))
    assert len(found) == 3
    assert json.loads(await done(run, "search", "risk_tier = low", "-o", "json")) == []
    for wrong in (("--revalidate-every", "9999d"), ("--risk", "huge"), ()):
        assert (await run("model", "set", "acme/chatbot", *wrong)).exit_code == 2
    log = await done(run, "audit", "log", "acme", "--action", "model.updated", "-o", "json")
    assert json.loads(log)[-1]["after"]["risk_tier"] == "high"


@pytest.mark.usefixtures("chatbot")
async def test_missing_evidence_is_reported(run: Run) -> None:
    when = ("--as-of", "2036-01-07T00:00:00Z")
    table = await done(run, "audit", "compliance", "acme", "--per-week", "2", *when)
    assert "1.0.0" in table
    assert "The plan runs from the week of 2036-01-07 to that of 2036-01-14." in table
    document = json.loads(await done(run, "audit", "compliance", "-o", "json", *when))
    first = document["entries"][0]
    assert (first["version"], first["exposure"]) == ("acme/chatbot@1.0.0", 1)
    assert "no_owner" in first["findings"]
    assert first["score"] == 2 * first["days_overdue"]
    lines = (await done(run, "audit", "compliance", "-o", "csv", "--limit", "1")).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("rank,version,stage,owner,risk_tier,exposure")
    markdown = await done(run, "audit", "compliance", "acme", "-o", "markdown", *when)
    assert markdown.startswith("| Rank | Version |")
    staged = await done(run, "audit", "compliance", "--stage", "staging", "--older-than", "1d")
    assert "acme/chatbot@1.0.0" not in staged
    assert isinstance(client.RiskTier.HIGH, str)
