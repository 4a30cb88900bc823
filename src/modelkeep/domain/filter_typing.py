"""Makes typed conditions of the words of a filter; what does not fit is refused by its column."""

import datetime
import decimal
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelkeep.domain import checks, errors, filter_fields, filters, limits, names, refs, semver

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_NUMBER_CHARS = 400
_ANY = "*"
_ORDERED = frozenset({">", ">=", "<", "<="})
_UNORDERED = frozenset({filter_fields.Type.CHOICE, filter_fields.Type.NAME})
_T = filter_fields.Type


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a filter as it was written: its text, whether in quotes, and where it begins."""

    text: str
    column: int
    quoted: bool = False


def refusal(column: int, description: str) -> errors.InvalidArgument:
    """The error that says where a filter is wrong; columns count characters from 1."""
    return errors.invalid(f"column {column}: {description}")


def subject(path: Word) -> filters.Subject:
    """What a path means, or `errors.InvalidArgument`."""
    found = filter_fields.find(path.text)
    if found is None:
        hint = filter_fields.suggestion(path.text)
        raise refusal(path.column, f"there is no field {checks.shown(path.text)}; {hint}")
    field, key = found
    if len(key) > limits.NAME_CHARS:
        raise refusal(path.column, f"a key has at most {limits.NAME_CHARS} characters")
    return filters.Subject(field.name, key)


def evaluated(function: Word, arguments: Sequence[Word]) -> filters.Subject:
    """What `metric(name, dataset@revision[, slice])` means, or `errors.InvalidArgument`."""
    if function.text != "metric":
        raise refusal(
            function.column,
            f"there is no function {checks.shown(function.text)}; there is "
            'metric("accuracy", "tickets@3", "lang=de")',
        )
    if not 2 <= len(arguments) <= 3:  # noqa: PLR2004 - name, dataset and perhaps slice
        raise refusal(
            function.column, "metric takes a name, a dataset with its revision, and perhaps a slice"
        )
    name, dataset, *rest = (argument.text for argument in arguments)
    if not name or "@" not in dataset:
        raise refusal(arguments[1].column, "expected a name and a dataset such as tickets@3")
    return filters.Subject("metric", name, dataset, rest[0] if rest else "")


def condition(what: filters.Subject, at: int, operator: str, value: Word) -> filters.Leaf:
    """A comparison with its value in the field's type, or `errors.InvalidArgument`.

    Args:
        what: what is compared.
        at: column where it begins.
        operator: one of `filters.Operator`.
        value: what it is compared with.
    """
    field = filter_fields.FIELDS[what.field]
    is_any = operator == ":" and not value.quoted and value.text == _ANY
    if field.keyed and not what.key:
        if operator != ":" or is_any:
            raise refusal(at, f"{field.name} needs a key: {field.name}.KEY, or {field.name}:KEY")
        return filters.Presence(filters.Subject(field.name, value.text))
    if is_any:
        return filters.Presence(what)
    _check_operator(field, what, at, operator)
    read = _READERS[field.type]
    return filters.Comparison(what, filters.Operator(operator), read(field, what, value))


def _check_operator(
    field: filter_fields.Field, what: filters.Subject, at: int, operator: str
) -> None:
    if field.many and operator == "!=":
        raise refusal(at, f"a version may have several {what}; write NOT {what} = ... instead")
    if operator in _ORDERED and (field.type in _UNORDERED or what.field == "datasets"):
        raise refusal(at, f"{what} has no order; it can be compared with = and !=")


def words(word: Word) -> filters.Words:
    """A full-text condition."""
    return filters.Words(word.text, phrase=word.quoted)


def _mistyped(what: filters.Subject, value: Word, wanted: str) -> errors.InvalidArgument:
    shown = checks.shown(value.text)
    return refusal(value.column, f"{what} takes {wanted}; {shown} is none")


def _text(_field: filter_fields.Field, what: filters.Subject, value: Word) -> str:
    if not value.text and what.field not in {"labels", "model.labels"}:
        raise refusal(value.column, f"is empty; NOT {what}:* asks for versions without")
    return value.text


def _number(_field: filter_fields.Field, what: filters.Subject, value: Word) -> float:
    exact = None if value.quoted else decimal_of(value.text)
    if exact is None or not math.isfinite(float(exact)):
        raise _mistyped(what, value, _T.NUMBER.value)
    return float(exact)


def _whole(_field: filter_fields.Field, what: filters.Subject, value: Word) -> int:
    exact = None if value.quoted else decimal_of(value.text)
    if exact is None or exact != exact.to_integral_value() or abs(exact) > limits.INT64_MAX:
        raise _mistyped(what, value, f"{_T.WHOLE.value}, of 64 bits")
    return int(exact)


def _scalar(
    _field: filter_fields.Field, what: filters.Subject, value: Word
) -> str | bool | decimal.Decimal:
    if value.quoted:
        return value.text
    if value.text.lower() in {"true", "false"}:
        return value.text.lower() == "true"
    exact = decimal_of(value.text)
    if exact is None:
        raise _mistyped(what, value, f"{_T.SCALAR.value} (text in quotes)")
    return exact


def _instant(_field: filter_fields.Field, what: filters.Subject, value: Word) -> datetime.datetime:
    try:
        read = datetime.datetime.fromisoformat(value.text)
        aware = read if read.tzinfo else read.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise _mistyped(what, value, _T.INSTANT.value) from None


def _version(_field: filter_fields.Field, what: filters.Subject, value: Word) -> str:
    try:
        semver.parse(value.text)
    except errors.InvalidArgument:
        raise _mistyped(what, value, _T.VERSION.value) from None
    return value.text


def _choice(field: filter_fields.Field, what: filters.Subject, value: Word) -> str:
    chosen = value.text.lower()
    if chosen not in field.choices:
        raise _mistyped(what, value, f"{_T.CHOICE.value} {', '.join(field.choices)}")
    return str(chosen)


def _name(_field: filter_fields.Field, what: filters.Subject, value: Word) -> str:
    try:
        if value.text.startswith("namespaces/"):
            return str(names.VersionName.parse(value.text))
        ref = refs.parse(value.text)
    except errors.InvalidArgument:
        raise _mistyped(what, value, _T.NAME.value) from None
    if not isinstance(ref.selector, refs.ByVersion):
        raise _mistyped(what, value, _T.NAME.value)
    return str(names.VersionName(ref.model.namespace, ref.model.model, ref.selector.version))


def decimal_of(text: str) -> decimal.Decimal | None:
    """The number a text is, exactly; None if it is none."""
    if len(text) > _NUMBER_CHARS or not _NUMBER.fullmatch(text):
        return None
    return decimal.Decimal(text)


_READERS: dict[
    filter_fields.Type,
    Callable[[filter_fields.Field, filters.Subject, Word], filters.Value],
] = {
    _T.TEXT: _text,
    _T.NUMBER: _number,
    _T.WHOLE: _whole,
    _T.SCALAR: _scalar,
    _T.INSTANT: _instant,
    _T.VERSION: _version,
    _T.CHOICE: _choice,
    _T.NAME: _name,
}


def order(text: str, *, in_model: bool) -> filters.Order:
    """The order that a text such as `metrics.accuracy desc` asks for.

    Args:
        text: a field, and perhaps `asc` (which it is otherwise) or `desc`; '' for newest first.
        in_model: whether one model is searched; only there versions and ordinals have an order.

    Raises:
        errors.InvalidArgument: naming the column.
    """
    if not text.strip():
        return filters.Order()
    path, way = _split_order(text)
    try:
        what = subject(path)
    except errors.InvalidArgument:
        what = filters.Subject("")
    if what.field not in filter_fields.ORDERS or (what.field == "metrics") != bool(what.key):
        wanted = ", ".join(filter_fields.ORDERS[:-1])
        raise refusal(path.column, f"expected one of {wanted} or metrics.NAME, then asc or desc")
    if what.field in filter_fields.ORDERS_IN_MODEL and not in_model:
        raise refusal(path.column, f"{what} orders the versions of one model; search within one")
    return filters.Order(what, descending=way == "desc")


_ORDER = re.compile(
    r'\s*(?P<head>[^\s",]+?)(?:\.?"(?P<key>[^"]+)")?(?:\s+(?P<way>asc|desc))?\s*', re.IGNORECASE
)


def _split_order(text: str) -> tuple[Word, str]:
    found = _ORDER.fullmatch(text)
    if found is None or len(text) > limits.ORDER_CHARS:
        raise refusal(1, "expected one field, then asc or desc, such as metrics.accuracy desc")
    head, key = found["head"].rstrip("."), found["key"]
    path = f"{head}.{key}" if key else head
    return Word(path, found.start("head") + 1), (found["way"] or "asc").lower()
