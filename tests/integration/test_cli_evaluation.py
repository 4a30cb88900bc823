"""Evaluations and comparisons as a person meets them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modelkeep import app
from modelkeep import config as configuration

ON = ("--dataset", "satisfaction@2026-10")
GOLDEN = {
    "markdown": Path(__file__).with_name("comparison.golden.md"),
    "table": Path(__file__).with_name("comparison.golden.txt"),
}
"""Accepted with MODELKEEP_TEST_ACCEPT=1; read the diff."""


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


async def run(endpoint: str, *words: object, **environment: str) -> tuple[int, str, str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint, **environment},
    )
    stdout, stderr = await process.communicate()
    return process.returncode or 0, stdout.decode(), stderr.decode()


@pytest.fixture
async def pushed(endpoint: str, tmp_path: Path) -> Path:
    """Three versions of acme/chatbot; the folder."""
    for n in (2, 3, 4):
        (tmp_path / "weights.bin").write_text(f"weights {n}")
        words = ("push", tmp_path / "weights.bin", f"acme/chatbot@1.{n}.0")
        code, _, err = await run(endpoint, *words)
        assert code == 0, err
    return tmp_path


def results(folder: Path, score: float, german: float, latency: float) -> Path:
    """The example of the documentation."""
    metrics: list[dict[str, Any]] = [
        {"name": "score", "value": score, "n": 400, "direction": "higher", "stderr": 0.019},
        {
            "name": "score",
            "value": german,
            "n": 90,
            "direction": "higher",
            "slice": "lang=de",
            "stderr": 0.02,
        },
        {"name": "latency", "value": latency, "direction": "lower", "unit": "ms"},
    ]
    path = folder / f"results-{score}.json"
    path.write_text(
        json.dumps({"suite": "satisfaction", "evaluator": "judge@1.4", "metrics": metrics})
    )
    return path


async def test_figures_are_pushed_corrected_listed_and_compared(
    endpoint: str, pushed: Path
) -> None:
    for version, figures in (("1.2.0", (0.79, 0.8, 812)), ("1.3.0", (0.86, 0.7, 640))):
        words = ("eval", "push", f"acme/chatbot@{version}", *ON, results(pushed, *figures))
        code, out, err = await run(endpoint, *words, "-o", "json")
        assert code == 0, err
        name = json.loads(out)["name"]
    evaluation = f"acme/chatbot@1.3.0/{name.rpartition('/')[2]}"
    code, out, _ = await run(endpoint, "eval", "show", evaluation)
    assert code == 0
    assert ("lang=de" in out, "± 0.019" in out) == (True, True)

    refs = ("acme/chatbot@1.2.0", "@1.3.0", "@1.4.0")
    for form, golden in GOLDEN.items():
        code, out, err = await run(endpoint, "compare", *refs, *ON, "-o", form)
        assert code == 0, err
        if "MODELKEEP_TEST_ACCEPT" in os.environ:
            golden.write_text(out)
        assert out == golden.read_text()

    words = ("eval", "push", "acme/chatbot@1.3.0", *ON, results(pushed, 0.8, 0.81, 640))
    code, _, err = await run(endpoint, *words, "--supersedes", evaluation, "--note", "wrong key")
    assert code == 0, err
    code, out, _ = await run(endpoint, "compare", *refs, *ON, "--baseline", "@1.2.0", "-o", "json")
    by_slice = {(m["name"], m["slice"]): m["candidates"] for m in json.loads(out)["metrics"]}
    assert by_slice["score", "lang=de"][0]["verdict"] == "same"
    code, out, _ = await run(endpoint, "eval", "ls", "acme/chatbot@1.3.0", "--superseded")
    assert [line.count("superseded") for line in out.splitlines()] == [0, 0, 1]
    code, out, _ = await run(endpoint, "history", "acme/chatbot", "--limit", "1")
    assert "evaluated" in out


async def test_scores_are_pushed_from_a_table(endpoint: str, pushed: Path) -> None:
    for version, better in (("1.2.0", 0), ("1.3.0", 8)):
        path = pushed / f"{version}.csv"
        lines = ["example_id,metric,value,slice"]
        for n in range(60):
            solved = int(n % 3 == 0 or n < 3 * better)
            lines.append(f"e{n},solved,{solved},lang={'de' if n % 2 else 'en'}")
            lines.append(f"e{n},seconds,{1 + n % 7 + better / 10},")
        path.write_text("\n".join(lines))
        words = ("eval", "push", f"acme/chatbot@{version}", *ON, "--scores", path, "--lower")
        stated = ("seconds", "--suite", "task", "--evaluator", "run@1")
        code, _, err = await run(endpoint, *words, *stated)
        assert code == 0, err
    words = ("compare", "acme/chatbot@1.2.0", "@1.3.0", *ON, "-o", "json")
    code, out, _ = await run(endpoint, *words)
    found = {(m["name"], m["slice"]): m["candidates"][0] for m in json.loads(out)["metrics"]}
    assert found["solved", ""]["test"] == "mcnemar_exact"
    assert found["solved", ""]["verdict"] == "better"
    assert (found["seconds", ""]["test"], found["seconds", ""]["verdict"]) == (
        "sign_exact",
        "worse",
    )


async def test_a_plot_is_drawn_and_asked_for_politely(endpoint: str, pushed: Path) -> None:
    for version, figures in (("1.2.0", (0.79, 0.8, 812)), ("1.3.0", (0.86, 0.7, 640))):
        words = ("eval", "push", f"acme/chatbot@{version}", *ON, results(pushed, *figures))
        assert (await run(endpoint, *words))[0] == 0
    compare = ("compare", "acme/chatbot@1.2.0", "@1.3.0", *ON, "--plot")
    for suffix, begins in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        paths = [pushed / f"{n}.{suffix}" for n in range(2)]
        for path in paths:
            code, _, err = await run(endpoint, *compare, path)
            assert code == 0, err
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert paths[0].read_bytes().startswith(begins)
    assert "acme/chatbot@1.3.0" in (pushed / "0.svg").read_text()
    code, _, err = await run(endpoint, *compare, pushed / "a.pdf")
    assert (code, "neither with .png nor with .svg" in err) == (2, True)
    hidden = pushed / "hidden" / "matplotlib.py"
    hidden.parent.mkdir()
    (hidden.parent / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "old = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else old(name, *rest)\n"
    )
    code, _, err = await run(endpoint, *compare, pushed / "a.png", PYTHONPATH=str(hidden.parent))
    assert (code, 'please run: pip install "modelkeep[plot]"' in err) == (1, True)
