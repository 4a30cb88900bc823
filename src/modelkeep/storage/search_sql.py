"""Turns the conditions of a search into SQL over `version v` and `model m`.

Nothing of a filter becomes part of a statement's text but the choice among what is written here;
every value is a parameter.
"""

import datetime
import decimal
from dataclasses import dataclass, field

from modelkeep.domain import filters, names, semver

_COLUMNS = {
    "model": "m.name",
    "ordinal": "v.ordinal",
    "state": "v.state",
    "stage": "v.stage",
    "kind": "m.kind",
    "framework": "v.framework",
    "task": "v.task",
    "architecture": "v.architecture",
    "provider": "v.provider",
    "hosted_model": "v.hosted_model",
    "creator": "v.creator",
    "owner": "nullif(m.owner, '')",
    "risk_tier": "nullif(m.risk_tier, 'unclassified')",
    "description": "nullif(v.description, '')",
    "card": "nullif(v.card, '')",
    "create_time": "v.created_at",
    "update_time": "v.updated_at",
    "finalize_time": "v.finalized_at",
    "size": "v.total_bytes",
    "file_count": "v.file_count",
    "source.repository": "v.source_repository",
    "source.commit": "v.source_commit",
    "base.uri": "v.base_uri",
    "base": "v.base_version_id",
    "version": "v.version",
    "name": "v.version",
}
_FACTS = {
    "files.format": "x.format",
    "files.architecture": "nullif(x.architecture, '')",
    "files.quantisation": "nullif(x.quantisation, '')",
    "files.dtype": "t.dtype",
    "files.pickle": "x.pickle_verdict",
    "files.tensor_count": "x.tensor_count",
    "files.parameter_count": "x.parameter_count",
    "files.opset": "x.opset",
}
MODEL_FIELDS = frozenset({"model", "kind", "owner", "risk_tier", "model.labels"})
"""Those that are the same for all versions of a model."""


@dataclass(slots=True)
class Arguments:
    """The values of one statement, in the order of their places."""

    values: list[object] = field(default_factory=list)

    def add(self, value: object) -> str:
        """Take a value; its place in the statement, with its type."""
        self.values.append(value)
        return f"${len(self.values)}::{_type_of(value)}"


def _type_of(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "text")


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),  # which is an int, too
    (int, "bigint"),
    (float, "double precision"),
    (decimal.Decimal, "numeric"),
    (datetime.datetime, "timestamptz"),
    (list, "text[]"),
    (tuple, "bigint[]"),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where is searched: a namespace, one model in it, or some models of it and no others."""

    namespace_id: int
    model_id: int | None = None
    among: tuple[int, ...] | None = None

    def of(self, table: str, arguments: Arguments) -> str:
        """That a row of a table with both ids is within."""
        if self.among is not None:
            return f"{table}.model_id = ANY({arguments.add(self.among)})"
        if self.model_id is None:
            return f"{table}.namespace_id = {arguments.add(self.namespace_id)}"
        return f"{table}.model_id = {arguments.add(self.model_id)}"

    def namespace(self, table: str, arguments: Arguments) -> str:
        """That a row of a table is of the namespace."""
        return f"{table}.namespace_id = {arguments.add(self.namespace_id)}"


def condition(node: filters.Condition, scope: Scope, arguments: Arguments) -> str:
    """The SQL of a condition; where it is NULL, it counts as false."""
    match node:
        case filters.Both(parts):
            return _joined(" AND ", "TRUE", parts, scope, arguments)
        case filters.Either(parts):
            return _joined(" OR ", "FALSE", parts, scope, arguments)
        case filters.Negation(part):
            return f"({condition(part, scope, arguments)}) IS NOT TRUE"
        case filters.Words():
            return f"({' OR '.join(words(node, 'v', scope, arguments))})"
    return leaf(node, arguments)


def _joined(
    word: str,
    empty: str,
    parts: tuple[filters.Condition, ...],
    scope: Scope,
    arguments: Arguments,
) -> str:
    texts = [condition(part, scope, arguments) for part in parts]
    return f"({word.join(texts)})" if texts else empty


def words(node: filters.Words, version: str, scope: Scope, arguments: Arguments) -> tuple[str, str]:
    """That a version's words are these, and that its model's are."""
    function = "phraseto_tsquery" if node.phrase else "plainto_tsquery"
    query = f"{function}('simple', {arguments.add(node.text)})"
    of_namespace = scope.namespace("w", arguments)
    of_model = f"""{version}.model_id = ANY(ARRAY(
SELECT w.model_id FROM model_to_search w WHERE {of_namespace} AND w.words @@ {query}))"""
    return f"{version}.words @@ {query}", of_model


def leaf(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    """How one field compares, over `version v` and `model m`, or one of them if that has it."""
    subject = node.subject
    if subject.field in _ROWS:
        return f"EXISTS ({row_of(node, 'v.version_id', arguments)})"
    if subject.field in {"name", "base", "version"} and isinstance(node, filters.Comparison):
        return _SPECIAL[subject.field](node, arguments)
    column = _COLUMNS.get(subject.field)
    if column is None:
        owner = "m" if subject.field == "model.labels" else "v"
        column = f"({owner}.labels ->> {arguments.add(subject.key)})"
    return test(column, node, arguments)


def test(column: str, node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    """How a column compares."""
    if isinstance(node, filters.Presence):
        return f"{column} IS NOT NULL"
    value = arguments.add(node.value)
    if isinstance(node.value, str):
        return _text_test(column, node.operator, value)
    if node.operator is filters.Operator.UNEQUAL:
        return f"({column} IS NOT NULL AND {column} <> {value})"
    sign = "=" if node.operator is filters.Operator.HAS else node.operator.value
    return f"{column} {sign} {value}"


def _text_test(column: str, operator: filters.Operator, value: str) -> str:
    """Text compares by its bytes, and `:` asks for a part of it, ignoring the case of A to Z."""
    if operator is filters.Operator.HAS:
        return f'position(lower({value} COLLATE "C") in lower({column} COLLATE "C")) > 0'
    if operator is filters.Operator.EQUAL:
        return f"{column} = {value}"
    if operator is filters.Operator.UNEQUAL:
        return f"({column} IS NOT NULL AND {column} <> {value})"
    return f'{column} COLLATE "C" {operator.value} {value}'


def _name(node: filters.Comparison, arguments: Arguments) -> str:
    name = names.VersionName.parse(str(node.value))
    same = f"""(m.name = {arguments.add(name.model)} AND v.version = {arguments.add(name.version)}
AND (SELECT s.name FROM namespace s WHERE s.namespace_id = v.namespace_id)
= {arguments.add(name.namespace)})"""
    return f"NOT {same}" if node.operator is filters.Operator.UNEQUAL else same


def _base(node: filters.Comparison, arguments: Arguments) -> str:
    same = f"v.base_version_id = {version_id_of(str(node.value), arguments)}"
    if node.operator is filters.Operator.UNEQUAL:
        return f"(v.base_version_id IS NOT NULL AND ({same}) IS NOT TRUE)"
    return same


def version_id_of(text: str, arguments: Arguments) -> str:
    """A sub-query: the id of the version of that name, or NULL."""
    name = names.VersionName.parse(text)
    return f"""(SELECT b.version_id FROM version b JOIN model bm ON bm.model_id = b.model_id
JOIN namespace bn ON bn.namespace_id = b.namespace_id
WHERE bn.name = {arguments.add(name.namespace)} AND bm.name = {arguments.add(name.model)}
AND b.version = {arguments.add(name.version)})"""


_EXACT = frozenset({filters.Operator.EQUAL, filters.Operator.UNEQUAL, filters.Operator.HAS})


def _version(node: filters.Comparison, arguments: Arguments) -> str:
    """Equality is by text (build metadata counts), order by precedence (it does not)."""
    if node.operator in _EXACT:
        sign = "<>" if node.operator is filters.Operator.UNEQUAL else "="
        return f"v.version {sign} {arguments.add(node.value)}"
    key = arguments.add(semver.parse(str(node.value)).key)
    return f"v.semver_key {node.operator.value} {key}"


_SPECIAL = {"name": _name, "base": _base, "version": _version}


def label_row(node: filters.Comparison, scope: Scope, arguments: Arguments) -> str:
    """That a version has a label, by a row of its own: in the order of versions, newest first."""
    within = scope.namespace("q", arguments)
    key, value = arguments.add(node.subject.key), arguments.add(node.value)
    return f"""EXISTS (SELECT FROM version_label q WHERE q.version_id = v.version_id
AND {within} AND q.key = {key} AND q.value = {value})"""


def row_of(
    node: filters.Comparison | filters.Presence, version_id: str, arguments: Arguments
) -> str:
    """A sub-query for the rows beside a version that fit, of all versions if `version_id` is ''."""
    table, alias = _ROWS[node.subject.field]
    of_version = f"{alias}.version_id = {version_id} AND " if version_id else ""
    test_of_row = _ROW_TESTS[node.subject.field.partition(".")[0]]
    return f"""SELECT {alias}.version_id FROM {table}
WHERE {of_version}{test_of_row(node, arguments)}"""


def _alias_row(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    return f"a.valid_to IS NULL AND {test('a.alias', node, arguments)}"


def _parameter_row(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    named = f"p.name = {arguments.add(node.subject.key)}"
    if isinstance(node, filters.Presence):
        return named
    column = _parameter_column(node.value)
    if node.operator is filters.Operator.UNEQUAL:
        return f"{named} AND {column} IS DISTINCT FROM {arguments.add(node.value)}"
    if column == "p.text_value" and node.operator is filters.Operator.EQUAL:
        value = arguments.add(node.value)
        return f"{named} AND left(p.text_value, 128) = left({value}, 128) AND {column} = {value}"
    return f"{named} AND {test(column, node, arguments)}"


def _parameter_column(value: filters.Value) -> str:
    if isinstance(value, bool):
        return "p.bool_value"
    return "p.text_value" if isinstance(value, str) else "p.number_value"


def _metric_row(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    subject = node.subject
    named = f"e.name = {arguments.add(subject.key)}"
    if subject.field == "metrics":
        named = f"e.source = 'reported' AND {named}"
    else:
        named = f"""e.source = 'evaluated' AND {named}
AND e.dataset = {arguments.add(subject.dataset)} AND e.slice = {arguments.add(subject.slice)}"""
    if isinstance(node, filters.Presence):
        return named
    return f"{named} AND {test('e.value', node, arguments)}"


def _dataset_row(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    if isinstance(node, filters.Presence):
        return "TRUE"
    name, at, revision = str(node.value).rpartition("@")
    same = f"d.name = {arguments.add(node.value)}"
    if not at:
        return same
    both = f"(d.name = {arguments.add(name)} AND d.revision = {arguments.add(revision)})"
    return f"({same} OR {both})"


def _file_row(node: filters.Comparison | filters.Presence, arguments: Arguments) -> str:
    if node.subject.field == "files.path":
        return test("f.path", node, arguments)
    return test(_FACTS[node.subject.field], node, arguments)


_FACTS_OF = """version_file f
JOIN blob_facts x ON x.namespace_id = f.namespace_id AND x.digest = f.digest"""
_ROWS = {
    "aliases": ("alias_assignment a", "a"),
    "params": ("version_parameter_to_search p", "p"),
    "metrics": ("version_metric e", "e"),
    "metric": ("version_metric e", "e"),
    "datasets": ("version_dataset d", "d"),
    "files.path": ("version_file f", "f"),
    "files.dtype": (f"{_FACTS_OF} CROSS JOIN LATERAL unnest(x.dtypes) t(dtype)", "f"),
} | {name: (_FACTS_OF, "f") for name in _FACTS if name != "files.dtype"}
_ROW_TESTS = {
    "aliases": _alias_row,
    "params": _parameter_row,
    "metrics": _metric_row,
    "metric": _metric_row,
    "datasets": _dataset_row,
    "files": _file_row,
}
