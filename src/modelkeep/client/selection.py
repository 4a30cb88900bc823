"""Which files of a version to take: patterns as in .gitignore, over the paths of its manifest."""

from collections.abc import Sequence

import pathspec

from modelkeep.client import errors


class Selection:
    """A path is taken if an `include` matches, or there is none, and no `exclude` does.

    A pattern without a slash matches at any depth (`*.onnx`), one with a slash before its end from
    the top (`/config.json`, `tokenizer/*.txt`), `**` any number of folders, one that ends in a
    slash a folder with all that is in it (`docs/`); `!` before a pattern takes back what an earlier
    one matched.

    Raises:
        InvalidRequest: a pattern is malformed.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _spec(include)
        self._exclude = _spec(exclude)
        self.takes_all = not include and not exclude

    def takes(self, path: str) -> bool:
        """Whether the file of that path is wanted."""
        wanted = self._include is None or self._include.match_file(path)
        return wanted and not (self._exclude is not None and self._exclude.match_file(path))


def _spec(patterns: Sequence[str]) -> pathspec.GitIgnoreSpec | None:
    for pattern in patterns:
        _check(pattern)
    return pathspec.GitIgnoreSpec.from_lines(patterns) if patterns else None


def _check(pattern: str) -> None:
    try:
        parsed = list(pathspec.GitIgnoreSpec.from_lines([pattern]).patterns)
    except ValueError:
        parsed = []
    # A comment or a lone bracket is a pattern to the library, one that matches nothing.
    if "\n" in pattern or not any(each.include is not None for each in parsed):
        raise errors.InvalidRequest(
            f"{pattern!r} is not a pattern: write one as in .gitignore, for example *.onnx.",
            reason="BAD_PATTERN",
        )
