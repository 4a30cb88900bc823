"""Which conditions of a search an index can answer by itself: its leads.

The planner guesses how many rows fit a condition, and where they lie in the order asked for. If it
guesses wrong it walks a million versions to fill a page. So we do not let it guess: each lead is
counted first, up to `FEW`. If one has few versions, these are all that is looked at. If none has,
the order is walked, and a page fills soon.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

from modelkeep.domain import filters
from modelkeep.storage import search_sql

FEW = 2000
"""So many versions are read and sorted in a few milliseconds."""
Lead = Callable[[search_sql.Arguments], str]
"""Makes a sub-query for ids of versions."""
_O = filters.Operator
_Leaf = filters.Comparison | filters.Presence

_BY_VALUE = {"stage", "creator", "framework", "task", "source.commit"}
_RANGES = {"create_time", "update_time", "finalize_time", "size"}
_FACTS = {"files.format", "files.parameter_count"}


def find(search: filters.Search, scope: search_sql.Scope) -> list[Lead]:
    """Leads of a search; all versions that fit its condition are in each of them.

    What bounds the order is none: the walk begins and ends there anyhow.
    """
    found = [
        lead
        for part in filters.conjuncts(search.condition)
        if getattr(part, "subject", None) != search.order.subject
        and (lead := _lead(part, scope)) is not None
    ]
    narrow = scope.model_id is not None or scope.among is not None
    return [*found, _whole_model(scope)] if found and narrow else found


def _whole_model(scope: search_sql.Scope) -> Lead:
    def lead(arguments: search_sql.Arguments) -> str:
        return f"SELECT l.version_id FROM version l WHERE {scope.of('l', arguments)}"

    return lead


def _lead(node: filters.Condition, scope: search_sql.Scope) -> Lead | None:
    match node:
        case filters.Both():
            each = (_lead(part, scope) for part in filters.conjuncts(node))
            return next((lead for lead in each if lead is not None), None)
        case filters.Either(parts):
            return _any_of([_lead(part, scope) for part in parts])
        case filters.Words():
            return functools.partial(_words, node, scope)
        case filters.Negation():
            return None
    makers = (make for fits, make in _MAKERS if fits(node))
    return next((functools.partial(make, node, scope) for make in makers), None)


def _any_of(leads: Sequence[Lead | None]) -> Lead | None:
    certain = [lead for lead in leads if lead is not None]
    if len(certain) < len(leads):
        return None

    def united(arguments: search_sql.Arguments) -> str:
        return "\nUNION ALL ".join(f"({lead(arguments)})" for lead in certain)

    return united


def _words(node: filters.Words, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    own, of_model = search_sql.words(node, "l", scope, arguments)
    # Not by an index: or all versions of the namespace are fetched from one, to be intersected.
    within = f"l.namespace_id + 0 = {arguments.add(scope.namespace_id)}"
    select = f"SELECT l.version_id FROM version_to_search l WHERE {within}"
    # Apart, or the planner thinks that many models have the words, and walks the namespace.
    return f"({select} AND {own}) UNION ALL ({select} AND {of_model})"


def unserved(condition: filters.Condition) -> Iterator[str]:
    """What is compared in a way that no index answers."""
    for leaf in filters.leaves(condition):
        if not isinstance(leaf, filters.Words) and not any(fits(leaf) for fits, _ in _MAKERS):
            yield str(leaf.subject)


def _is_equal(node: _Leaf) -> bool:
    return isinstance(node, filters.Comparison) and node.operator is _O.EQUAL


def _is_bounded(node: _Leaf) -> bool:
    """Whether the values that fit lie side by side in an index."""
    if isinstance(node, filters.Presence):
        return True
    is_text = isinstance(node.value, str)
    return node.operator is _O.EQUAL if is_text else node.operator is not _O.UNEQUAL


def _fits_rows(node: _Leaf) -> bool:
    field = node.subject.field
    if field in {"metrics", "metric", "params"}:
        is_bool = isinstance(node, filters.Comparison) and isinstance(node.value, bool)
        return _is_bounded(node) and not is_bool
    if field == "datasets":
        return isinstance(node, filters.Comparison)
    return (field == "aliases" and _is_equal(node)) or (field in _FACTS and _is_bounded(node))


def _rows(node: _Leaf, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    table = {"params": "p", "aliases": "a", "datasets": "d"}.get(node.subject.field, "e")
    if node.subject.field in _FACTS:
        table = "x"
    if node.subject.field == "metrics":
        within = scope.of(table, arguments)
    else:
        within = scope.namespace(table, arguments)
    return f"{search_sql.row_of(node, '', arguments)} AND {within}"


def _labels(node: _Leaf, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    key = f"l.key = {arguments.add(node.subject.key)}"
    if isinstance(node, filters.Comparison):
        key += f" AND l.value = {arguments.add(node.value)}"
    within = scope.namespace("l", arguments)
    return f"SELECT l.version_id FROM version_label l WHERE {within} AND {key}"


def _models(node: _Leaf, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    within = scope.namespace("m", arguments)
    fits = search_sql.leaf(node, arguments)
    return f"""SELECT l.version_id FROM version l WHERE l.model_id = ANY(ARRAY(
SELECT m.model_id FROM model m WHERE {within} AND {fits}))"""


def _values(node: _Leaf, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    within = scope.namespace("v", arguments)
    fits = search_sql.leaf(node, arguments)
    return f"SELECT v.version_id FROM version v WHERE {within} AND {fits}"


def _ranges(node: _Leaf, scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    within = scope.of("v", arguments)
    fits = search_sql.leaf(node, arguments)
    return f"SELECT v.version_id FROM version v WHERE {within} AND {fits}"


def _bases(node: _Leaf, _scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    base = search_sql.version_id_of(str(getattr(node, "value", "")), arguments)
    return f"SELECT v.version_id FROM version v WHERE v.base_version_id = {base}"


def _names(node: _Leaf, _scope: search_sql.Scope, arguments: search_sql.Arguments) -> str:
    own = search_sql.version_id_of(str(getattr(node, "value", "")), arguments)
    return f"SELECT v.version_id FROM version v WHERE v.version_id = {own}"


def _is_identity(node: _Leaf, field: str) -> bool:
    is_same = isinstance(node, filters.Comparison) and node.operator in {_O.EQUAL, _O.HAS}
    return node.subject.field == field and is_same


_MAKERS: tuple[
    tuple[
        Callable[[_Leaf], bool],
        Callable[[_Leaf, search_sql.Scope, search_sql.Arguments], str],
    ],
    ...,
] = (
    (
        lambda node: (
            node.subject.field == "labels"
            and (_is_equal(node) or isinstance(node, filters.Presence))
        ),
        _labels,
    ),
    (lambda node: node.subject.field in search_sql.MODEL_FIELDS, _models),
    (lambda node: node.subject.field in _BY_VALUE and _is_equal(node), _values),
    (
        lambda node: (
            node.subject.field in _RANGES
            and _is_bounded(node)
            and isinstance(node, filters.Comparison)
        ),
        _ranges,
    ),
    (lambda node: _is_identity(node, "base"), _bases),
    (lambda node: _is_identity(node, "name"), _names),
    (_fits_rows, _rows),
)
