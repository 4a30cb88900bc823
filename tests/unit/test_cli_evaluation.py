"""Files of results and scores: what is wrong in them is said before anything is sent."""

from pathlib import Path

import pytest
from click import testing

from modelkeep.cli import main

ON = ("--dataset", "satisfaction@2026-10")


def run(*words: object) -> tuple[int, str]:
    nobody = ("--endpoint", "127.0.0.1:1")
    found = testing.CliRunner().invoke(main.modelkeep, [*nobody, *map(str, words)])
    return found.exit_code, found.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"metrics": 1}', "metrics is not a list"),
        ('{"metrics": [{"name": "a"}]}', "metrics[0] has no value"),
        ('{"metric": []}', "it has 'metric'; what is known is"),
        (
            '{"metrics": [{"name": "a", "value": "1", "direction": "higher"}]}',
            "metrics[0].value is not a number",
        ),
        (
            '{"metrics": [{"name": "a", "value": 1, "direction": "up"}]}',
            "metrics[0].direction is 'up'; write higher or lower",
        ),
        (
            '{"metrics": [{"name": "a", "value": 1, "direction": "lower", "n": 1.5}]}',
            "metrics[0].n is 1.5; write a whole number",
        ),
        ('{"metrics": []}', "Say --suite, or write suite into the results file"),
    ],
)
def test_a_wrong_results_file_is_refused_before_anything_is_sent(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    code, err = run("eval", "push", "acme/voice@1.0.0", *ON, path)
    assert (code, told in err) == (2, True), err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no column example_id"),
        ("example_id,metric\na,b\n", "has no column value"),
        ("example_id,metric,value\na,m,1\na,m,2\n", "line 3: example 'a' is there twice"),
        ("example_id,metric,value\na,m,nan\n", "line 2: 'nan' is not a finite number"),
        ("example_id,metric,value\na,,1\n", "line 2: a value is missing"),
        ("example_id,metric,value\n" + "".join(f"{n},m,1\n" for n in range(20_001)), "20,000"),
    ],
)
def test_a_wrong_scores_file_is_refused_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    words = ("eval", "push", "acme/voice@1.0.0", *ON, "--scores", path)
    code, err = run(*words)
    assert (code, told in err) == (2, True), err
