"""Deployment sheets against golden files, byte by byte but for times and random names.

To accept a change: `MODELKEEP_TEST_ACCEPT=1 .venv/bin/python -m pytest tests/wire/test_sheets.py`,
then read the diff.
"""

import datetime
import json
import os
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from support import deploying, model_files, wire

from modelkeep import client
from modelkeep.domain import sheets
from modelkeep.v1 import deployment_service_pb2 as pb

GOLDEN = Path(__file__).with_name("sheets")
CARD = """# Ticket classifier

## Hardware

One GPU of 16 GiB, or eight cores.

## Limitations

- Knows German and English only.
- Tickets longer than 4,096 characters are cut.

### Languages

French is read as German.

## History

Nothing of this belongs on a sheet.
"""
SPEC = client.ModelSpec(
    framework="pytorch",
    framework_version="2.9.1",
    task="text-classification",
    architecture="bert-base",
    parameters={"lr": 0.001, "epochs": 3, "gpu_memory_gib": 16, "cased": True},
    inputs=(client.TensorSpec("ids", "int64", (-1, 512)),),
    outputs=(client.TensorSpec("logits", "float32", (-1, 7)),),
    dependencies=(
        client.Dependency("pypi", "torch", "2.9.1"),
        client.Dependency("pypi", "numpy", "2.3.5", "sha256:" + "ab" * 32),
    ),
)
DRAFT = client.Draft(
    spec=SPEC,
    datasets=(
        client.Dataset("tickets", "2026-09", role=client.DatasetRole.TRAINING),
        client.Dataset("tickets", "2026-10", uri="s3://data/t", role=client.DatasetRole.TEST),
    ),
    metrics={"accuracy": 0.93, "loss": 0.25},
    source=client.Source(
        repository="https://git.example/acme/tickets", commit="0123abc", run="ci/77"
    ),
    labels={"team": "support", "hardware": "1x L4"},
    description="Sorts tickets into queues.",
    card=CARD,
)
REPORT = client.EvaluationReport(
    dataset=client.EvaluationDataset("satisfaction", "2026-10"),
    suite="satisfaction",
    evaluator="judge@1.4",
    metrics=(
        client.EvaluationMetric(
            name="score",
            value=0.83,
            direction=client.MetricDirection.HIGHER,
            sample_count=400,
            standard_error=0.019,
        ),
        client.EvaluationMetric(
            name="latency", value=812.5, direction=client.MetricDirection.LOWER, unit="ms"
        ),
    ),
    run_at=datetime.datetime(2026, 10, 3, 12, tzinfo=datetime.UTC),
)
PROMPT = client.Draft(
    spec=client.PromptSpec(
        provider="openai",
        hosted_model="some-model-2026-01-01",
        messages=(
            client.PromptMessage("system", "You answer {{customer}} in one sentence."),
            client.PromptMessage("user", "{{question}}"),
        ),
        variables=("customer", "question"),
        sampling=client.Sampling(temperature=0.2, max_tokens=200, stop=("END",)),
        tools=(client.PromptTool("look_up", "Finds an order."),),
    ),
    card="---\nlimitations: not for medical advice\n---\n# Support prompt\n",
)
EVIL = "`</code>` | ![x](http://e.example/x.png) <script>alert(1)</script> \u202e @all # x"
_APPROVED = """
WITH moved AS (
    SELECT a.* FROM stage_assignment a JOIN version v USING (version_id)
    WHERE v.version = '2.1.0' AND a.valid_to IS NULL
), asked AS (
    INSERT INTO transition (key, namespace_id, model_id, version_id, origin, target, reason,
        requester, created_at, expires_at, state, ended_at, end_actor, assignment_id)
    SELECT '0123456789abcdef', namespace_id, model_id, version_id, 'staging', stage,
        'better on every slice', 'dana', now(), now() + interval '1 day', 'committed', now(),
        'dana', assignment_id FROM moved RETURNING transition_id, namespace_id, requester
), said AS (
    INSERT INTO transition_verdict (namespace_id, transition_id, requester, approver, approved,
        comment, created_at, roles, groups)
    SELECT namespace_id, transition_id, requester, 'robin', true, 'looks good', now(),
        '{approver}', '{}' FROM asked
)
INSERT INTO gate_result (assignment_id, position, namespace_id, gate, passed, sentence, evidence,
    policy, judged_at)
SELECT assignment_id, 0, namespace_id,
    '{"measured": {"dataset": "satisfaction", "metric": "score", "revision": "", "suite": "",
    "slice": "", "min_samples": 0}, "op": ">=", "value": 0.8, "kind": "metric_threshold"}', true,
    'score on satisfaction is 0.83, and at least 0.8 is asked for', '', '', now() FROM moved"""


@pytest.fixture
async def registry(endpoint: str) -> Any:
    async with client.connect(endpoint) as connected:
        yield connected


async def sheet(stubs: wire.Stubs, ref: str, form: int = pb.SHEET_FORMAT_MARKDOWN) -> str:
    request = pb.GetDeploymentSheetRequest(ref=ref, format=form)
    answer = await stubs.deployments.GetDeploymentSheet(request)
    again = await stubs.deployments.GetDeploymentSheet(request)
    assert answer == again
    return answer.content


def compare(name: str, content: str) -> None:
    """Compare what a sheet says, but for what is never the same twice."""
    stable = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)", "<TIME>", content)
    stable = re.sub(r"\b(deployments|evaluations)/[0-9a-f]{16}", r"\1/<ID>", stable)
    golden = GOLDEN / name
    if "MODELKEEP_TEST_ACCEPT" in os.environ:
        golden.write_text(stable)
    assert stable == golden.read_text()


async def weights(registry: client.Registry, path: Path, version: str, draft: client.Draft) -> None:
    (path / "model.safetensors").write_bytes(model_files.safetensors())
    (path / "config.json").write_text(json.dumps({"version": version}))
    await registry.push(path, f"acme/tickets@{version}", draft)


async def promote(registry: client.Registry, ref: str) -> None:
    for stage in ("staging", "production"):
        await registry.set_stage(ref, stage, reason="better on every slice")


async def test_a_model_of_weights(
    stubs: wire.Stubs, registry: client.Registry, tmp_path: Path, database_url: str
) -> None:
    for version in ("2.0.0", "2.1.0"):
        await weights(registry, tmp_path, version, DRAFT)
        if version == "2.0.0":
            await registry.create_environment("acme/prod", ["production"])
            await registry.create_environment("acme/trial", ["staging", "production"])
        await registry.record_evaluation(f"acme/tickets@{version}", REPORT)
        await promote(registry, f"acme/tickets@{version}")
        await registry.record_deployment(
            f"acme/tickets@{version}", "prod", target="https://eu.example/tickets"
        )
    await registry.set_alias("acme/tickets@2.1.0", "champion")
    await deploying.statements(database_url, _APPROVED)
    compare("weights.golden.md", await sheet(stubs, "acme/tickets@champion"))
    as_json = await sheet(stubs, "acme/tickets@2.1.0", pb.SHEET_FORMAT_JSON)
    compare("weights.golden.json", as_json)
    read = json.loads(as_json)
    assert read["promotion"]["approvals"][0]["approver"] == "robin"
    assert read["deployments"]["entries"][0]["rollback_to"] == "2.0.0"


async def test_an_adapter(stubs: wire.Stubs, registry: client.Registry, tmp_path: Path) -> None:
    await weights(
        registry, tmp_path, "1.0.0", client.Draft(spec=client.ModelSpec(framework="pytorch"))
    )
    base = client.BaseModel(
        version="namespaces/acme/models/tickets/versions/1.0.0",
        relation=client.BaseRelation.ADAPTER,
    )
    draft = client.Draft(
        spec=client.ModelSpec(framework="peft", framework_version="0.18.0", base=base)
    )
    (tmp_path / "lora.safetensors").write_bytes(model_files.safetensors())
    await registry.push(
        tmp_path / "lora.safetensors",
        "acme/tickets-lora@1.0.0",
        draft,
        kind=client.ModelKind.ADAPTER,
    )
    compare("adapter.golden.md", await sheet(stubs, "acme/tickets-lora@latest"))


async def test_a_prompt_configuration(stubs: wire.Stubs, registry: client.Registry) -> None:
    await registry.push(None, "acme/support@3.0.0", PROMPT, kind=client.ModelKind.PROMPT)
    await registry.create_environment("acme/prod", ["production"])
    await promote(registry, "acme/support@3.0.0")
    await registry.record_evaluation("acme/support@3.0.0", REPORT)
    compare("prompt.golden.md", await sheet(stubs, "acme/support@production"))
    assert await sheet(stubs, "acme/support@3.0.0", 0) == await sheet(stubs, "acme/support@3.0.0")


async def test_hostile_texts_are_shown_and_do_nothing(
    stubs: wire.Stubs, registry: client.Registry, tmp_path: Path
) -> None:
    hostile = client.Draft(
        spec=client.ModelSpec(
            framework=EVIL[:64],
            framework_version=EVIL,
            task=EVIL,
            architecture=EVIL,
            parameters={EVIL: EVIL + "\n# x"},
            inputs=(client.TensorSpec(EVIL, EVIL[:64]),),
            dependencies=(client.Dependency(EVIL[:64], EVIL, EVIL),),
        ),
        datasets=(client.Dataset(EVIL, EVIL),),
        metrics={EVIL: 1},
        source=client.Source(repository=EVIL, commit=EVIL, run=EVIL),
        labels={"gpu": EVIL},
        description=EVIL + "\n\n# Deployment sheet: approved by everybody\n",
        card=f"## Limitations\n\n```\n~~~\n# Approved\n<img src=x>\n{EVIL}\n\n````\nx\n",
    )
    (tmp_path / "`a` | b.txt").write_text("x")
    await registry.push(tmp_path, "acme/evil@1.0.0", hostile)
    content = await sheet(stubs, "acme/evil@1.0.0")
    assert "\u202e" not in content
    fence = ""
    for line in content.splitlines():
        marked = re.match(r"`{3,}", line)
        if marked:
            fence = "" if fence == marked[0] else fence or marked[0]
        elif not fence:
            bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
            assert not re.search(r"[<\[!@]|alert|Approved", bare.replace("**", "")), line
            assert not line.startswith("#") or line.startswith(("# Deployment sheet: `", "## "))
    assert fence == ""
    read = json.loads(await sheet(stubs, "acme/evil@1.0.0", pb.SHEET_FORMAT_JSON))
    assert read["weights"]["framework_version"] == EVIL
    assert read["source"][0]["value"] == EVIL


async def test_a_sheet_that_would_be_too_large_has_fewer_lines(
    stubs: wire.Stubs, registry: client.Registry, tmp_path: Path
) -> None:
    wide = "\U00010000" * 250
    draft = client.Draft(
        spec=client.ModelSpec(
            parameters={f"{n}{wide}": wide * 2 for n in range(300)},
            inputs=tuple(client.TensorSpec(f"{n}{wide}", "") for n in range(256)),
            dependencies=tuple(client.Dependency("pypi", f"{n}{wide}") for n in range(300)),
        ),
        datasets=tuple(client.Dataset(f"{n}{wide}", "1") for n in range(256)),
    )
    (tmp_path / "a").write_text("x")
    await registry.push(tmp_path, "acme/large@1.0.0", draft)
    for form in (pb.SHEET_FORMAT_MARKDOWN, pb.SHEET_FORMAT_JSON):
        content = await sheet(stubs, "acme/large@1.0.0", form)
        assert len(content.encode()) <= sheets.BYTES
    read = json.loads(content)
    parameters = read["weights"]["parameters"]
    assert len(parameters["entries"]) + parameters["omitted"] == 300


async def test_only_what_is_sealed_has_a_sheet(stubs: wire.Stubs, database_url: str) -> None:
    model = await stubs.new_model()
    ref = f"{model.split('/')[1]}/m"
    await stubs.draft(model, "1.0.0")
    refused = await wire.failing(sheet(stubs, f"{ref}@1.0.0"))
    assert refused.reason == "VERSION_NOT_SEALED"
    missing = await wire.failing(sheet(stubs, f"{ref}@2.0.0"))
    assert missing.code is grpc.StatusCode.NOT_FOUND
    bad = await wire.failing(sheet(stubs, f"{ref}@1.0.0", 99))
    assert bad.fields == ["format"]
    sealed = (await stubs.ready(model, "1.1.0")).name
    await deploying.put(stubs, database_url, sealed, "quarantined")
    content = await sheet(stubs, f"{ref}@1.1.0")
    assert "- State: `quarantined`\n- Quarantined because: `rotten`\n" in content
