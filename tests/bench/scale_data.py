"""Fills a migrated, empty database with many versions that look like a registry in use.

    .venv/bin/python tests/bench/scale_data.py postgresql://... 1000000

Deterministic. Models have power-law sizes; each version has 20 metrics, 4 labels, 5 parameters, a
dataset, a file, a card, a stage and a digest; ages, aliases and states are as they are in practice.
What happens to be frequent is so at any number of versions, so that figures at two sizes compare.
"""

import asyncio
import contextlib
import hashlib
import io
import itertools
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from modelkeep.domain import semver

BATCH = 5000
METRICS = 20
"""`accuracy` and `loss` among them; all between 0 and 1 but `m17` to `m19`, which are large."""
TEAMS = 20
REGIONS = ("eu", "us", "ap", "sa", "af")
FRAMEWORKS = ("pytorch", "onnx", "sklearn", "tensorflow", "xgboost")
TASKS = ("text-classification", "asr", "ranking", "detection", "forecast", "embedding")
_WORDS = [f"word{n}" for n in range(2000)]


def _card(pick: random.Random) -> tuple[str, str, str]:
    """A description, a card, and the words of both; few words are in most, most in few."""
    words = sorted({_WORDS[min(int(pick.paretovariate(0.6)), 1999)] for _ in range(30)})
    return " ".join(words[:6]), " ".join(words), " ".join(f"'{word}'" for word in words)


_CARDS = [_card(random.Random(n)) for n in range(5000)]
_BEGIN = 1_640_995_200
"""2022-01-01 as seconds since 1970."""
_SPAN_S = 4.5 * 365 * 86_400

_COLUMNS = {
    "version": "version_id namespace_id model_id ordinal version semver_key prerelease state"
    " deleted_from stage manifest_digest file_count total_bytes content labels description card"
    " creator create_client created_at updated_at finalized_at deleted_at framework task"
    " architecture source_repository source_commit words",
    "version_label": "version_id namespace_id key value",
    "version_metric": "version_id namespace_id model_id name value",
    "version_parameter": "version_id namespace_id name number_value text_value bool_value",
    "version_dataset": "version_id namespace_id name revision",
    "stage_assignment": "namespace_id model_id version_id stage reason actor valid_from",
    "alias_assignment": "namespace_id model_id alias version_id reason actor valid_from",
    "blob": "namespace_id digest size_bytes storage_key crc32c creator",
    "blob_facts": "namespace_id digest rules format tensor_count parameter_count dtypes"
    " architecture quantisation pickle_verdict facts",
    "version_file": "version_id namespace_id path digest size_bytes media_type",
}


@dataclass(slots=True)
class Model:
    """A model that is being filled."""

    model_id: int
    namespace_id: int
    name: str
    left: int
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded.

    Attributes:
        versions: how many.
        namespaces: their names.
        models: names `namespace/model`, the largest first.
        seconds: how long it took.
    """

    versions: int
    namespaces: Sequence[str]
    models: Sequence[str]
    seconds: float


@dataclass(slots=True)
class _Lines:
    """Rows that wait to be copied, as text, by table."""

    tables: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def add(self, table: str, *values: object) -> None:
        self.tables[table].append("\t".join(map(_text, values)))

    async def copy(self, connection: "asyncpg.Connection[Any]") -> None:
        for table, lines in self.tables.items():
            source = io.BytesIO(("\n".join(lines) + "\n").encode() if lines else b"")
            columns = _COLUMNS[table].split()
            await connection.copy_to_table(table, source=source, columns=columns, format="text")
            lines.clear()


def _text(value: object) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return rf"\\x{value.hex()}"
    text = str(value)
    return text.replace("\\", r"\\") if "\\" in text else text  # nothing has tabs or line breaks


async def load(
    url: str, versions: int, *, models: int = 200, namespaces: int = 5, seed: int = 1
) -> Loaded:
    """Fill the database; needs a superuser, because triggers and foreign keys stay out of it."""
    started = time.perf_counter()
    pick = random.Random(seed)
    connection = await asyncpg.connect(url)
    try:
        filled = await _make_models(connection, versions, models, namespaces)
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        async with _without_indexes(connection):
            lines = _Lines()
            for number, model in enumerate(_in_order_of_time(filled, versions, pick), start=1):
                _add_version(lines, number, model, number / versions, pick)
                if number % BATCH == 0:
                    await lines.copy(connection)
            await lines.copy(connection)
        await _finish(connection, filled)
    finally:
        await connection.close()
    names = [f"n{model.namespace_id}/{model.name}" for model in filled]
    return Loaded(
        versions, [f"n{n}" for n in range(1, namespaces + 1)], names, time.perf_counter() - started
    )


async def _make_models(
    connection: "asyncpg.Connection[Any]", versions: int, models: int, namespaces: int
) -> list[Model]:
    """Namespaces `n1`, ... and models whose sizes go by a power law."""
    weights = [1 / (rank + 1) ** 0.9 for rank in range(models)]
    sizes = [int(versions * weight / sum(weights)) for weight in weights]
    sizes[0] += versions - sum(sizes)
    for number in range(1, namespaces + 1):
        await connection.execute(
            "INSERT INTO namespace (name, description, labels, creator)"
            " VALUES ($1, '', '{}', 'load')", f"n{number}",
        )  # fmt: skip
    await connection.execute(
        "INSERT INTO event_counter (namespace_id, last_hash)"
        " SELECT namespace_id, decode(repeat('00', 32), 'hex') FROM namespace"
    )
    filled = []
    for rank, size in enumerate(sizes):
        kind = ("model", "model", "model", "adapter")[rank % 4]
        labels = json.dumps({"tier": str(rank % 3)})
        model_id = await connection.fetchval(
            "INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator)"
            " VALUES ($1, $2, $3, $4, $5, $6, 'load') RETURNING model_id",
            rank % namespaces + 1, f"model-{rank}", kind, f"team{rank % TEAMS}",
            f"does {TASKS[rank % len(TASKS)]}", labels,
        )  # fmt: skip
        filled.append(Model(model_id, rank % namespaces + 1, f"model-{rank}", size))
    await connection.execute(
        "INSERT INTO model_name (namespace_id, name, model_id)"
        " SELECT namespace_id, name, model_id FROM model ON CONFLICT DO NOTHING"
    )
    return filled


def _in_order_of_time(
    models: list[Model], versions: int, pick: random.Random
) -> itertools.chain[Model]:
    order = list(itertools.chain.from_iterable([model] * model.left for model in models))
    pick.shuffle(order)
    return itertools.chain(order[:versions])


@dataclass(frozen=True, slots=True)
class _Version:
    """A version to be: its row's id, its model, and what its rows beside it need."""

    number: int
    model: Model
    stage: str
    at: str
    metrics: dict[str, float]
    labels: dict[str, str]

    @property
    def place(self) -> tuple[int, int]:
        return self.model.namespace_id, self.model.model_id


def _add_version(lines: _Lines, number: int, model: Model, age: float, pick: random.Random) -> None:
    model.ordinal += 1
    model.left -= 1
    labels = {
        "team": f"team{min(int(pick.paretovariate(1)), TEAMS)}",
        "region": pick.choice(REGIONS),
        "era": f"{2022 + int(age * 4.5)}",
        "run": f"run-{number:08d}",
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_BEGIN + int(age * _SPAN_S)))
    made = _Version(number, model, _stage(model, pick), at, _metrics(pick), labels)
    _add_row(lines, made, pick)
    for key, value in labels.items():
        lines.add("version_label", number, model.namespace_id, key, value)
    for name, figure in made.metrics.items():
        lines.add("version_metric", number, *made.place, name, figure)
    lines.add("stage_assignment", *made.place, number, made.stage, "", "load", at)
    if made.stage == "production":
        lines.add("alias_assignment", *made.place, "champion", number, "", "load", at)
    if pick.random() < 0.01:
        lines.add("alias_assignment", *made.place, f"exp-{number}", number, "", "load", at)


def _metrics(pick: random.Random) -> dict[str, float]:
    values = {"accuracy": round(pick.betavariate(8, 2), 6), "loss": round(pick.random(), 6)}
    for n in range(2, METRICS):
        values[f"m{n}"] = round(pick.random() * (1 if n < METRICS - 3 else 10_000), 6)
    return values


def _stage(model: Model, pick: random.Random) -> str:
    """The last version of a model is in production, the one before in staging."""
    if model.left < 2:
        return ("production", "staging")[model.left]
    return "archived" if pick.random() < 0.3 else "development"


def _parameters(pick: random.Random) -> dict[str, Any]:
    return {
        "lr": pick.choice([0.1, 0.01, 0.001]),
        "epochs": pick.randrange(1, 50),
        "optimizer": pick.choice(["adam", "sgd"]),
        "fp16": pick.random() < 0.5,
        "seed": pick.randrange(10**6),
    }


def _add_row(lines: _Lines, made: _Version, pick: random.Random) -> None:
    number, model, at = made.number, made.model, made.at
    words, card, vector = pick.choice(_CARDS)
    version = f"{model.ordinal // 1000}.{model.ordinal // 10 % 100}.{model.ordinal % 10}"
    is_draft = made.stage == "development" and pick.random() < 0.03
    is_deleted = made.stage == "archived" and pick.random() < 0.05
    digest = hashlib.sha256(str(number).encode()).digest()
    size = int(10 ** pick.uniform(3, 10))
    content = _content(made, _parameters(pick), str(pick.randrange(30)))
    spec, source = content["spec"], content["source"]
    lines.add(
        "version", number, *made.place, model.ordinal, version, semver.parse(version).key, "f",
        "deleted" if is_deleted else "draft" if is_draft else "ready",
        "ready" if is_deleted else None, made.stage, None if is_draft else digest, 1, size,
        json.dumps(content, separators=(",", ":")), json.dumps(made.labels), words,
        card, f"user{pick.randrange(200)}", "load", at, at, None if is_draft else at,
        at if is_deleted else None, spec["framework"], spec["task"], spec["architecture"],
        source["repository"], source["commit"], vector,
    )  # fmt: skip
    for name, value in spec["parameters"].items():
        typed: list[object] = [None, None, None]
        kind = 2 if isinstance(value, bool) else 1 if isinstance(value, str) else 0
        typed[kind] = str(value).lower() if kind else value
        lines.add("version_parameter", number, model.namespace_id, name, *typed)
    for dataset in content["datasets"]:
        named = (dataset["name"], dataset["revision"])
        lines.add("version_dataset", number, model.namespace_id, *named)
    form = pick.choices(["safetensors", "onnx", "pickle", "gguf"], [6, 2, 1, 1])[0]
    _add_file(lines, made, (digest, size, form))


def _content(made: _Version, parameters: dict[str, Any], revision: str) -> dict[str, Any]:
    model_id = made.model.model_id
    # Three versions come from each commit.
    commit = hashlib.sha256(str(made.number // 3).encode()).hexdigest()[:40]
    return {
        "spec": {"framework": FRAMEWORKS[model_id % 5], "framework_version": "2.0",
                 "task": TASKS[model_id % 6], "architecture": f"arch{model_id % 40}",
                 "parameters": parameters, "inputs": [], "outputs": [], "dependencies": [],
                 "base": None},
        "datasets": [{"name": f"data{model_id % 50}", "revision": revision, "digest": "",
                      "uri": "", "role": "training"}],
        "metrics": [{"name": name, "value": value} for name, value in made.metrics.items()],
        "source": {"repository": "https://git.example.com/m", "commit": commit, "run": ""},
    }  # fmt: skip


def _add_file(lines: _Lines, made: _Version, blob: tuple[bytes, int, str]) -> None:
    namespace_id = made.model.namespace_id
    digest, size, form = blob
    verdict = "imports" if form == "pickle" else "none"
    lines.add("blob", namespace_id, digest, size, f"blobs/load-{made.number}", 0, "load")
    lines.add("blob_facts", namespace_id, digest, 1, form, 100, size // 2, "{F16}", "", "",
              verdict, "{}")  # fmt: skip
    lines.add("version_file", made.number, namespace_id, "model.bin", digest, size, "x/y")


@contextlib.asynccontextmanager
async def _without_indexes(connection: "asyncpg.Connection[Any]") -> AsyncIterator[None]:
    """Indexes are made anew at the end, which is several times faster than keeping them."""
    found = await connection.fetch(
        """SELECT c.relname, pg_get_indexdef(i.indexrelid) AS made FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        WHERE t.relname = ANY($1) AND t.relnamespace = 'public'::regnamespace AND NOT EXISTS
        (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)""",
        list(_COLUMNS),
    )
    for row in found:
        await connection.execute(f'DROP INDEX "{row["relname"]}"')
    yield
    for row in found:
        await connection.execute(row["made"], timeout=3600)


async def _finish(connection: "asyncpg.Connection[Any]", filled: list[Model]) -> None:
    await connection.executemany(
        "UPDATE model SET last_ordinal = $2 WHERE model_id = $1",
        [(model.model_id, model.ordinal) for model in filled],
    )
    await connection.execute(
        """SELECT setval(pg_get_serial_sequence('version', 'version_id'), max(version_id))
        FROM version""", timeout=600,
    )  # fmt: skip
    await connection.execute(
        """UPDATE namespace_usage u SET (stored_bytes, reserved_bytes, logical_bytes, open_uploads)
        = (SELECT c.stored_bytes, c.reserved_bytes, c.logical_bytes, c.open_uploads
           FROM namespace_usage_counted c WHERE c.namespace_id = u.namespace_id)""", timeout=600,
    )  # fmt: skip
    await connection.execute("VACUUM ANALYZE", timeout=3600)


if __name__ == "__main__":
    loaded = asyncio.run(load(sys.argv[1], int(sys.argv[2])))
    print(f"{loaded.versions:,} versions in {loaded.seconds:.0f} s")
