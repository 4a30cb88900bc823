"""Reads filters: the grammar of AIP-160, turned into the conditions of `domain/filters.py`.

A word of a filter means what its place says: what can begin a condition is a path, what follows a
comparator is a value. As in AIP-160, OR binds tighter than AND, and words side by side are ANDed.
"""

import re
from typing import Any, Final

import lark

from modelkeep.domain import checks, errors, filter_typing, filters, limits

_GRAMMAR = r"""
start: expression
?expression: sequence (_AND sequence)*
?sequence: factor+
?factor: term (_OR term)*
?term: simple | (NOT | MINUS) simple -> negation
?simple: restriction | "(" expression ")"
?restriction: PATH COMPARATOR value -> comparison
    | call COMPARATOR value -> call_comparison
    | PATH -> word
    | STRING -> phrase
call: FUNCTION "(" [value ("," value)*] ")"
value: ARGUMENT | STRING

_AND.2: /AND(?=[\s()]|$)/
_OR.2: /OR(?=[\s()]|$)/
NOT.2: /NOT(?=[\s()]|$)/
MINUS: "-"
COMPARATOR: /<=|>=|!=|=|<|>|:/
FUNCTION.2: /[A-Za-z_]+(?=\()/
PATH: /[^\s()=<>!:,"'\-][^\s()=<>!:,"']*("([^"\\]|\\.)*")?/
ARGUMENT: /[^\s()=<>!,"']+/
STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/
%ignore /\s+/
"""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[()]', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT"})
_CONDITION = 'a condition such as stage = production, a word, or "("'
_EXPECTED = (
    ("ARGUMENT", "a value"),
    ("PATH", _CONDITION),
    ("COMPARATOR", "=, !=, <, <=, >, >= or :"),
    ("LPAR", _CONDITION),
    ("RPAR", '")"'),
)


class _Builder(lark.Transformer[Any, filters.Condition]):
    """Makes conditions from the bottom up, while the text is read."""

    def start(self, parts: list[filters.Condition]) -> filters.Condition:
        return parts[0]

    def expression(self, parts: list[filters.Condition]) -> filters.Condition:
        return filters.Both(tuple(parts))

    sequence = expression

    def factor(self, parts: list[filters.Condition]) -> filters.Condition:
        return filters.Either(tuple(parts))

    def negation(self, parts: list[Any]) -> filters.Condition:
        return filters.Negation(parts[1])

    def comparison(self, parts: list[Any]) -> filters.Condition:
        path, operator, value = parts
        what = filter_typing.subject(_path(path))
        return filter_typing.condition(what, _column(path), operator.value, value)

    def call_comparison(self, parts: list[Any]) -> filters.Condition:
        (function, what), operator, value = parts
        return filter_typing.condition(what, _column(function), operator.value, value)

    def call(self, parts: list[Any]) -> tuple[lark.Token, filters.Subject]:
        function, *arguments = parts
        name = filter_typing.Word(function.value, _column(function))
        given = [argument for argument in arguments if argument is not None]
        return function, filter_typing.evaluated(name, given)

    def word(self, parts: list[lark.Token]) -> filters.Condition:
        path = _path(parts[0])
        if '"' in parts[0].value:
            raise filter_typing.refusal(path.column, f"{checks.shown(path.text)} is not compared")
        if path.text in _KEYWORDS:
            raise filter_typing.refusal(path.column, f"expected {_CONDITION}, found {path.text}")
        return filter_typing.words(path)

    def phrase(self, parts: list[lark.Token]) -> filters.Condition:
        return filter_typing.words(_quoted(parts[0]))

    def value(self, parts: list[lark.Token]) -> filter_typing.Word:
        token = parts[0]
        if token.type == "STRING":
            return _quoted(token)
        if token.value in _KEYWORDS:
            raise filter_typing.refusal(
                _column(token), f'expected a value; write "{token.value}" if that is meant'
            )
        return filter_typing.Word(token.value, _column(token))


_PARSER: Final = lark.Lark(
    _GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False
)


def parse(text: str) -> filters.Condition:
    """Read a filter; '' is everything.

    Raises:
        errors.InvalidArgument: with the column where the filter goes wrong, counted from 1, and
            what was expected there.
    """
    with checks.Checks() as found:
        found.text("", text, limits.FILTER_CHARS, layout=True)
    if not text.strip():
        return filters.EVERYTHING
    _check_depth(text)
    condition = _parsed(text)
    if sum(1 for _ in filters.leaves(condition)) > limits.FILTER_CONDITIONS:
        raise errors.invalid(f"has more than {limits.FILTER_CONDITIONS} conditions")
    return condition


def _parsed(text: str) -> filters.Condition:
    try:
        # With a transformer, the parser gives what that makes of the tree.
        return _PARSER.parse(text)  # type: ignore[return-value]
    except lark.exceptions.VisitError as error:
        raise error.orig_exc from None
    except lark.UnexpectedInput as error:
        raise _misread(text, error) from None


def _misread(text: str, error: lark.UnexpectedInput) -> errors.InvalidArgument:
    at = -1 if error.pos_in_stream is None else error.pos_in_stream
    is_end = at < 0 or getattr(getattr(error, "token", None), "type", "") == "$END"
    column = len(text) + 1 if is_end else at + 1
    found = "the end" if is_end else checks.shown(text[column - 1 : column + 11])
    if text[column - 1 : column] in {'"', "'"}:
        found = f"{found} (is its quote closed?)"
    names = getattr(error, "accepts", None) or getattr(error, "expected", None)
    accepted = names or getattr(error, "allowed", None) or set()
    wanted = next((words for name, words in _EXPECTED if name in accepted), "AND, OR or the end")
    return filter_typing.refusal(column, f"expected {wanted}, found {found}")


def _check_depth(text: str) -> None:
    depth = 0
    for found in _QUOTED.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth > limits.FILTER_DEPTH:
            raise filter_typing.refusal(
                found.start() + 1, f"more than {limits.FILTER_DEPTH} parentheses are open"
            )


def _column(token: lark.Token) -> int:
    return (token.start_pos or 0) + 1


def _path(token: lark.Token) -> filter_typing.Word:
    """A path; its last part may be in quotes: `params."learning rate"`."""
    head, quote, rest = token.value.partition('"')
    if quote and not head.endswith("."):
        raise filter_typing.refusal(
            _column(token) + len(head), "expected a space or a comparator before the quote"
        )
    key = _ESCAPED.sub(r"\1", rest[:-1])
    return filter_typing.Word(head + key, _column(token))


def _quoted(token: lark.Token) -> filter_typing.Word:
    text = _ESCAPED.sub(r"\1", token.value[1:-1])
    return filter_typing.Word(text, _column(token), quoted=True)
