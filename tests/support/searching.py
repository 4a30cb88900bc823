"""Versions that differ in everything, what plain Python says of a search, and random filters."""

import datetime
import decimal
import random
import re
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from hypothesis import strategies as st
from support import memory_store, services, uploading

from modelkeep.domain import filters, models, names, semver, specs, versions
from modelkeep.service import usecases
from modelkeep.storage import database

NAMESPACE = uploading.ACME
CALLER, NOT_ONCE = uploading.CALLER, uploading.NOT_ONCE
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
WORDS = ("alpha", "beta", "gamma", "delta")
DATASETS = ("calls", "mails", "odd@name")
FORMATS = ("safetensors", "onnx", "other")
HOSTILE = ("'; DROP TABLE version; --", "%", "_", "\\", "$1", 'a"b', "\u202e", "x" * 300, "{}", "é")


@dataclass
class Known:
    """One version: its row's id, and what it has under each field (and key)."""

    version_id: int
    name: str
    has: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    words: list[list[str]] = field(default_factory=list)
    evaluated: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)

    def values(self, subject: filters.Subject) -> list[Any]:
        if subject.field == "metric":
            return self.evaluated.get((subject.key, subject.dataset, subject.slice), [])
        return self.has.get((subject.field, subject.key), [])


class Corpus(list[Known]):
    """All versions; a failing property names the filter, not them."""

    def __repr__(self) -> str:
        return f"<{len(self)} versions>"


def fits(condition: filters.Condition, known: Known) -> bool:
    """What plain Python says of a condition."""
    match condition:
        case filters.Both(parts):
            return all(fits(part, known) for part in parts)
        case filters.Either(parts):
            return any(fits(part, known) for part in parts)
        case filters.Negation(part):
            return not fits(part, known)
        case filters.Words(text, phrase):
            return _has_words(re.findall("[a-z]+", text.lower()), phrase, known)
        case filters.Presence(subject):
            return bool(known.values(subject))
        case filters.Comparison(subject):
            return any(_compares(condition, value) for value in known.values(subject))


def _has_words(words: list[str], phrase: bool, known: Known) -> bool:
    if not words:
        return False
    for text in known.words:
        runs = [text[n : n + len(words)] for n in range(len(text))]
        if words in runs if phrase else set(words) <= set(text):
            return True
    return False


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    ":": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compares(node: filters.Comparison, value: Any) -> bool:
    wanted: Any = node.value
    if node.subject.field == "version" and node.operator[0] in "<>":
        return _COMPARE[node.operator](semver.parse(value).key, semver.parse(wanted).key)
    if node.subject.field == "params" and _kind(value) is not _kind(wanted):
        return node.operator == "!="
    if node.subject.field == "datasets":
        return wanted in {value[0], f"{value[0]}@{value[1]}"}
    is_text = isinstance(wanted, str) and node.subject.field not in _EXACT
    if node.operator == ":" and is_text:
        return wanted.lower() in value.lower()
    if is_text and node.operator[0] in "<>":
        return _COMPARE[node.operator](value.encode(), wanted.encode())
    return _COMPARE[node.operator](value, wanted)


_EXACT = {"name", "base", "version", "state", "stage", "kind", "files.pickle"}


def _kind(value: Any) -> type:
    return decimal.Decimal if type(value) in (int, float) else type(value)


async def make_corpus(db: database.Database, count: int, seed: int = 5) -> Corpus:
    """Make so many versions of three models, alike in few things."""
    pick = random.Random(seed)
    with futures.ThreadPoolExecutor(1) as pool:
        cases = usecases.Registry.over(db, memory_store.MemoryBlobStore(), pool)
        places = [await _make_model(cases, number, pick) for number in range(3)]
        made = [
            await _make(cases, db, number, pick.choice(places), pick) for number in range(count)
        ]
    async with services.owning(db) as connection, connection.transaction():
        await connection.execute("ALTER TABLE version DISABLE TRIGGER USER")
        await connection.execute("ALTER TABLE version_file DISABLE TRIGGER USER")
        for known in made:
            await _age(connection, known, pick)
        await _set_bases(connection, made)
        await connection.execute("ALTER TABLE version ENABLE TRIGGER USER")
    return Corpus(made)


async def _make_model(
    cases: usecases.Registry, number: int, pick: random.Random
) -> tuple[names.ModelName, models.ModelKind, models.ModelFields]:
    name = names.ModelName(NAMESPACE.namespace, f"m{number}")
    kind = (models.ModelKind.MODEL, models.ModelKind.ADAPTER, models.ModelKind.PIPELINE)[number]
    fields = models.ModelFields(
        ("", "ann", "bob")[number], " ".join(pick.sample(WORDS, 1)), {"tier": str(number)}
    )
    await cases.models.create(CALLER, NOT_ONCE, name, kind, fields)
    return name, kind, fields


async def _make(
    cases: usecases.Registry,
    db: database.Database,
    number: int,
    place: tuple[names.ModelName, models.ModelKind, models.ModelFields],
    pick: random.Random,
) -> Known:
    model, kind, fields = place
    version = f"{pick.randrange(3)}.{pick.randrange(3)}.{number}{pick.choice(['', '-rc.1', '+b'])}"
    content = specs.Content(_spec(pick), _datasets(pick), _metrics(pick), _source(pick))
    labels = {key: pick.choice("xyz") for key in ("team", "a.b/c") if pick.random() < 0.5}
    notes = versions.Notes(labels, pick.choice(WORDS), " ".join(pick.choices(WORDS, k=2)))
    name = names.VersionName(model.namespace, model.model, version)
    made = await cases.versions.create(CALLER, NOT_ONCE, name, content, notes)
    async with db.connection() as connection:
        version_id = await connection.fetchval(
            "SELECT version_id FROM version JOIN model m USING (model_id) WHERE version = $1"
            " AND m.name = $2", version, model.model,
        )  # fmt: skip
    known = Known(version_id, str(name))
    known.words = [fields.description.split(), f"{notes.description} {notes.card}".split()]
    spec: Any = content.spec
    plain = {
        "name": str(name), "model": model.model, "version": version, "ordinal": made.ordinal,
        "kind": kind.value, "owner": fields.owner, "creator": made.creator,
        "framework": spec.framework, "task": spec.task, "architecture": spec.architecture,
        "source.repository": content.source.repository, "source.commit": content.source.commit,
        "base.uri": spec.base.uri if spec.base else "",
        "description": notes.description, "card": notes.card,
    }  # fmt: skip
    known.has = {(key, ""): [value] for key, value in plain.items() if value != ""}
    known.has |= {("labels", key): [value] for key, value in labels.items()}
    known.has |= {("model.labels", key): [value] for key, value in fields.labels.items()}
    known.has |= {("params", key): [_exact(value)] for key, value in spec.parameters.items()}
    known.has |= {("metrics", one.name): [one.value] for one in content.metrics}
    known.has["datasets", ""] = [(one.name, one.revision) for one in content.datasets]
    return known


def _exact(value: specs.Scalar) -> Any:
    return decimal.Decimal(repr(value)) if type(value) in (int, float) else value


def _spec(pick: random.Random) -> specs.ModelSpec:
    parameters: dict[str, specs.Scalar] = {
        "lr": pick.choice([0.1, 0.25, 1, 2**60]), "on": pick.random() < 0.5,
        "odd key": pick.choice(["42", "x y"]), "mixed": pick.choice([1, "1", True]),
    }  # fmt: skip
    chosen = {key: value for key, value in parameters.items() if pick.random() < 0.7}
    base = specs.BaseModel(uri="hf://org/base") if pick.random() < 0.2 else None
    return specs.ModelSpec(
        framework=pick.choice(["", "pytorch", "ONNX"]), task=pick.choice(["", "asr"]),
        architecture=pick.choice(["", "bert"]), parameters=chosen, base=base,
    )  # fmt: skip


def _datasets(pick: random.Random) -> tuple[specs.DatasetReference, ...]:
    chosen = pick.sample(DATASETS, pick.randrange(3))
    return tuple(specs.DatasetReference(name, str(pick.randrange(2))) for name in chosen)


def _metrics(pick: random.Random) -> tuple[specs.Metric, ...]:
    given = {"accuracy": pick.choice([0.5, 0.9, 0.95, -1.0]), "loss": pick.random() * 10}
    return tuple(specs.Metric(*one) for one in given.items() if pick.random() < 0.7)


def _source(pick: random.Random) -> specs.Source:
    if pick.random() < 0.5:
        return specs.Source()
    return specs.Source("https://git.example.com/a", pick.choice(["abc", "def"]))


async def _age(connection: database.Connection, known: Known, pick: random.Random) -> None:
    """Give a version what only time would: times with ties, states, stages, aliases, files."""
    state = pick.choice(["draft", "ready", "ready", "quarantined"])
    stage = pick.choice(["development", "staging", "archived"])
    times = [BEGIN + datetime.timedelta(hours=pick.randrange(20)) for _ in range(3)]
    finalized = None if state == "draft" else times[2]
    size, files = pick.randrange(5) * 10**9, pick.randrange(3)
    await connection.execute(
        """UPDATE version SET state = $2, stage = $3, created_at = $4, updated_at = $5,
        finalized_at = $6, total_bytes = $7, file_count = $8, manifest_digest = sha256($9),
        quarantine_reason = 'x' WHERE version_id = $1""",
        known.version_id, state, stage, times[0], times[1], finalized, size, files, b"m",
    )  # fmt: skip
    plain = {"state": state, "stage": stage, "create_time": times[0], "update_time": times[1]}
    plain |= {"size": size, "file_count": files}
    known.has |= {(key, ""): [value] for key, value in plain.items()}
    known.has["finalize_time", ""] = [finalized] if finalized else []
    if pick.random() < 0.1:
        alias = f"a{known.version_id % 3}-{known.version_id}"
        await connection.execute(
            """INSERT INTO alias_assignment
            (namespace_id, model_id, alias, version_id, reason, actor)
            SELECT namespace_id, model_id, $2, version_id, '', 'x' FROM version
            WHERE version_id = $1""", known.version_id, alias,
        )  # fmt: skip
        known.has["aliases", ""] = [alias]
    if pick.random() < 0.3:
        figure = pick.choice([0.4, 0.8])
        await connection.execute(
            """INSERT INTO version_metric
            (version_id, namespace_id, model_id, name, value, source, dataset, slice)
            SELECT version_id, namespace_id, model_id, 'accuracy', $2, 'evaluated', 'calls@0',
            'lang=de' FROM version WHERE version_id = $1""", known.version_id, figure,
        )  # fmt: skip
        known.evaluated["accuracy", "calls@0", "lang=de"] = [figure]
    await _add_files(connection, known, files, pick)


async def _add_files(
    connection: database.Connection, known: Known, count: int, pick: random.Random
) -> None:
    for number in range(count):
        path, form = f"f{number}.bin", pick.choice(FORMATS)
        facts = (
            form, pick.choice([None, 10**8, 2 * 10**9]), [["F32"], ["F16", "I8"]][number % 2],
            pick.choice(["", "Q4_K"]), pick.choice([None, 17]), pick.choice(["none", "plain"]),
        )  # fmt: skip
        content = f"{known.version_id}/{path}".encode()
        await connection.execute(
            """WITH b AS (INSERT INTO blob (namespace_id, digest, size_bytes, storage_key, crc32c,
            creator) SELECT namespace_id, sha256($2), 1, encode($2, 'hex'), 0, 'x' FROM version
            WHERE version_id = $1 RETURNING *), f AS (INSERT INTO blob_facts (namespace_id, digest,
            rules, format, tensor_count, parameter_count, dtypes, architecture, quantisation, opset,
            pickle_verdict, facts)
            SELECT namespace_id, digest, 1, $3, NULL, $4, $5, '', $6, $7, $8, '{}' FROM b)
            INSERT INTO version_file
            (version_id, namespace_id, path, digest, size_bytes, media_type)
            SELECT $1, namespace_id, $9, digest, 1, 'x' FROM b""",
            known.version_id, content, *facts, path,
        )  # fmt: skip
        fields = ("format", "parameter_count", "dtype", "quantisation", "opset", "pickle")
        for name, value in [*zip(fields, facts, strict=True), ("path", path)]:
            entries = value if isinstance(value, list) else [value]
            entries = [entry for entry in entries if entry not in (None, "")]
            known.has.setdefault((f"files.{name}", ""), []).extend(entries)


async def _set_bases(connection: database.Connection, made: list[Known]) -> None:
    for known, base in zip(made[::7], made[1::7], strict=False):
        await connection.execute(
            "UPDATE version SET base_version_id = $2 WHERE version_id = $1",
            known.version_id, base.version_id,
        )  # fmt: skip
        known.has["base", ""] = [base.name]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_TEXT = st.sampled_from(
    ["x", "y", "alpha", "pytorch", "ONNX", "onnx", "abc", "anonymous", "m1", "f0"]
)
_ANY_TEXT = (_TEXT | st.sampled_from(HOSTILE)).map(_quoted) | _TEXT
_ALL_OPERATORS = ["=", "!=", "<", "<=", ">", ">=", ":"]
_MANY = ["=", ":"]
_NUMBERS = st.sampled_from(["0.9", "-1", "5", "0.25", "1e9", ".5", "1152921504606846976", "1"])
_WHOLES = st.sampled_from(["0", "1", "2", "17", "1e9", "2000000000", "3000000000", "100"])
_TIMES = st.integers(0, 20).map(
    lambda hours: _quoted((BEGIN + datetime.timedelta(hours=hours)).isoformat())
)
_ONE_TEXTS = [
    "model", "framework", "task", "architecture", "creator", "owner", "source.repository",
    "source.commit", "base.uri", "labels.team", "labels.a.b/c", "labels.none", "model.labels.tier",
    "provider", "hosted_model", "description", "card",
]  # fmt: skip


def _compared(fields: list[str], operators: list[str], values: Any) -> Any:
    return st.builds("{} {} {}".format, st.sampled_from(fields), st.sampled_from(operators), values)


CONDITIONS = st.one_of(
    _compared(_ONE_TEXTS, _ALL_OPERATORS, _ANY_TEXT),
    _compared(["metrics.accuracy", "metrics.loss", "metrics.none"], _ALL_OPERATORS, _NUMBERS),
    _compared(['metric("accuracy", "calls@0", "lang=de")'], _ALL_OPERATORS[2:], _NUMBERS),
    _compared(["params.lr", "params.mixed"], _ALL_OPERATORS, _NUMBERS),
    _compared(["params.on", "params.mixed"], ["=", "!=", ":"], st.sampled_from(["true", "FALSE"])),
    _compared(['params."odd key"', "params.mixed"], _ALL_OPERATORS,
              st.sampled_from(['"42"', '"x y"', '"1"'])),
    _compared(["ordinal", "size", "file_count"], _ALL_OPERATORS, _WHOLES),
    _compared(["create_time", "update_time", "finalize_time"], _ALL_OPERATORS, _TIMES),
    _compared(["version"], _ALL_OPERATORS, st.sampled_from(["1.0.0", "1.1.7-rc.1", "2.0.3+b"])),
    _compared(["state"], ["=", "!="], st.sampled_from(["ready", "DRAFT", "quarantined"])),
    _compared(["stage"], ["=", "!=", ":"], st.sampled_from(["staging", "archived", "production"])),
    _compared(["kind"], ["=", "!="], st.sampled_from(["model", "adapter", "prompt"])),
    _compared(["aliases"], [*_MANY, "<"], st.sampled_from(["a1-8", "a1", "a"])),
    _compared(["datasets"], _MANY,
              st.sampled_from(["calls", "mails@1", '"odd@name"', "odd@name@0"])),
    _compared(["name", "base"], ["=", "!=", ":"],
              st.sampled_from(["acme/m1@1.0.2", "namespaces/acme/models/m0/versions/0.0.1"])),
    _compared(["files.format", "files.quantisation", "files.dtype", "files.path"], [*_MANY, "<"],
              st.sampled_from(["onnx", "Q4", "F16", "I8", "f1.bin"])),
    _compared(["files.parameter_count", "files.opset", "files.tensor_count"],
              ["=", "<", ">=", ":"], _WHOLES),
    _compared(["files.pickle"], _MANY, st.sampled_from(["none", "plain", "dangerous"])),
    st.sampled_from([*_ONE_TEXTS, "params.lr", "metrics.loss", "aliases", "datasets", "base",
                     "files.opset", "finalize_time", "files.format"]).map("{}:*".format),
    st.sampled_from(["labels:team", "params:lr", "metrics:loss", *WORDS, '"alpha beta"', "ALPHA"]),
)  # fmt: skip
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("NOT ({})".format, inner),
        st.builds("-({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["AND", "OR", ""]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["AND", "OR", ""]), inner),
    ),
    max_leaves=6,
)
"""Texts of filters that are well formed."""


_PIECES = st.sampled_from([
    "AND", "OR", "NOT", "(", ")", "-", '"', "'", "=", "<", ":", "labels.x", "metrics.y", "1",
    "metric(", ",", " ", "\\", "\x00", "'; DROP TABLE version; --", 'params."a b"', "*", "é",
])  # fmt: skip
NONSENSE = st.one_of(
    st.text(max_size=200),
    st.lists(_PIECES, max_size=20).map(" ".join),
    st.lists(_PIECES, max_size=20).map("".join),
)
"""Texts that may be no filters."""


async def counts(connection: asyncpg.Connection, *tables: str) -> list[int]:
    """How many rows these tables have."""
    return [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608 - constants of tests
