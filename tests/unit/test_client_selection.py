"""Which files `--include` and `--exclude` take."""

import pytest

from modelkeep import client
from modelkeep.client import selection

FILES = ["config.json", "model.onnx", "onnx/model.onnx", "onnx/model.int8.onnx", "docs/a/b.md"]


def taken(include: list[str], exclude: list[str]) -> list[str]:
    chosen = selection.Selection(include, exclude)
    return [path for path in FILES if chosen.takes(path)]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], [], FILES),
        (["*.onnx"], [], FILES[1:4]),
        (["/*.onnx"], [], ["model.onnx"]),
        (["onnx/*.onnx"], [], FILES[2:4]),
        (["*.onnx", "*.json"], ["*.int8.*"], FILES[:3]),
        (["docs/"], [], ["docs/a/b.md"]),
        (["docs/**/*.md"], [], ["docs/a/b.md"]),
        (["*.onnx", "!*.int8.onnx"], [], FILES[1:3]),
        ([], ["docs/", "onnx/"], FILES[:2]),
        (["model.????"], [], FILES[1:3]),
        (["MODEL.onnx"], [], []),
        (["*"], ["*"], []),
    ],
)
def test_patterns_mean_what_they_mean_to_git(
    include: list[str], exclude: list[str], expected: list[str]
) -> None:
    assert taken(include, exclude) == expected


@pytest.mark.parametrize("pattern", ["", "  ", "!", "#x", "[", "/", "\\", "a\nb"])
@pytest.mark.parametrize("side", ["include", "exclude"])
def test_what_is_no_pattern_is_refused(pattern: str, side: str) -> None:
    with pytest.raises(client.InvalidRequest, match="pattern"):
        selection.Selection(**{side: [pattern]})


def test_all_is_all_only_without_patterns() -> None:
    assert selection.Selection().takes_all
    assert not selection.Selection(["*"]).takes_all
    assert not selection.Selection([], ["x"]).takes_all
