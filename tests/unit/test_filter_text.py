"""The grammar of filters: what it means, and what it says where a filter goes wrong."""

import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import errors, filter_typing, filters
from modelkeep.transport import filter_text

S, C, O = filters.Subject, filters.Comparison, filters.Operator  # noqa: E741 - short on purpose


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", filters.EVERYTHING),
        ("metrics.accuracy>0.9", C(S("metrics", "accuracy"), O.GREATER, 0.9)),
        ('labels.team = "x"', C(S("labels", "team"), O.EQUAL, "x")),
        ("labels.app.kubernetes.io/name=x", C(S("labels", "app.kubernetes.io/name"), O.EQUAL, "x")),
        ('params."learning rate" = .1', C(S("params", "learning rate"), O.EQUAL,
                                          decimal.Decimal("0.1"))),
        ('params.seed = "42"', C(S("params", "seed"), O.EQUAL, "42")),
        ("params.on = TRUE", C(S("params", "on"), O.EQUAL, True)),
        ("stage = PRODUCTION", C(S("stage"), O.EQUAL, "production")),
        ("size > 1e9", C(S("size"), O.GREATER, 10**9)),
        ("create_time < 2026-01-02", C(S("create_time"), O.LESS,
                                       datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))),
        ("create_time = 2026-01-02T01:00:00+01:00", C(
            S("create_time"), O.EQUAL, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))),
        ("base = acme/voice@1.0.0", C(S("base"), O.EQUAL,
                                      "namespaces/acme/models/voice/versions/1.0.0")),
        ('metric("f1", "calls@3", "lang=de") >= 1', C(S("metric", "f1", "calls@3", "lang=de"),
                                                      O.AT_LEAST, 1.0)),
        ("labels:team", filters.Presence(S("labels", "team"))),
        ("labels.team:*", filters.Presence(S("labels", "team"))),
        ('labels.team:"*"', C(S("labels", "team"), O.HAS, "*")),
        ("alias:champion", C(S("aliases"), O.HAS, "champion")),
        ("voice", filters.Words("voice", phrase=False)),
        (r'"say \"hi\""', filters.Words('say "hi"', phrase=True)),
        ("ticket-classifier", filters.Words("ticket-classifier", phrase=False)),
        ("a.b", filters.Words("a.b", phrase=False)),
    ],
)  # fmt: skip
def test_a_filter_means_what_it_says(text: str, meant: filters.Condition) -> None:
    assert filter_text.parse(text) == meant


def test_or_binds_tighter_than_and_and_words_side_by_side_are_anded() -> None:
    a, b, c, d = (filters.Words(word, phrase=False) for word in "abcd")
    either = filters.Either((b, c))
    assert filter_text.parse("a AND b OR c AND d") == filters.Both((a, either, d))
    assert filter_text.parse("a b OR c") == filters.Both((a, either))
    assert filter_text.parse("(a AND b) OR c") == filters.Either((filters.Both((a, b)), c))
    assert filter_text.parse("NOT a -b") == filters.Both((filters.Negation(a), filters.Negation(b)))
    assert filter_text.parse("-(a OR b)") == filters.Negation(filters.Either((a, b)))


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("metrics.accuracy > high", 20, "metrics.accuracy takes a number such as 0.9; 'high'"),
        ('metrics.accuracy > "1"', 20, "a number"),
        ("metrics.accuracy > 1e999", 20, "a number"),
        ("stage = prod", 9, "one of development, staging, production, archived; 'prod' is none"),
        ("a AND size = 1.5", 14, "a whole number"),
        ("ordinal = 9223372036854775808", 11, "of 64 bits"),
        ("create_time > tuesday", 15, 'a time such as "2026-01-31T12:00:00Z"'),
        ("version = ^1.2", 11, "a semantic version"),
        ("base = acme/voice@champion", 8, "a version such as"),
        ("params.lr = abc", 13, "text in quotes"),
        ("metric.accuracy > 1", 1, "did you mean metrics.{key}?"),
        ("zzz = 1", 1, "there are name, model, version"),
        ("labels = x", 1, "labels needs a key"),
        ("aliases != x", 1, "write NOT aliases = ... instead"),
        ("kind < model", 1, "kind has no order"),
        ('framework = ""', 13, "NOT framework:*"),
        ("f(1) = 2", 1, "there is no function 'f'"),
        ("metric(a) = 2", 1, "metric takes a name, a dataset"),
        ("metric(a, b) = 2", 11, "a dataset such as tickets@3"),
        ("stage =", 8, "expected a value, found the end"),
        ("stage = AND", 9, 'write "AND" if that is meant'),
        ("AND a", 1, "expected a condition"),
        ("a AND", 6, "expected a condition"),
        ("a )", 3, "expected AND, OR or the end, found ')'"),
        ("(a", 3, 'expected ")", found the end'),
        ('x = "abc', 5, "is its quote closed?"),
        ('stage"x" = 1', 6, "before the quote"),
        ("(" * 17 + "a" + ")" * 17, 17, "more than 16 parentheses are open"),
    ],
)
def test_a_wrong_filter_is_told_its_column(text: str, column: int, told: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        filter_text.parse(text)
    (violation,) = refused.value.violations
    assert violation.description.startswith(f"column {column}: "), violation
    assert told in violation.description


@given(st.text(max_size=300))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        condition = filter_text.parse(text)
    except errors.InvalidArgument:
        return
    assert all(isinstance(leaf, filters.Leaf) for leaf in filters.leaves(condition))


def test_long_filters_are_read_without_recursion() -> None:
    with pytest.raises(errors.InvalidArgument, match="more than 32 conditions"):
        filter_text.parse("a " * 2000)
    with pytest.raises(errors.InvalidArgument, match="at most 4,096"):
        filter_text.parse("a" * 5000)


@pytest.mark.parametrize(
    ("text", "in_model", "order"),
    [
        ("", False, filters.Order()),
        ("create_time", False, filters.Order(S("create_time"), descending=False)),
        ("metrics.accuracy DESC", False, filters.Order(S("metrics", "accuracy"))),
        ('metrics."a b" asc', False, filters.Order(S("metrics", "a b"), descending=False)),
        ("version desc", True, filters.Order(S("version"))),
    ],
)
def test_an_order_means_what_it_says(text: str, in_model: bool, order: filters.Order) -> None:
    assert filter_typing.order(text, in_model=in_model) == order


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version", "within one"),
        ("labels.team", "expected one of create_time"),
        ("metrics", "metrics.NAME"),
        ("nothing", "expected one of"),
        ("size, ordinal", "expected one field"),
        ("size descending", "expected one field"),
        ("x" * 600, "expected one"),
    ],
)
def test_a_wrong_order_is_refused(text: str, told: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="column ") as refused:
        filter_typing.order(text, in_model=False)
    assert told in str(refused.value)
